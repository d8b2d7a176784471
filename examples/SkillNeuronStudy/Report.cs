using System.Globalization;
using System.Text;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Reports;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>The measurements as tables: all of them as CSV, and as Markdown what people read.</summary>
/// <param name="plan">The plan.</param>
/// <param name="result">What was measured, the same each time.</param>
/// <param name="speedUps">How many times faster each task's pruned model scored; in the Markdown only, since it differs each time.</param>
public sealed class Report(StudyPlan plan, StudyResult result, IReadOnlyDictionary<string, double> speedUps)
{
    /// <summary>Writes <c>results.csv</c>, <c>curves.csv</c>, <c>results.md</c>, and <c>report.html</c> with its pictures as files.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "results.csv"), Csv());
        AtomicFile.WriteText(Path.Combine(folder, "curves.csv"), CurvesCsv());
        AtomicFile.WriteText(Path.Combine(folder, "results.md"), Markdown());
        ReportBuilder pictures = Pictures.Of(plan, result);
        pictures.Save(Path.Combine(folder, "report.html"));
        pictures.SaveFiles(Path.Combine(folder, "pictures"));
    }

    /// <summary>The tables.</summary>
    public string Markdown()
    {
        var text = new StringBuilder();
        Accuracies(text);
        Curves(text);
        Pruning(text);
        Similarity(text);
        Transfers(text);
        return text.ToString();
    }

    private void Accuracies(StringBuilder text)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"## Models and single neurons, mean of {plan.Seeds.Count} run(s)")
            .AppendLine()
            .AppendLine(
                "Test accuracy. *Best neuron*: the one that development rows choose; with more than two labels the mean over one "
                    + "label against the others, balanced, where chance is 50 %."
            )
            .AppendLine()
            .AppendLine(
                "| task | most frequent label | prompt | BitFit | adapter | best neuron: tuned prompt | random prompt | written prompt |"
            )
            .AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (StudyTask task in plan.Tasks)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {task.Name} | {Of(task, Measures.Majority)} | {Of(task, Measures.Accuracy)} | {Of(task, Measures.BitFit)} | "
                    + $"{Of(task, Measures.Adapter)} | {Of(task, Measures.BestTuned)} | {Of(task, Measures.BestRandom)} | "
                    + $"{Of(task, Measures.BestWritten)} |"
            );
        }

        text.AppendLine();
    }

    private void Curves(StringBuilder text)
    {
        text.AppendLine("## Accuracy with neurons perturbed")
            .AppendLine()
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"Skill neurons / as many random ones of each layer, mean ± standard deviation of {plan.Perturbation.Controls} draws. "
                    + $"Noise of standard deviation {plan.Perturbation.Alpha}."
            )
            .AppendLine()
            .Append("| task | model | layers | perturbation | none |");
        foreach (double fraction in plan.Perturbation.Fractions)
        {
            text.Append(CultureInfo.InvariantCulture, $" {Percent(fraction, 0)} |");
        }

        text.AppendLine().Append("|---|---|---|---|---|").Insert(text.Length, "---|", plan.Perturbation.Fractions.Count).AppendLine();
        foreach (
            IGrouping<(string Task, string Model, int LowLayer, int HighLayer, string Method), CurvePoint> curve in result.Curves.GroupBy(
                each => (each.Task, each.Model, each.Point.LowLayer, each.Point.HighLayer, each.Point.Method)
            )
        )
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {curve.Key.Task} | {curve.Key.Model} | {curve.Key.LowLayer} to {curve.Key.HighLayer - 1} | "
                    + $"{curve.Key.Method.ToLowerInvariant()} | {Percent(curve.First().Unperturbed)} |"
            );
            foreach (NeuronDropPoint point in curve.Select(each => each.Point))
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $" {Percent(point.Accuracy)} / {Spread(point.ControlAccuracy, point.ControlDeviation)} |"
                );
            }

            text.AppendLine();
        }

        text.AppendLine();
    }

    private void Pruning(StringBuilder text)
    {
        text.AppendLine(
                CultureInfo.InvariantCulture,
                $"## Pruned to {Percent(plan.Pruning.Fraction, 0)} of the neurons from layer {plan.Pruning.LowLayer} on"
            )
            .AppendLine()
            .AppendLine("The first run's model. Layers count from 0.")
            .AppendLine()
            .AppendLine("| task | full | skill neurons stay | random ones stay | prompt tuned again | parameters | speed-up |")
            .AppendLine("|---|---|---|---|---|---|---|");
        foreach (StudyTask task in plan.Tasks)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {task.Name} | {Percent(Values(task, Measures.Accuracy, plan.Seeds[0]).Single())} | {Of(task, Measures.Pruned)} | "
                    + $"{Of(task, Measures.PrunedRandom)} | {Of(task, Measures.Retrained)} | {Of(task, Measures.ParameterRatio)} | "
                    + $"{speedUps[task.Name]:0.00} |"
            );
        }

        text.AppendLine();
    }

    private void Similarity(StringBuilder text)
    {
        Measurement[] pairs = [.. result.Measurements.Where(each => each.Measure is Measures.Spearman or Measures.Overlap)];
        if (pairs.Length == 0)
        {
            return;
        }

        int[] layers = [.. pairs.Where(each => each.Layer is not null).Select(each => each.Layer!.Value).Distinct()];
        text.AppendLine("## Tasks compared")
            .AppendLine()
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"Spearman's correlation of predictivity, by layer and its mean, and the overlap of the top "
                    + $"{Percent(plan.TopFraction, 0)}, where chance is as much."
            )
            .AppendLine()
            .Append("| tasks |");
        foreach (int layer in layers)
        {
            text.Append(CultureInfo.InvariantCulture, $" layer {layer} |");
        }

        text.AppendLine(" mean | overlap |").Append("|---|---|---|").Insert(text.Length, "---|", layers.Length).AppendLine();
        foreach (IGrouping<string, Measurement> pair in pairs.GroupBy(each => $"{each.Task}, {each.Other}"))
        {
            Row(pair.Key, pair);
        }

        Row("all pairs", pairs);
        text.AppendLine();

        void Row(string name, IEnumerable<Measurement> rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {name} |");
            foreach (int? layer in layers.Select(layer => (int?)layer).Append(null))
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $" {rows.Where(each => each.Measure == Measures.Spearman && each.Layer == layer).Average(each => each.Value):0.00} |"
                );
            }

            text.AppendLine(
                CultureInfo.InvariantCulture,
                $" {Percent(rows.Where(each => each.Measure == Measures.Overlap && each.Layer is null).Average(each => each.Value))} |"
            );
        }
    }

    private void Transfers(StringBuilder text)
    {
        Measurement[] transfers = [.. result.Measurements.Where(each => each.Measure == Measures.Transfer)];
        if (transfers.Length == 0)
        {
            return;
        }

        text.AppendLine("## Prompts on other tasks with the same label words")
            .AppendLine()
            .AppendLine("| prompt of | on | accuracy | own prompt | indicator: skill neurons | all neurons |")
            .AppendLine("|---|---|---|---|---|---|");
        foreach (IGrouping<(string Task, string), Measurement> pair in transfers.GroupBy(each => (each.Task, each.Other!)))
        {
            StudyTask task = plan.Tasks.First(each => each.Name == pair.Key.Task);
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {pair.Key.Item2} | {pair.Key.Task} | {Spread(pair.Select(each => each.Value))} | {Of(task, Measures.Accuracy)} | "
                    + $"{pair.Average(each => Indicator(each, Measures.IndicatorSkill)):0.00} | "
                    + $"{pair.Average(each => Indicator(each, Measures.IndicatorAll)):0.00} |"
            );
        }

        double[] accuracies = [.. transfers.Select(each => each.Value)];
        text.AppendLine()
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"Spearman's correlation of indicator and accuracy over these {transfers.Length} transfers: "
                    + $"{Correlated(Measures.IndicatorSkill):0.00} on skill neurons, {Correlated(Measures.IndicatorAll):0.00} on all."
            );

        double Correlated(string measure) => Correlation.Spearman([.. transfers.Select(each => Indicator(each, measure))], accuracies);

        double Indicator(Measurement transfer, string measure) =>
            result
                .Measurements.Single(each =>
                    each.Measure == measure && each.Task == transfer.Task && each.Other == transfer.Other && each.Seed == transfer.Seed
                )
                .Value;
    }

    private string Csv()
    {
        var text = new StringBuilder("task,other,layer,seed,measure,value\n");
        foreach (Measurement each in result.Measurements)
        {
            text.Append(CultureInfo.InvariantCulture, $"{each.Task},{each.Other},{each.Layer},{each.Seed},{each.Measure},{each.Value:R}\n");
        }

        return text.ToString();
    }

    private string CurvesCsv()
    {
        var text = new StringBuilder(
            "task,model,method,low_layer,high_layer,fraction,neurons,unperturbed,accuracy,control_accuracy,control_deviation\n"
        );
        foreach ((string task, string model, double unperturbed, NeuronDropPoint point) in result.Curves)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{task},{model},{point.Method},{point.LowLayer},{point.HighLayer},{point.Fraction:R},{point.Neurons},{unperturbed:R},{point.Accuracy:R},{point.ControlAccuracy:R},{point.ControlDeviation:R}\n"
            );
        }

        return text.ToString();
    }

    private IEnumerable<double> Values(StudyTask task, string measure, int? seed = null) =>
        result
            .Measurements.Where(each => each.Task == task.Name && each.Measure == measure && (seed is null || each.Seed == seed))
            .Select(each => each.Value);

    private string Of(StudyTask task, string measure) => Spread(Values(task, measure));

    private static string Spread(IEnumerable<double> values)
    {
        var drawn = DrawStatistics.Of([.. values]);
        return drawn.Count == 1 ? Percent(drawn.Mean) : Spread(drawn.Mean, drawn.StandardDeviation);
    }

    private static string Spread(double mean, double deviation) =>
        $"{Percent(mean)} ± {(100 * deviation).ToString("0.0", CultureInfo.InvariantCulture)}";

    private static string Percent(double value, int digits = 1) =>
        (100 * value).ToString(digits == 0 ? "0.##" : "0.0", CultureInfo.InvariantCulture) + " %";
}
