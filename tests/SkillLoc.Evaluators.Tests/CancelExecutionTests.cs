using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Evaluators.Tests;

/// <summary>When a context's execution is cancelled, as AutoML does, its evaluations end as their own tokens would end them.</summary>
public sealed class CancelExecutionTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly MLContext _data = new();
    private readonly TextScoringTransformer _first = Model(1);
    private readonly TextScoringTransformer _second = Model(2);

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }

    [Fact]
    public void AWalkEndsAtTheNextPoint()
    {
        var shares = new List<double>();
        var options = new CheckpointInterpolationEvaluator.Options
        {
            First = _first,
            Second = _second,
            Validation = Data(),
            NumberOfPoints = 11,
            Progress = new Sink(share =>
            {
                shares.Add(share);
                if (shares.Count == 3)
                {
                    _ml.CancelExecution();
                }
            }),
        };
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<OperationCanceledException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(options));
        Assert.Equal(3, shares.Count);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void ADropCurveEnds()
    {
        int width = _first.Classifier.Backbone.Config.FeedForwardSize,
            layers = _first.Classifier.Backbone.Config.Layers;
        var half = new NeuronValues([.. Enumerable.Range(0, layers * width).Select(i => i / (double)(layers * width))], layers, width);
        var options = new NeuronDropMetrics.Options
        {
            Model = _first,
            Probe = new()
            {
                Kind = NeuronProbeKind.TextMean,
                Tasks = ["pos"],
                Thresholds = [half],
                Accuracies = [half],
            },
            Methods = [PerturbationKind.Zero],
        };
        Assert.Equal(6, new MLContext().SkillLoc().Neurons.EvaluateNeuronDrop(Data(), options).Points.Count);
        _ml.CancelExecution();
        Assert.Throws<OperationCanceledException>(() => _ml.SkillLoc().Neurons.EvaluateNeuronDrop(Data(), options));
    }

    [Fact]
    public void MeasuresOfRowsThatItsModelsScoreEnd()
    {
        _first.Host = new(_ml, "model");
        IDataView scored = _first.Transform(Data());
        var models = new Dictionary<string, ITransformer> { ["model"] = _first };
        var sets = new Dictionary<string, IDataView> { ["set"] = Data() };
        Assert.Equal(12, _data.SkillLoc().EvaluateCalibration(scored).Count);
        Assert.Single(_data.SkillLoc().Evaluation.EvaluateOutOfDistribution(models, sets, "set").Entries);
        _ml.CancelExecution();
        Assert.Throws<OperationCanceledException>(() => _data.SkillLoc().EvaluateCalibration(scored));

        // ML.NET reads for its own transformers on threads of its own, and wraps what they throw.
        InvalidOperationException wrapped = Assert.Throws<InvalidOperationException>(() =>
            _data.SkillLoc().Evaluation.EvaluateAgreement(scored, scored)
        );
        Assert.IsType<OperationCanceledException>(wrapped.GetBaseException());
        Assert.Throws<OperationCanceledException>(() => _data.SkillLoc().Evaluation.EvaluateOutOfDistribution(models, sets, "set"));
    }

    private static TextScoringTransformer Model(int seed) =>
        new(
            TextClassifier.Create(
                Oracles.PathOf("tiny-roberta"),
                new ClassifierSettings { Head = HeadKind.SequenceClassification, Labels = ["neg", "pos"] },
                seed: seed
            ),
            new ScoringColumns()
        );

    private IDataView Data()
    {
        IDataView rows = _data.Data.LoadFromEnumerable(
            Enumerable.Range(0, 12).Select(i => new Row { Label = i % 2 == 0 ? "neg" : "pos", Text = $"row {i}" })
        );
        return _data.Transforms.Conversion.MapValueToKey("Label").Fit(rows).Transform(rows);
    }

    private sealed class Sink(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
