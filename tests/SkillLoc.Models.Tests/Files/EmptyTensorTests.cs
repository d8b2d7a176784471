using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Files;

/// <summary>Empty tensors of several dimensions, whose values TorchSharp refuses to copy.</summary>
public sealed class EmptyTensorTests : IDisposable
{
    private readonly string _path = Path.Join(Directory.CreateTempSubdirectory("skillloc-").FullName, "empty.safetensors");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_path)!, recursive: true);

    [Fact]
    public void AGraftMayHaveThemInItsHead()
    {
        new Graft
        {
            BaseFingerprint = "f",
            Parts = [new("w", [], [])],
            HeadParameters = new Dictionary<string, TensorValues> { ["dense.weight"] = new([0, 3], []) },
        }.Save(_path);
        var loaded = Graft.Load(_path);
        Assert.Equal([0, 3], loaded.HeadParameters["dense.weight"].Shape);
        Assert.Empty(loaded.HeadParameters["dense.weight"].Values);
        Assert.Equal(0, loaded.Count);
    }

    [Fact]
    public void WeightsOfAMixtureAreRefusedAsDamaged()
    {
        var words = new ClassifierSettings { Labels = ["neg", "pos"], Words = ["bad", "good"] };
        using TextClassifier first = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), words),
            second = first.Clone();
        using (TorchSharp.DisposeScope scope = NewDisposeScope())
        using (IDisposable noGradients = no_grad())
        {
            second.Backbone.Parameters["lm_head.bias"].add_(1);
            new CheckpointMixture(first, second).Save(_path);
            Dictionary<string, string> metadata;
            using (var file = SafetensorsFile.Open(_path))
            {
                metadata = new(file.Metadata, StringComparer.Ordinal);
            }

            SafetensorsWriter.Write(_path, [("weights", zeros(0, 3))], metadata);
        }

        string message = Assert.Throws<InvalidDataException>(() => CheckpointMixture.Load(_path, first, second)).Message;
        Assert.Contains("must hold 1 numbers", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(2, 0)]
    public void NeuronsAreRefusedAsDamaged(int layers, int width)
    {
        using (TorchSharp.DisposeScope scope = NewDisposeScope())
        {
            SafetensorsWriter.Write(_path, [("empty", zeros(layers, width))]);
        }

        Assert.Contains(
            $"[{layers}, {width}]",
            Assert.Throws<InvalidDataException>(() => NeuronValues.Load(_path)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            $"[{layers}, {width}]",
            Assert.Throws<InvalidDataException>(() => NeuronSet.Load(_path)).Message,
            StringComparison.Ordinal
        );
    }
}
