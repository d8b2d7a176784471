using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Neurons;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Sets of neurons, and how they are chosen.</summary>
public sealed class NeuronPropertyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static Gen<NeuronSet> Sets =>
        from layers in Gen.Choose(1, 4)
        from width in Gen.Choose(1, 9)
        from members in Gen.Elements(true, false).ArrayOf(layers * width)
        select new NeuronSet(members, layers, width);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void RangesOfLayersPartASet() =>
        PropertyCheck.ForAll(
            from set in Sets
            from cut in Gen.Choose(0, set.Layers)
            select (set, cut),
            given =>
            {
                NeuronSet low = given.set.Within(0, given.cut),
                    high = given.set.Within(given.cut, given.set.Layers);
                Assert.Equal(given.set.Members, low.Members.ToArray().Zip(high.Members.ToArray(), (one, other) => one || other).ToArray());
                Assert.Equal(given.set.Count, low.Count + high.Count);
                Assert.Equal(low.Members, low.Within(0, given.cut).Members);
                Assert.Equal(low.Members, given.set.Within(0, given.set.Layers).Within(0, given.cut).Members);
            }
        );

    [Fact]
    public void ControlsAndFilesKeepWhatTheySay() =>
        PropertyCheck.ForAll(
            from set in Sets
            from seed in Gen.Choose(0, int.MaxValue)
            select (set, seed),
            given =>
            {
                NeuronSet control = given.set.RandomControl(given.seed);
                Assert.Equal(
                    Enumerable.Range(0, given.set.Layers).Select(layer => given.set.Indices(layer).Length),
                    Enumerable.Range(0, control.Layers).Select(layer => control.Indices(layer).Length)
                );
                Assert.Equal(control.Members, given.set.RandomControl(given.seed).Members);
                string path = Path.Join(_folder, "set.safetensors");
                given.set.Save(path);
                var loaded = NeuronSet.Load(path);
                Assert.Equal((given.set.Layers, given.set.Width), (loaded.Layers, loaded.Width));
                Assert.Equal(given.set.Members, loaded.Members);
                Assert.Equal(
                    loaded.Members.ToArray(),
                    Enumerable
                        .Range(0, loaded.Layers)
                        .SelectMany(layer => Enumerable.Range(0, loaded.Width).Select(neuron => loaded.Indices(layer).Contains(neuron)))
                );
            }
        );

    [Fact]
    public void ChosenNeuronsAreTheBestOfTheirLayerAndGrowWithTheFraction() =>
        PropertyCheck.ForAll(
            from layers in Gen.Choose(1, 3)
            from width in Gen.Choose(1, 12)
            from margins in Gen.Choose(0, 8).Select(i => i / 16.0).ArrayOf(layers * width)
            from fractions in Gen.Choose(0, 100).ArrayOf(2)
            select (new NeuronValues(margins, layers, width), low: fractions.Min() / 100.0, high: fractions.Max() / 100.0),
            given =>
            {
                NeuronSet small = SkillNeurons.Select(given.Item1, given.low),
                    large = SkillNeurons.Select(given.Item1, given.high);
                for (int layer = 0; layer < large.Layers; layer++)
                {
                    int[] chosen = large.Indices(layer);
                    double[] margins = given.Item1.Of(layer).ToArray();
                    Assert.Equal(SkillNeurons.CountOf(given.high, large.Width), chosen.Length);
                    Assert.Equal(
                        margins.Index().OrderByDescending(pair => pair.Item).Select(pair => pair.Index).Take(chosen.Length).Order(),
                        chosen
                    );
                    Assert.Subset(chosen.ToHashSet(), small.Indices(layer).ToHashSet());
                }
            }
        );
}
