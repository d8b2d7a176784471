using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Neurons;

public sealed class SkillNeuronsTests
{
    [Theory]
    [InlineData(0.01, 30)]
    [InlineData(0.02, 61)]
    [InlineData(0.05, 153)]
    [InlineData(0.1, 307)]
    [InlineData(0.2, 614)]
    public void CountsOfRobertaBase(double fraction, int count) => Assert.Equal(count, SkillNeurons.CountOf(fraction, 3072));

    [Fact]
    public void CountsAreThoseOfDecimalFractions()
    {
        Assert.Equal(29, SkillNeurons.CountOf(0.29, 100));
        Assert.Equal(7, SkillNeurons.CountOf(0.07, 100));
        Assert.Equal(57, SkillNeurons.CountOf(0.57, 100));
    }

    [Fact]
    public void FilesAreNamedAsTheReferenceNamesThem() =>
        Assert.Equal(
            "0.0 0.01 0.02 0.03 0.04 0.05 0.06 0.07 0.08 0.09 0.1 0.11 0.12 0.13 0.14 0.15 0.16 0.17 0.18 0.19 0.2",
            string.Join(' ', SkillNeurons.Fractions.Select(SkillNeurons.NameOf))
        );

    [Theory]
    [InlineData("0.02")]
    [InlineData("0.05")]
    [InlineData("0.1")]
    [InlineData("0.2")]
    public void SetsOfTheOraclesAccuraciesAreTheOracles(string name)
    {
        var accuracies = NeuronValues.Load(Oracles.PathOf("neurons.safetensors"), "acc.dev", [3, 8, 96]);
        var expected = NeuronSet.Load(Oracles.PathOf("neurons.safetensors"), "selected." + name, [3, 96]);
        NeuronSet selected = SkillNeurons.Select(
            Predictivity.Margins([accuracies]),
            double.Parse(name, System.Globalization.CultureInfo.InvariantCulture)
        );
        Assert.Equal(expected.Members.ToArray(), selected.Members.ToArray());
    }

    [Fact]
    public void PredictivityIsTheDistanceFromChanceAtTheBestSlotThenOverRuns()
    {
        // Two slots, three neurons.
        var first = new NeuronValues([0.5, 0.9, 0.2, 0.6, 0.7, 0.4], 1, 2, 3);
        var second = new NeuronValues([0.3, 0.5, 0.5, 0.5, 0.5, 0.5], 1, 2, 3);
        Assert.Equal([0.6, 0.9, 0.8], Predictivity.Of([first]).Values.ToArray(), Close);
        Assert.Equal([0.65, 0.7, 0.65], Predictivity.Of([first, second]).Values.ToArray(), Close);
        Assert.Equal([0.6, 0.5, 0.5], Predictivity.Of([first, second], RunAggregation.Minimum).Values.ToArray(), Close);
        Assert.Equal([1, 0, 0], Predictivity.BestSlots(first));
    }

    [Fact]
    public void TheLowerOfEqualsWinsAndEmptyAndFullSetsAreSets()
    {
        var values = new NeuronValues([0.6, 0.7, 0.7, 0.7, 0.9, 0.5, 0.5, 0.5], 2, 4);
        Assert.Equal([false, true, true, false, true, true, false, false], SkillNeurons.Select(values, 0.5).Members.ToArray());
        Assert.Equal(0, SkillNeurons.Select(values, 0).Count);
        Assert.Equal(8, SkillNeurons.Select(values, 1).Count);
    }

    [Fact]
    public void TwoSubtasksShareASetAndFillIt()
    {
        // Rankings: pn 0 1 2 3 4 5 ..., neu 1 0 9 8 7 6 ...; k = 5 takes {0, 1} from both, then three more.
        double[] pn = [.. Enumerable.Range(0, 10).Select(i => 1 - (i / 20.0))];
        int[] order = [1, 0, 9, 8, 7, 6, 5, 4, 3, 2];
        double[] neu = [.. Enumerable.Range(0, 10).Select(i => 1 - (Array.IndexOf(order, i) / 20.0))];
        NeuronValues[] subtasks = [new(pn, 1, 10), new(neu, 1, 10)];
        Assert.Equal([0, 1, 2, 3, 9], SkillNeurons.Select(subtasks, 0.5).Indices(0));
        Assert.Equal([0, 1, 7, 8, 9], SkillNeurons.Select(subtasks, 0.5, SubtaskFill.Last).Indices(0));

        // Without an overlap and with an even k the two are one algorithm.
        NeuronValues[] apart = [new(pn, 1, 10), new([.. pn.Reverse()], 1, 10)];
        Assert.Equal([0, 1, 8, 9], SkillNeurons.Select(apart, 0.4).Indices(0));
        Assert.Equal([0, 1, 8, 9], SkillNeurons.Select(apart, 0.4, SubtaskFill.Last).Indices(0));
    }

    [Fact]
    public void TheReferencesMultiClassFile001HasFifteenOfThePrimaryListAndThirtyInAll()
    {
        double[] primary = [.. Enumerable.Range(0, 3072).Select(i => 1 - (i / 10000.0))];
        NeuronSet set = SkillNeurons.Select([new(primary, 1, 3072), new([.. primary.Reverse()], 1, 3072)], 0.01, SubtaskFill.Last);
        Assert.Equal(Enumerable.Range(0, 15).Concat(Enumerable.Range(3072 - 15, 15)), set.Indices(0));
    }

    [Theory]
    [InlineData(2, SubtaskFill.RoundRobin)]
    [InlineData(3, SubtaskFill.RoundRobin)]
    [InlineData(4, SubtaskFill.Last)]
    public void SetsOfSubtasksHaveExactlyTheirShareAndEverySubtasksTop(int subtasks, SubtaskFill fill)
    {
        var random = new Random(subtasks);
        NeuronValues[] values =
        [
            .. Enumerable
                .Range(0, subtasks)
                .Select(_ => new NeuronValues([.. Enumerable.Range(0, 150).Select(_ => 0.5 + (random.Next(20) / 40.0))], 3, 50)),
        ];
        foreach (double fraction in SkillNeurons.Fractions)
        {
            int count = SkillNeurons.CountOf(fraction, 50);
            NeuronSet set = SkillNeurons.Select(values, fraction, fill);
            NeuronSet[] tops = [.. values.Select(each => SkillNeurons.Select(each, (double)(count / subtasks) / 50))];
            for (int layer = 0; layer < 3; layer++)
            {
                Assert.Equal(count, set.Indices(layer).Length);
                Assert.All(tops, top => Assert.Subset(set.Indices(layer).ToHashSet(), top.Indices(layer).ToHashSet()));
            }
        }
    }

    [Fact]
    public void ControlsHaveTheSameCountsAndOtherNeurons()
    {
        NeuronSet set = SkillNeurons
            .Select(new NeuronValues([.. Enumerable.Range(0, 300).Select(i => i / 300.0)], 3, 100), 0.1)
            .Within(1, 3);
        NeuronSet control = set.RandomControl(1);
        Assert.Equal([0, 10, 10], Enumerable.Range(0, 3).Select(layer => control.Indices(layer).Length));
        Assert.Equal(control.Members.ToArray(), set.RandomControl(1).Members.ToArray());
        Assert.NotEqual(control.Members.ToArray(), set.RandomControl(2).Members.ToArray());
        Assert.NotEqual(control.Members.ToArray(), set.Members.ToArray());
    }

    [Fact]
    public void ValuesAndSetsComeBackFromFiles()
    {
        using var folder = new TemporaryFolder();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var values = new NeuronValues([.. Enumerable.Range(0, 24).Select(i => (i / 24.0) + 1e-15)], 2, 3, 4);
        string path = Path.Join(folder.Path, "dev_perf.safetensors");
        values.Save(path);
        Assert.Equal(values.Values.ToArray(), NeuronValues.Load(path, "dev_perf", [2, 3, 4]).Values.ToArray());

        NeuronValues predictivity = Predictivity.Margins([values]);
        SkillNeurons.SaveAll(Path.Join(folder.Path, "info"), [predictivity]);
        Assert.Equal(21, Directory.GetFiles(Path.Join(folder.Path, "info")).Length);
        Assert.Equal(0, NeuronSet.Load(Path.Join(folder.Path, "info", "0.2.safetensors"), expectedShape: [2, 4]).Count);
        NeuronSet half = SkillNeurons.Select(predictivity, 0.5);
        half.Save(Path.Join(folder.Path, "half.safetensors"));
        Assert.Equal(half.Members.ToArray(), NeuronSet.Load(Path.Join(folder.Path, "half.safetensors")).Members.ToArray());
        using (var file = SafetensorsFile.Open(Path.Join(folder.Path, "half.safetensors")))
        {
            Assert.Equal(ScalarType.Bool, file.Tensors.Single().Dtype);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void FilesOfAnotherShapeAreRefusedWithBothShapes()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Join(folder.Path, "a.safetensors");
        new NeuronValues([1, 2, 3, 4, 5, 6], 2, 3).Save(path);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => NeuronValues.Load(path, expectedShape: [2, 4]));
        Assert.Contains("[2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 4]", error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "must be 0 or 1",
            Assert.Throws<InvalidDataException>(() => NeuronSet.Load(path)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains("'b'", Assert.Throws<InvalidDataException>(() => NeuronValues.Load(path, "b")).Message, StringComparison.Ordinal);
        string oracle = Oracles.PathOf("neurons.safetensors");
        Assert.Contains(
            "[40]",
            Assert.Throws<InvalidDataException>(() => NeuronValues.Load(oracle, "dev_labels")).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(-0.01)]
    [InlineData(1.01)]
    [InlineData(double.NaN)]
    public void AFractionIsFromZeroToOne(double fraction)
    {
        var values = new NeuronValues([0.5, 0.6], 1, 2);
        Assert.Throws<ArgumentOutOfRangeException>(() => SkillNeurons.Select(values, fraction));
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        var flat = new NeuronValues([0.5, 0.6], 1, 2);
        Assert.Throws<ArgumentException>(() => SkillNeurons.Select([flat, new NeuronValues([0.5, 0.6, 0.7], 1, 3)], 0.5));
        Assert.Throws<ArgumentException>(() => SkillNeurons.Select(new NeuronValues([0.5, 0.6], 1, 1, 2), 0.5));
        Assert.Throws<ArgumentException>(() => Predictivity.Of([]));
        Assert.Throws<ArgumentException>(() => Predictivity.Of([flat, new NeuronValues([0.5, 0.6, 0.7], 1, 3)]));
        Assert.Contains(
            "1.5",
            Assert.Throws<ArgumentException>(() => Predictivity.Of([new NeuronValues([1.5], 1, 1)])).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => new NeuronValues([1, 2], 3));
        Assert.Throws<ArgumentException>(() => new NeuronValues([1, 2], 1, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => SkillNeurons.Select(flat, 1).Within(0, 2));
    }

    private static bool Close(double expected, double actual) => Math.Abs(expected - actual) < 1e-12;
}
