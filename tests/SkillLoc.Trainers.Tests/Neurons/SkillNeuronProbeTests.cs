using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests.Neurons;

public sealed class SkillNeuronProbeTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly TextScoringTransformer _model = Model(["neg", "pos"], ["bad", "good"]);

    public void Dispose() => _model.Dispose();

    [Fact]
    public void ActivationsOfTheMostPredictiveNeuronsAreFeatures()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(60)),
            dev = Toy.View(_ml, Toy.Examples(40, seed: 1));
        using SkillNeuronProbeTransformer probe = _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 0.05, validationSet: dev).Fit(train);
        Assert.Equal(12, probe.Positions.Count);
        Assert.Equal("pos", probe.Result.Tasks.Single());
        double[] predictivity = probe.Result.BestPredictivity().Values.ToArray();
        double lowest = probe.Positions.Where(position => position.Layer == 1).Min(position => predictivity[96 + position.Neuron]);
        Assert.All(
            Enumerable.Range(0, 96).Where(neuron => !probe.Neurons.Of(1)[neuron]),
            neuron => Assert.True(predictivity[96 + neuron] <= lowest)
        );

        IDataView features = probe.Transform(dev);
        var type = (VectorDataViewType)features.Schema["Neurons"].Type;
        Assert.Equal(12, type.Size);
        VBuffer<ReadOnlyMemory<char>> names = default;
        features.Schema["Neurons"].GetSlotNames(ref names);
        Assert.Equal(
            probe.Positions.Select(position => $"{position.Layer}.{position.Neuron}"),
            names.DenseValues().Select(name => name.ToString())
        );

        // The features say themselves how accurate each is.
        float[][] rows = [.. features.GetColumn<float[]>("Neurons")];
        uint[] labels = [.. features.GetColumn<uint>("Label")];
        int positive = Keys(dev).IndexOf("pos") + 1;
        for (int i = 0; i < 12; i++)
        {
            NeuronPosition at = probe.Positions[i];
            double threshold = probe.Result.Thresholds[0].Of(at.Layer, at.Slot)[at.Neuron];
            double accuracy = Enumerable
                .Range(0, rows.Length)
                .Average(row => rows[row][i] > threshold == (labels[row] == positive) ? 1.0 : 0.0);
            Assert.Equal(0.5 + Math.Abs(accuracy - 0.5), predictivity[(at.Layer * 96) + at.Neuron], 1e-9);
        }

        using PredictionEngine<Toy.Row, Features> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Features>(probe);
        Assert.Equal(rows[3], engine.Predict(Toy.Examples(40, seed: 1)[3]).Neurons, (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void InBFloat16TheTablesDifferByRoundingAndFeaturesAreFloat32s()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(60));
        SkillNeuronProbeTransformer Probe(Precision precision) =>
            _ml.SkillLoc()
                .ProbeSkillNeurons(
                    new SkillNeuronProbeEstimator.Options
                    {
                        Model = _model,
                        Fraction = 1,
                        Precision = precision,
                    }
                )
                .Fit(train);
        using SkillNeuronProbeTransformer single = Probe(Precision.Float32),
            half = Probe(Precision.BFloat16);
        double[] expected = single.Result.Thresholds[0].Values.ToArray(),
            found = half.Result.Thresholds[0].Values.ToArray();
        Assert.NotEqual(expected, found);

        // bfloat16 has 8 bits of precision.
        double largest = expected.Max(Math.Abs);
        Assert.All(expected.Zip(found), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, largest / 32));
        Dictionary<NeuronPosition, float> First(SkillNeuronProbeTransformer probe) =>
            probe
                .Positions.Zip(probe.Transform(train).GetColumn<float[]>("Neurons").First())
                .Where(pair => pair.First.Slot == 0)
                .ToDictionary(pair => pair.First, pair => pair.Second);
        Dictionary<NeuronPosition, float> features = First(single);
        Assert.All(First(half), pair => Assert.Equal(features.GetValueOrDefault(pair.Key, pair.Value), pair.Value));
    }

    [Fact]
    public void WhatComesAfterInAPipelineFindsTheVector()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(60));
        EstimatorChain<ColumnCopyingTransformer> pipeline = _ml.SkillLoc()
            .ProbeSkillNeurons(_model, NeuronProbeKind.TextMax, fraction: 0.02, outputColumnName: "Features")
            .Append(_ml.Transforms.CopyColumns("Copy", "Features"));

        // Fit checks that the shape, too, has the column that is copied.
        Assert.Equal(3, ((VectorDataViewType)pipeline.Fit(train).Transform(train).Schema["Copy"].Type).Size);
    }

    [Fact]
    public void ThreeLabelsAreThreeSubtasksAndFilesHoldTheReferencesTables()
    {
        string folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
        try
        {
            using TextScoringTransformer model = Model(["neg", "pos", "neu"], ["bad", "good", "film"]);
            Toy.Row[] rows = Toy.Examples(60);
            for (int i = 0; i < rows.Length; i += 3)
            {
                rows[i].Label = "neu";
            }

            using SkillNeuronProbeTransformer probe = _ml.SkillLoc()
                .ProbeSkillNeurons(
                    new SkillNeuronProbeEstimator.Options
                    {
                        Model = model,
                        Fraction = 0.1,
                        TestSet = Toy.View(_ml, rows),
                    }
                )
                .Fit(Toy.View(_ml, rows));
            Assert.Equal(["neg", "pos", "neu"], probe.Result.Tasks);
            Assert.Equal(27, probe.Positions.Count);
            probe.Result.Save(folder);
            long[] shape = [3, 4, 96];
            foreach (string name in new[] { "train_avg", "dev_perf", "test_perf" })
            {
                NeuronValues.Load(Path.Join(folder, "neu", name + ".safetensors"), name, shape);
            }

            var loaded = NeuronProbeResult.Load(folder, NeuronProbeKind.Prompt, ["neg", "pos", "neu"]);
            Assert.Equal(probe.Result.Thresholds[1].Values.ToArray(), loaded.Thresholds[1].Values.ToArray());
            Assert.Equal(probe.Result.Accuracies[2].Values.ToArray(), loaded.Accuracies[2].Values.ToArray());
            Assert.Equal(probe.Result.TestAccuracies![0].Values.ToArray(), loaded.TestAccuracies![0].Values.ToArray());
            File.Delete(Path.Join(folder, "pos", "test_perf.safetensors"));
            Assert.Null(NeuronProbeResult.Load(folder, NeuronProbeKind.Prompt, ["neg", "pos", "neu"]).TestAccuracies);

            Assert.Equal(
                probe.Neurons.Members.ToArray(),
                NeuronSet.Load(Path.Join(folder, "info", "0.1.safetensors"), expectedShape: [3, 96]).Members.ToArray()
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void PerturbedScoresCanBeRepeatedAndLeaveTheModelAlone()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(50));
        var all = new NeuronSet([.. Enumerable.Repeat(true, 288)], 3, 96);
        float[][] plain = Scores(_model, rows);
        using NeuronPerturbationTransformer noisy = _ml.SkillLoc().Neurons.PerturbNeurons(_model, all, alpha: 1, seed: 3);
        float[][] first = Scores(noisy, rows);
        Assert.Contains(plain.Zip(first), pair => Math.Abs(pair.First[0] - pair.Second[0]) > 1e-3);
        Parallel.For(0, 3, _ => Assert.Equal(first, Scores(noisy, rows)));
        using NeuronPerturbationTransformer other = _ml.SkillLoc().Neurons.PerturbNeurons(_model, all, alpha: 1, seed: 4);
        Assert.NotEqual(first, Scores(other, rows));
        using NeuronPerturbationTransformer silent = _ml.SkillLoc().Neurons.PerturbNeurons(_model, all, alpha: 0);
        Assert.All(plain.Zip(Scores(silent, rows)), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-6f));
        using NeuronPerturbationTransformer nowhere = _ml.SkillLoc()
            .Neurons.PerturbNeurons(_model, all, PerturbationKind.Zero, lowLayer: 2, highLayer: 2);
        Assert.Equal(plain, Scores(nowhere, rows));
        using NeuronPerturbationTransformer zero = _ml.SkillLoc().Neurons.PerturbNeurons(_model, all, PerturbationKind.Zero, lowLayer: 2);
        Assert.NotEqual(plain, Scores(zero, rows));
        Assert.Equal(plain, Scores(_model, rows));
        Assert.Throws<NotSupportedException>(() => _ml.Model.Save(zero, rows.Schema, new MemoryStream()));
    }

    [Fact]
    public void APrunedModelIsSavedIntoAnMlNetModel()
    {
        string folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
        try
        {
            IDataView rows = Toy.View(_ml, Toy.Examples(20));
            using SkillNeuronProbeTransformer probe = _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 0.1).Fit(rows);
            using TextScoringTransformer pruned = _ml.SkillLoc()
                .Neurons.PruneNeurons(_model, probe.Neurons, probe.Result.Thresholds[0], lowLayer: 1);
            pruned.SaveCheckpoint(Path.Join(folder, "pruned"));
            _ml.Model.Save(pruned, rows.Schema, Path.Join(folder, "pruned.zip"));
            ITransformer loaded = new MLContext().Model.Load(Path.Join(folder, "pruned.zip"), out _);
            Assert.All(Scores(pruned, rows).Zip(Scores(loaded, rows)), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        IDataView train = Toy.View(_ml, Toy.Examples(20));
        using var plain = new TextScoringTransformer(
            TextClassifier.Create(
                Toy.Checkpoint,
                new ClassifierSettings
                {
                    Template = Toy.Task.Template.ToString(),
                    Labels = ["neg", "pos"],
                    Words = ["bad", "good"],
                }
            ),
            new ScoringColumns()
        );
        Says("soft prompt", Assert.Throws<ArgumentException>(() => _ml.SkillLoc().ProbeSkillNeurons(plain).Fit(train)));
        Says(
            "training data",
            Assert.Throws<ArgumentException>(() =>
                _ml.SkillLoc()
                    .ProbeSkillNeurons(_model, fraction: 0.05)
                    .Fit(Toy.View(_ml, Toy.Examples(20).Where(row => row.Label == "pos")))
            )
        );
        Says(
            "larger fraction",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 0.001).Fit(train))
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 1.1));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().ProbeSkillNeurons(new SkillNeuronProbeEstimator.Options()));
        var set = new NeuronSet(new bool[288], 3, 96);
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.PerturbNeurons(_model, set, PerturbationKind.Mean));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Neurons.PerturbNeurons(_model, set, alpha: -1));
        Says(
            "model of 3 layers",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Neurons.PerturbNeurons(_model, set, lowLayer: 1, highLayer: 4))
        );
        Says(
            "[2, 96]",
            Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.PerturbNeurons(_model, new NeuronSet(new bool[192], 2, 96)))
        );
        using SkillNeuronProbeTransformer probe = _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 0.05).Fit(train);
        Assert.Throws<NotSupportedException>(() => _ml.Model.Save(probe, train.Schema, new MemoryStream()));
        probe.Dispose();
        Assert.Throws<ObjectDisposedException>(() => probe.Transform(train).GetColumn<float[]>("Neurons").Count());

        static void Says(string part, Exception error) => Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(20));
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (SkillNeuronProbeTransformer probe = _ml.SkillLoc().ProbeSkillNeurons(_model, fraction: 0.05).Fit(rows))
        using (NeuronPerturbationTransformer noisy = _ml.SkillLoc().Neurons.PerturbNeurons(_model, probe.Neurons))
        using (NeuronPerturbationTransformer zero = _ml.SkillLoc().Neurons.PerturbNeurons(_model, probe.Neurons, PerturbationKind.Zero))
        {
            Assert.Equal(20, probe.Transform(rows).GetColumn<float[]>("Neurons").Count());
            Scores(noisy, rows);
            Scores(zero, rows);
        }

        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Neurons.PerturbNeurons(_model, new NeuronSet(new bool[2], 1, 2)));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static TextScoringTransformer Model(string[] labels, string[] words) =>
        new(
            TextClassifier.Create(
                Toy.Checkpoint,
                new ClassifierSettings
                {
                    Labels = labels,
                    Words = words,
                    Tuning = new SoftPromptOptions { Size = 4 },
                    MaxLength = 40,
                },
                seed: 3
            ),
            new ScoringColumns()
        );

    private static float[][] Scores(ITransformer model, IDataView rows) => [.. model.Transform(rows).GetColumn<float[]>("Score")];

    private static List<string> Keys(IDataView view)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        view.Schema["Label"].GetKeyValues(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    private sealed class Features
    {
        public float[] Neurons { get; set; } = [];
    }
}
