using SkillLoc.Evaluators;
using SkillLoc.Models.Neurons;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>How predictive neurons are, and what perturbing them costs.</summary>
internal static class NeuronPictures
{
    private const int Columns = 380,
        Grouped = 300,
        Tabled = 100;

    public static IEnumerable<Picture> Of(NeuronProbeResult probe)
    {
        if (probe.Accuracies.Count == 0 || probe.Accuracies[0].Layers == 0 || probe.Accuracies[0].Width == 0)
        {
            throw new ArgumentException("The probe has no neuron: there is nothing to show.", nameof(probe));
        }

        NeuronValues best = probe.BestPredictivity();
        int layers = best.Layers,
            width = best.Width;
        double[][] sorted = [.. Enumerable.Range(0, layers).Select(layer => best.Of(layer).ToArray().OrderDescending().ToArray())];
        string[] names = [.. Enumerable.Range(0, layers).Select(layer => FormattableString.Invariant($"layer {layer}"))];
        int top = Enumerable.Range(0, layers).MaxBy(layer => sorted[layer][0]);
        int columns = Math.Min(width, Columns);
        double[,] values = new double[layers, columns];
        for (int layer = 0; layer < layers; layer++)
        {
            for (int column = 0; column < columns; column++)
            {
                int first = (int)((long)column * width / columns),
                    last = (int)((column + 1L) * width / columns);
                values[layer, column] = sorted[layer].AsSpan(first, last - first).ToArray().Average();
            }
        }

        (int Layer, int Neuron, double Value)[] ranked =
        [
            .. Enumerable
                .Range(0, layers)
                .SelectMany(layer => best.Of(layer).ToArray().Select((value, neuron) => (layer, neuron, value)))
                .OrderByDescending(each => each.value)
                .Take(Tabled),
        ];
        yield return new(
            "Predictivity of neurons, sorted in each layer",
            $"{Words.Count((long)layers * width, "neuron")} in {Words.Count(layers, "layer")}. The most predictive one is neuron "
                + $"{ranked[0].Neuron} of layer {top}: {Words.Number(ranked[0].Value)}. {Words.Count(sorted.Sum(layer => layer.LongCount(value => value >= 0.7)), "neuron")} "
                + "reach 0.7; 0.5 is chance. Neurons of a layer stand from the most to the least predictive one"
                + (width > columns ? $", {Math.Round(width / (double)columns, 1):0.#} to a column." : "."),
            Table.Of(
                ["Layer", "Neuron", "Predictivity"],
                ranked.Select(each => (IReadOnlyList<object>)[each.Layer, each.Neuron, each.Value])
            ),
            isVector =>
            {
                var shares = Scale.Of("share of the layer's neurons", 0, 1, 5);
                var x = new Scale(
                    shares.Title,
                    -0.5,
                    columns - 0.5,
                    [.. shares.Places.Select(place => (place * columns) - 0.5)],
                    shares.Labels
                );
                var chart = new Chart(isVector, x, Scale.Names("", names), Math.Clamp(130 + (20 * layers), 240, 520));
                chart.Cells(values, Heat.Over("predictivity", values.Cast<double>(), low: 0.5));
                return chart;
            }
        );
        if (probe.Tasks.Count > 1)
        {
            yield return ByTask(probe);
        }
    }

    /// <summary>The most predictive neurons, those of one task side by side.</summary>
    private static Picture ByTask(NeuronProbeResult probe)
    {
        IReadOnlyList<NeuronValues> margins = probe.Margins();
        int[] places =
        [
            .. Enumerable
                .Range(0, margins[0].Values.Length)
                .OrderByDescending(i => margins.Max(table => table.Values[i]))
                .Take(Grouped)
                .OrderBy(i => Enumerable.Range(0, margins.Count).MaxBy(task => margins[task].Values[i]))
                .ThenByDescending(i => margins.Max(table => table.Values[i])),
        ];
        double[,] values = new double[margins.Count, places.Length];
        for (int task = 0; task < margins.Count; task++)
        {
            for (int i = 0; i < places.Length; i++)
            {
                values[task, i] = 0.5 + margins[task].Values[places[i]];
            }
        }

        int width = margins[0].Width;
        return new(
            "The most predictive neurons, grouped by their task",
            $"The {places.Length} most predictive neurons stand by the task that they predict best. Columns that are bright in one row only are "
                + "neurons of one task.",
            Table.Of(
                ["Layer", "Neuron", .. probe.Tasks],
                places.Select(
                    (place, i) =>
                        (IReadOnlyList<object>)[place / width, place % width, .. probe.Tasks.Select((_, task) => (object)values[task, i])]
                )
            ),
            isVector =>
            {
                var count = Scale.Of("neurons", 0, places.Length);
                var chart = new Chart(
                    isVector,
                    new Scale(count.Title, -0.5, places.Length - 0.5, [.. count.Places.Select(place => place - 0.5)], count.Labels),
                    Scale.Names("", probe.Tasks),
                    Math.Clamp(130 + (22 * probe.Tasks.Count), 220, 520)
                );
                chart.Cells(values, Heat.Over("predictivity", values.Cast<double>(), low: 0.5));
                return chart;
            }
        );
    }

    public static Picture Of(NeuronDropMetrics drop)
    {
        if (drop.Points.Count == 0)
        {
            throw new ArgumentException("The accuracy-drop curve has no point: there is nothing to show.", nameof(drop));
        }

        (string Name, NeuronDropPoint[] Points)[] curves =
        [
            .. drop
                .Points.GroupBy(point => (point.Method, point.LowLayer, point.HighLayer))
                .Select(group =>
                    (
                        FormattableString.Invariant($"{group.Key.Method}, layers {group.Key.LowLayer} to {group.Key.HighLayer - 1}"),
                        (NeuronDropPoint[])[.. group]
                    )
                ),
        ];
        NeuronDropPoint worst = drop.Points.MinBy(point => point.Accuracy)!;
        return new Picture(
            "Accuracy with neurons perturbed",
            $"Unperturbed, {Words.Percent(drop.Accuracy)} of {Words.Count(drop.Count, "row")} are right. With {Words.Percent(worst.Fraction)} of the skill neurons "
                + $"perturbed ({worst.Method}) it is {Words.Percent(worst.Accuracy)}, with as many random ones {Words.Percent(worst.ControlAccuracy)}.",
            Table.Of(
                [
                    "Method",
                    "LowLayer",
                    "HighLayer",
                    "Fraction",
                    "Neurons",
                    "Accuracy",
                    "AccuracyLow95",
                    "AccuracyHigh95",
                    "ControlAccuracy",
                    "ControlDeviation",
                ],
                drop.Points.Select(point =>
                {
                    double[] interval = Intervals.OfShare(point.Accuracy, drop.Count);
                    return (IReadOnlyList<object>)
                        [
                            point.Method,
                            point.LowLayer,
                            point.HighLayer,
                            point.Fraction,
                            point.Neurons,
                            point.Accuracy,
                            interval[0],
                            interval[1],
                            point.ControlAccuracy,
                            point.ControlDeviation,
                        ];
                })
            ),
            isVector =>
            {
                var chart = new Chart(
                    isVector,
                    Scale.Around("share of each layer's neurons", drop.Points.Select(point => point.Fraction)),
                    Scale.Around(
                        "accuracy",
                        drop.Points.SelectMany(point => (double[])[point.ControlAccuracy, .. Intervals.OfShare(point.Accuracy, drop.Count)])
                            .Append(drop.Accuracy)
                    )
                );
                for (int i = 0; i < curves.Length; i++)
                {
                    NeuronDropPoint[] points = curves[i].Points;
                    double[] xs = [.. points.Select(point => point.Fraction)];
                    int series = i % Theme.Count;
                    double[][] rows = [.. points.Select(point => Intervals.OfShare(point.Accuracy, drop.Count))];
                    for (int at = 0; at < points.Length && curves.Length <= 3; at++)
                    {
                        chart.Interval(xs[at], rows[at][0], rows[at][1], series);
                    }

                    chart.Line(xs, [.. points.Select(point => point.Accuracy)], series, 0, $"skill neurons: {curves[i].Name}");
                    chart.Band(
                        xs,
                        [.. points.Select(point => point.ControlAccuracy - point.ControlDeviation)],
                        [.. points.Select(point => point.ControlAccuracy + point.ControlDeviation)],
                        curves.Length == 1 ? Theme.Control : series
                    );
                    chart.Line(
                        xs,
                        [.. points.Select(point => point.ControlAccuracy)],
                        curves.Length == 1 ? Theme.Control : series,
                        1,
                        curves.Length == 1 ? "as many random neurons" : $"random: {curves[i].Name}",
                        marks: false
                    );
                }

                return chart;
            }
        )
        {
            Intervals = Intervals.OverRows + "; bands: one sample standard deviation over draws of random neurons",
            Provenance = new() { Rows = Words.Count(drop.Count, "row"), Seeds = [drop.Seed] },
        };
    }

    public static Picture Of(NeuronSimilarityMetrics similarity)
    {
        double[] layers = [.. similarity.Layers.Select(layer => (double)layer.Layer)];
        return layers.Length == 0
            ? throw new ArgumentException("The similarity is of no layer: there is nothing to show.", nameof(similarity))
            : new(
                "Similarity of two tasks by layer",
                $"Over all layers Spearman's correlation is {Words.Number(similarity.Spearman)}, and {Words.Percent(similarity.Overlap)} of the top neurons are shared.",
                Table.Of(
                    ["Layer", "Spearman", "Overlap"],
                    similarity.Layers.Select(layer => (IReadOnlyList<object>)[layer.Layer, layer.Spearman, layer.Overlap])
                ),
                isVector =>
                {
                    var chart = new Chart(
                        isVector,
                        Scale.Names("layer", [.. layers.Select(Words.Number)]),
                        Scale.Around("similarity", similarity.Layers.SelectMany(layer => (double[])[layer.Spearman, layer.Overlap]))
                    );
                    double[] xs = [.. layers.Select((_, i) => (double)i)];
                    chart.Line(xs, [.. similarity.Layers.Select(layer => layer.Spearman)], 0, 0, "Spearman's correlation");
                    chart.Line(xs, [.. similarity.Layers.Select(layer => layer.Overlap)], 1, 1, "share of top neurons in common");
                    return chart;
                }
            );
    }
}
