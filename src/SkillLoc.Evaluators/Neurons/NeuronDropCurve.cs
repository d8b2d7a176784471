using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Measures accuracy-drop curves. Rows are encoded once; every point scores them all.</summary>
internal sealed class NeuronDropCurve
{
    private readonly NeuronDropMetrics.Options _options;
    private readonly TextClassifier _classifier;
    private readonly EncodedText[] _rows;
    private readonly int[] _labels;

    public NeuronDropCurve(MLContext context, IDataView data, NeuronDropMetrics.Options options)
    {
        _options = options;
        _classifier = options.Model!.Classifier;
        (_rows, _labels) = Read(context, data, options.Model, options.LabelColumnName);
    }

    public NeuronDropMetrics Measure()
    {
        double plain = Accuracy(null);
        IReadOnlyList<(int Low, int High)> ranges = _options.LayerRanges ?? [(0, _classifier.Backbone.Config.Layers)];
        var points = new List<NeuronDropPoint>();
        foreach (PerturbationKind method in _options.Methods)
        {
            foreach ((int low, int high) in ranges)
            {
                points.AddRange(_options.Fractions.Select(fraction => Point(method, low, high, fraction, plain)));
            }
        }

        return new() { Count = _rows.Length, Accuracy = plain, Points = points };
    }

    private NeuronDropPoint Point(PerturbationKind method, int low, int high, double fraction, double plain)
    {
        NeuronSet skill = _options.Probe!.Select(fraction).Within(low, high);
        if (skill.Count == 0)
        {
            return new(method.ToString(), low, high, fraction, 0, plain, plain, 0);
        }

        double accuracy = Perturbed(method, skill, _options.Seed);
        double[] controls =
        [
            .. Enumerable.Range(1, _options.Controls).Select(draw => Perturbed(method, skill.RandomControl(_options.Seed + draw), _options.Seed + draw)),
        ];
        var random = DrawStatistics.Of(controls);
        return new(method.ToString(), low, high, fraction, skill.Count, accuracy, random.Mean, random.StandardDeviation);
    }

    private double Perturbed(PerturbationKind method, NeuronSet neurons, int seed)
    {
        // Thresholds of several subtasks are means over different rows of one model; the first does.
        using NeuronPerturbation perturbation = method switch
        {
            PerturbationKind.Zero => NeuronPerturbation.Zero(_classifier.Backbone, neurons),
            PerturbationKind.Mean => NeuronPerturbation.Mean(_classifier.Backbone, neurons, _options.Probe!.Thresholds[0]),
            _ => NeuronPerturbation.Gaussian(_classifier.Backbone, neurons, seed, _options.Alpha),
        };
        return Accuracy(perturbation);
    }

    private double Accuracy(NeuronPerturbation? perturbation)
    {
        // The same weights in a model of its own: other passes of the given one stay unperturbed.
        using TextClassifier own = _classifier.Clone(_ => true);
        own.Backbone.NeuronEditor = perturbation;
        float[][] scores = own.Score(_rows, _options.CancellationToken);
        return Enumerable.Range(0, _rows.Length).Count(i => TextClassifier.MostProbable(scores[i]) == _labels[i]) / (double)_rows.Length;
    }

    /// <summary>The rows that have a label.</summary>
    private static (EncodedText[] Rows, int[] Labels) Read(MLContext context, IDataView data, TextScoringTransformer model, string labelColumn)
    {
        ScoringSchema.CheckInputs(data.Schema, model.Columns);
        bool bare = data.Schema.GetColumnOrNull(labelColumn) is { Type: KeyDataViewType } key
            && key.Annotations.Schema.GetColumnOrNull("KeyValues") is null;
        string[] names = bare ? [.. Enumerable.Range(1, model.Labels.Count).Select(i => $"{i}")] : [.. model.Labels];
        string[] texts = [.. Texts(data, model.Columns.Text)];
        string?[] pairs = model.Columns.TextPair is { } pair ? [.. Texts(data, pair)] : new string?[texts.Length];
        var rows = new List<EncodedText>();
        var labels = new List<int>();
        foreach ((string label, int row) in new LabelTexts(context, data, labelColumn).Read().Select((label, row) => (label, row)))
        {
            if (label == (bare ? "0" : ""))
            {
                continue;
            }

            int index = Array.IndexOf(names, label);
            labels.Add(index >= 0 ? index : throw new ArgumentException(
                $"Row {row} of column '{labelColumn}' is '{label}'; the model's labels are {string.Join(", ", names.Select(name => $"'{name}'"))}."));
            try
            {
                rows.Add(model.Classifier.Encode(texts[row], pairs[row]));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {row} of column '{model.Columns.Text}' cannot be encoded: {error.Message}", error);
            }
        }

        return rows.Count > 0
            ? ([.. rows], [.. labels])
            : throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
    }

    private static IEnumerable<string> Texts(IDataView data, string name)
    {
        DataViewSchema.Column column = data.Schema[name];
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<ReadOnlyMemory<char>> read = cursor.GetGetter<ReadOnlyMemory<char>>(column);
        for (ReadOnlyMemory<char> text = default; cursor.MoveNext();)
        {
            read(ref text);
            yield return text.ToString();
        }
    }
}
