using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Evaluators.Tests.Neurons;

public sealed class NeuronEvaluatorTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly TextScoringTransformer _model = Model(1);

    public void Dispose() => _model.Dispose();

    [Fact]
    public void DropsAreThoseOfTheModelWithItsNeuronsPerturbed()
    {
        NeuronProbeResult probe = Probe();
        IDataView data = Data();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        NeuronDropMetrics drop = _ml.SkillLoc()
            .Neurons.EvaluateNeuronDrop(
                data,
                new NeuronDropMetrics.Options
                {
                    Model = _model,
                    Probe = probe,
                    Fractions = [0, 0.2, 1],
                    Methods = [PerturbationKind.Zero, PerturbationKind.Mean, PerturbationKind.Gaussian],
                    LayerRanges = [new(0, 3), new(1, 2)],
                    Alpha = 3,
                }
            );
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(40, drop.Count);
        Assert.Equal(18, drop.Points.Count);
        Assert.Equal(18, drop.ToDataView(_ml).GetColumn<double>("ControlDeviation").Count());
        double plain = Accuracy(_model);
        Assert.Equal(plain, drop.Accuracy, 1e-12);
        Assert.Equal([0, 57, 288, 0, 19, 96], drop.Points.Take(6).Select(point => point.Neurons));
        Assert.All(
            drop.Points.Where(point => point.Fraction == 0),
            point => Assert.Equal((plain, plain, 0), (point.Accuracy, point.ControlAccuracy, point.ControlDeviation))
        );

        NeuronDropPoint zero = drop.Points[4];
        Assert.Equal(("Zero", 1, 2, 0.2), (zero.Method, zero.LowLayer, zero.HighLayer, zero.Fraction));
        using (
            NeuronPerturbationTransformer perturbed = _ml.SkillLoc()
                .Neurons.PerturbNeurons(_model, probe.Select(0.2), PerturbationKind.Zero, lowLayer: 1, highLayer: 2)
        )
        {
            Assert.Equal(Accuracy(perturbed), zero.Accuracy, 1e-12);
        }

        double[] controls =
        [
            .. Enumerable
                .Range(1, 5)
                .Select(draw =>
                {
                    using NeuronPerturbationTransformer control = _ml.SkillLoc()
                        .Neurons.PerturbNeurons(
                            _model,
                            probe.Select(0.2).Within(1, 2).RandomControl(drop.Seed + draw),
                            PerturbationKind.Zero
                        );
                    return Accuracy(control);
                }),
        ];
        Assert.Equal(controls.Average(), zero.ControlAccuracy, 1e-12);
        Assert.Equal(Math.Sqrt(controls.Sum(value => Math.Pow(value - controls.Average(), 2)) / 4), zero.ControlDeviation, 1e-12);

        // All neurons of a layer are the same whichever way they are chosen.
        NeuronDropPoint whole = drop.Points[2];
        Assert.Equal(whole.Accuracy, whole.ControlAccuracy, 1e-12);
        Assert.Equal(0, whole.ControlDeviation, 1e-12);
    }

    [Fact]
    public void OrdersAreComparedByLayer()
    {
        // By hand: ranks 0 1 2 3 against 3 2 1 0; and 0 1.5 1.5 3 against 0 1 2 3, whose correlation is 4.5 / sqrt(4.5 * 5).
        var first = new NeuronValues([0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.2, 0.4], 2, 4);
        var second = new NeuronValues([0.4, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.4], 2, 4);
        NeuronSimilarityMetrics similarity = _ml.SkillLoc().Neurons.EvaluateNeuronSimilarity(first, second, fraction: 0.5);
        Assert.Equal(-1, similarity.Layers[0].Spearman, 1e-12);
        Assert.Equal(4.5 / Math.Sqrt(4.5 * 5), similarity.Layers[1].Spearman, 1e-12);
        Assert.Equal([0, 0.5], similarity.Layers.Select(layer => layer.Overlap));
        Assert.Equal(0.25, similarity.Overlap);
        Assert.Equal(similarity.Layers.Average(layer => layer.Spearman), similarity.Spearman, 1e-12);
        Assert.Equal(2, similarity.ToDataView(_ml).GetColumn<double>("Spearman").Count());
        Assert.Equal(1, _ml.SkillLoc().Neurons.EvaluateNeuronSimilarity(first, first).Spearman, 1e-12);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.EvaluateNeuronSimilarity(first, new NeuronValues([0.1, 0.2], 1, 2)));
    }

    [Fact]
    public void TransferCountsNeuronsThatBothPromptsActivate()
    {
        using TextScoringTransformer other = Model(2);
        NeuronSet skill = Probe().Select(0.1);
        TransferIndicator same = _ml.SkillLoc().Neurons.EvaluateTransfer(_model, _model, skill),
            transfer = _ml.SkillLoc().Neurons.EvaluateTransfer(_model, other, skill);
        Assert.Equal((1, 1), (same.AllNeurons, same.SkillNeurons));
        Assert.InRange(transfer.AllNeurons, 0.01, 0.999);
        bool[] one = Active(_model),
            two = Active(other);
        int[] members = [.. Enumerable.Range(0, 288).Where(i => skill.Members[i])];
        Assert.Equal((double)members.Count(i => one[i] && two[i]) / members.Count(i => one[i] || two[i]), transfer.SkillNeurons, 1e-12);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.EvaluateTransfer(_model, other, new NeuronSet(new bool[96], 1, 96)));

        static bool[] Active(TextScoringTransformer model) =>
            [.. new NeuronProbe(model.Classifier).AtScoredSlot([model.Classifier.Encode("")])[0].Select(value => value > 0)];
    }

    [Fact]
    public void WithoutASeedTheContextsDecides()
    {
        NeuronProbeResult probe = Probe();
        Assert.Equal(Noisy(1, null), Noisy(1, null));
        Assert.NotEqual(Noisy(1, null), Noisy(2, null));
        Assert.NotEqual(Noisy(null, null), Noisy(null, null));
        Assert.Equal(Noisy(1, 5), Noisy(null, 5));
        Assert.Equal(Drop(1, null).Seed, Drop(1, null).Seed);
        Assert.NotEqual(Drop(1, null).Seed, Drop(2, null).Seed);
        NeuronDropMetrics drop = Drop(null, null);
        Assert.Equal(drop.Points, Drop(2, drop.Seed).Points);

        float[][] Noisy(int? context, int? seed)
        {
            using NeuronPerturbationTransformer noisy = new MLContext(context)
                .SkillLoc()
                .Neurons.PerturbNeurons(_model, probe.Select(1), alpha: 1, seed: seed);
            Assert.Equal(seed ?? noisy.Seed, noisy.Seed);
            return [.. noisy.Transform(Data()).GetColumn<float[]>("Score")];
        }

        NeuronDropMetrics Drop(int? context, int? seed) =>
            new MLContext(context)
                .SkillLoc()
                .Neurons.EvaluateNeuronDrop(
                    Data(),
                    new NeuronDropMetrics.Options
                    {
                        Model = _model,
                        Probe = probe,
                        Fractions = [0.2],
                        Alpha = 3,
                        Seed = seed,
                    }
                );
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        NeuronProbeResult probe = Probe();
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.EvaluateNeuronDrop(Data(), new NeuronDropMetrics.Options()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Drop(options => options.Controls = 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => Drop(options => options.Fractions = [1.5]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Drop(options => options.LayerRanges = [new(0, 4)]));
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            Drop(_ => { }, _ml.Data.LoadFromEnumerable([new Row { Label = "maybe", Text = "x" }]))
        );
        Assert.Contains("'maybe'", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => Drop(_ => { }, _ml.Data.LoadFromEnumerable(Array.Empty<Row>())));

        void Drop(Action<NeuronDropMetrics.Options> change, IDataView? data = null)
        {
            var options = new NeuronDropMetrics.Options { Model = _model, Probe = probe };
            change(options);
            _ml.SkillLoc().Neurons.EvaluateNeuronDrop(data ?? Data(), options);
        }
    }

    private static TextScoringTransformer Model(int seed) =>
        new(
            TextClassifier.Create(
                Oracles.PathOf("tiny-roberta"),
                new ClassifierSettings
                {
                    Labels = ["neg", "pos"],
                    Words = ["bad", "good"],
                    Tuning = new SoftPromptOptions { Size = 4 },
                },
                seed: seed
            ),
            new ScoringColumns()
        );

    private static Row[] Rows() =>
        [
            .. Enumerable
                .Range(0, 40)
                .Select(i => new Row
                {
                    Label = i % 2 == 0 ? "neg" : "pos",
                    Text = string.Join(' ', Enumerable.Range(0, (i % 7) + 1).Select(j => $"word{(i * 5 + j) % 11}")),
                }),
        ];

    private IDataView Data() => _ml.Data.LoadFromEnumerable(Rows());

    private NeuronProbeResult Probe()
    {
        var probe = new NeuronProbe(_model.Classifier);
        EncodedText[] rows = [.. Rows().Select(row => _model.Classifier.Encode(row.Text))];
        NeuronValues thresholds = probe.Baseline(rows);
        return new()
        {
            Kind = NeuronProbeKind.Prompt,
            Tasks = ["pos"],
            Thresholds = [thresholds],
            Accuracies = [probe.Accuracy(rows, ProbeTask.Binary([.. rows.Select((_, i) => i % 2)]), thresholds)],
        };
    }

    private double Accuracy(TextScoringTransformer model)
    {
        uint[] predictions = [.. model.Transform(Data()).GetColumn<uint>("PredictedLabel")];
        return predictions.Select((key, i) => key == (i % 2) + 1 ? 1.0 : 0.0).Average();
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
