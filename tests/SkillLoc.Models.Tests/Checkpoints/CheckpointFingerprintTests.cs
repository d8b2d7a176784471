using System.Buffers.Binary;
using System.Security.Cryptography;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

public class CheckpointFingerprintTests
{
    [Fact]
    public void IsTheHashOfNamesShapesAndFloat32Values()
    {
        using DisposeScope scope = NewDisposeScope();
        List<byte> bytes = [];
        void Add(long number)
        {
            byte[] eight = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(eight, number);
            bytes.AddRange(eight);
        }

        Add(1);
        bytes.AddRange("B"u8.ToArray());
        Add(2);
        Add(1);
        Add(2);
        bytes.AddRange([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]); // 1, -2.5
        Add(1);
        bytes.AddRange("a"u8.ToArray());
        Add(0);
        bytes.AddRange([0, 0, 0, 0x40]); // 2
        Assert.Equal(
            Convert.ToHexStringLower(SHA256.HashData([.. bytes])),
            CheckpointFingerprint.Compute([("a", torch.tensor(2f)), ("B", torch.tensor(new[] { 1f, -2.5f }).reshape(1, 2))])
        );
    }

    [Fact]
    public void DoesNotDependOnFormatOrderLayoutOrWiderType()
    {
        using DisposeScope scope = NewDisposeScope();
        using var safetensors = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "model.safetensors"));
        using var bin = TorchCheckpointFile.Open(Oracles.PathOf("tiny-roberta", "pytorch_model.bin"));
        var names = safetensors.Tensors.Select(info => info.Name).ToList();
        string expected = CheckpointFingerprint.Compute(safetensors);
        Assert.Equal(64, expected.Length);
        Assert.Equal(expected, CheckpointFingerprint.Compute(bin, names));
        Assert.Equal(expected, CheckpointFingerprint.Compute(safetensors.ReadAll().Reverse()));
        Assert.Equal(expected, CheckpointFingerprint.Compute(safetensors.ReadAll(ScalarType.Float64)));
        Assert.Equal(
            expected,
            CheckpointFingerprint.Compute(safetensors.ReadAll().Select(tensor => (tensor.Name, tensor.Value.flip(0).flip(0))))
        );

        IReadOnlyList<(string Name, Tensor Value)> half = safetensors.ReadAll(ScalarType.BFloat16);
        Assert.Equal(
            CheckpointFingerprint.Compute(half),
            CheckpointFingerprint.Compute(half.Select(tensor => (tensor.Name, tensor.Value.to(ScalarType.Float32))))
        );
        Assert.NotEqual(expected, CheckpointFingerprint.Compute(half));
    }

    [Fact]
    public void TellsNamesShapesAndValuesApart()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor six = torch.arange(6, dtype: ScalarType.Float32);
        string[] fingerprints =
        [
            CheckpointFingerprint.Compute([]),
            CheckpointFingerprint.Compute([("a", six)]),
            CheckpointFingerprint.Compute([("b", six)]),
            CheckpointFingerprint.Compute([("a", six.reshape(2, 3))]),
            CheckpointFingerprint.Compute([("a", six.reshape(3, 2))]),
            CheckpointFingerprint.Compute([("a", six.narrow(0, 0, 3)), ("b", six.narrow(0, 3, 3))]),
            CheckpointFingerprint.Compute([("a", six + 1)]),
        ];
        Assert.Equal(fingerprints.Length, fingerprints.Distinct().Count());
        Assert.Throws<ArgumentException>(() => CheckpointFingerprint.Compute([("a", six), ("a", six)]));
    }
}
