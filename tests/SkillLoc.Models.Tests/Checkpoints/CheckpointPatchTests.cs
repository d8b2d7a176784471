using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

public sealed class CheckpointPatchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly (string Name, Tensor Value)[] _before;
    private readonly (string Name, Tensor Value)[] _after;

    public CheckpointPatchTests()
    {
        manual_seed(1);
        Tensor words = randn(5, 4),
            matrix = randn(6, 4),
            bias = randn(6),
            moved = matrix.clone();
        moved[TensorIndex.Single(0)] = matrix[0].add(randn(4).mul(1e-3f));
        moved[TensorIndex.Single(2)] = matrix[2].add(randn(4));
        _before = [("words", words), ("matrix", matrix), ("bias", bias), ("pooler", randn(2, 2))];
        _after = [("words", words.clone()), ("matrix", moved), ("bias", bias.add(0.25f)), ("head", randn(3, 4))];
        CheckpointPatch.Write(Path, _before, _after, new Dictionary<string, string> { ["steps"] = "12" });
    }

    private string Path => _folder.PathOf("patch.safetensors");

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void MatricesAreOffByHalfAStepOfTheirRowAndTheRestByAFloat16()
    {
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using var file = SafetensorsFile.Open(Path);
        IReadOnlyList<(string Name, Tensor Value)> applied = CheckpointPatch.Apply(file, _before);
        Assert.Equal(live + applied.Count, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        // Unchanged: not stored. Left away after: still there.
        Assert.Equal(["words", "matrix", "bias", "pooler", "head"], applied.Select(tensor => tensor.Name));
        Assert.Equal(["bias", "head", "matrix.step", "matrix.steps"], file.Tensors.Select(info => info.Name).Order(StringComparer.Ordinal));
        Assert.Equal("12", file.Metadata["steps"]);
        var values = applied.ToDictionary(tensor => tensor.Name, tensor => tensor.Value);
        Assert.True(values["words"].Equals(_before[0].Value) && values["pooler"].Equals(_before[3].Value));
        Assert.False(ReferenceEquals(values["words"], _before[0].Value));
        Tensor off = values["matrix"].sub(_after[1].Value).abs(),
            allowed = _after[1].Value.sub(_before[1].Value).abs().amax([1L], keepdim: true).mul(0.5f / 127);
        Assert.True(off.sub(allowed).max().item<float>() < 1e-6f);
        Assert.True(values["matrix"][1].Equals(_before[1].Value[1]));
        Assert.False(values["matrix"][0].Equals(_before[1].Value[0]));
        Assert.True(values["bias"].Equals(_after[2].Value.to(ScalarType.Float16).to(ScalarType.Float32)));
        Assert.True(values["head"].Equals(_after[3].Value.to(ScalarType.Float16).to(ScalarType.Float32)));
        foreach (Tensor value in values.Values)
        {
            value.Dispose();
        }
    }

    [Fact]
    public void OtherWeightsAndOtherFilesAreRefused()
    {
        using (var file = SafetensorsFile.Open(Path))
        {
            (string Name, Tensor Value)[] other = [.. _before];
            other[1] = ("matrix", _before[1].Value.add(1e-6f));
            Assert.Contains(
                "other weights",
                Assert.Throws<InvalidDataException>(() => CheckpointPatch.Apply(file, other)).Message,
                StringComparison.Ordinal
            );
            Assert.Contains(
                "other weights",
                Assert.Throws<InvalidDataException>(() => CheckpointPatch.Apply(file, _before[2..])).Message,
                StringComparison.Ordinal
            );
            other[1] = _before[1];
            other[2] = ("bias", ones(5));
            Assert.Contains(
                "'bias' is of shape [6]",
                Assert.Throws<InvalidDataException>(() => CheckpointPatch.Apply(file, other)).Message,
                StringComparison.Ordinal
            );
        }

        string plain = _folder.PathOf("plain.safetensors");
        SafetensorsWriter.Write(plain, _after);
        using var none = SafetensorsFile.Open(plain);
        Assert.Contains(
            "not a checkpoint's difference",
            Assert.Throws<InvalidDataException>(() => CheckpointPatch.Apply(none, _before)).Message,
            StringComparison.Ordinal
        );
        (string Name, Tensor Value)[] odd = [("matrix", ones(2, 2))];
        Assert.Contains(
            "'matrix'",
            Assert.Throws<ArgumentException>(() => CheckpointPatch.Write(plain, _before, odd)).Message,
            StringComparison.Ordinal
        );
    }
}
