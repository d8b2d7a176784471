using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Measures accuracy-drop curves. Rows are encoded once and scored at every point.</summary>
internal sealed class NeuronDropCurve : IDisposable
{
    private readonly NeuronDropMetrics.Options _options;
    private readonly TextClassifier _classifier;
    private readonly EncodedDataset _rows;
    private readonly CancellationWatch _cancellation;
    private readonly int _seed;

    public NeuronDropCurve(MLContext context, IDataView data, NeuronDropMetrics.Options options)
    {
        _options = options;
        var host = new ComponentHost(context, nameof(SkillLocNeuronEvaluators.EvaluateNeuronDrop));
        _cancellation = host.Watch(options.CancellationToken);
        _seed = options.Seed ?? host.DrawSeed();
        _classifier = options.Model!.Classifier;
        if (_classifier.Task is not (ClassificationTask or GenerationTask { Outputs.Labels.Count: > 0 }))
        {
            throw new ArgumentException("Options.Model has not one label a row, by which the accuracy could be judged.");
        }

        _rows = EncodedDataset.Read(data, options.Model.Columns, options.LabelColumnName, _classifier, "data");
    }

    public void Dispose() => _cancellation.Dispose();

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

        return new() { Count = _rows.Count, Accuracy = plain, Seed = _seed, Points = points };
    }

    private NeuronDropPoint Point(PerturbationKind method, int low, int high, double fraction, double plain)
    {
        NeuronSet skill = _options.Probe!.Select(fraction).Within(low, high);
        if (skill.Count == 0)
        {
            return new(method.ToString(), low, high, fraction, 0, plain, plain, 0);
        }

        double accuracy = Perturbed(method, skill, _seed);
        double[] controls =
        [
            .. Enumerable.Range(1, _options.Controls).Select(draw => Perturbed(method, skill.RandomControl(_seed + draw), _seed + draw)),
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
        _cancellation.ThrowIfRequested();

        // The same weights in a model of its own: other passes of the given one stay unperturbed.
        using TextClassifier own = _classifier.Clone(_ => true);
        perturbation?.AddTo(own.Backbone.Hooks);
        float[][] scores = own.Score(_rows.Texts, _cancellation.Token);
        return scores.Index().Count(row => TextClassifier.MostProbable(row.Item) == _rows.Targets[row.Index].Label) / (double)_rows.Count;
    }
}
