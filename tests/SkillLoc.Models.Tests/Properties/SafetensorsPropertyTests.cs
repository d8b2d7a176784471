using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Tensors of any type and shape come back from files, with their names and metadata.</summary>
public sealed class SafetensorsPropertyTests : IDisposable
{
    private static readonly (ScalarType Type, int Size)[] Types =
    [
        (ScalarType.Float64, 8),
        (ScalarType.Float32, 4),
        (ScalarType.Float16, 2),
        (ScalarType.BFloat16, 2),
        (ScalarType.Int64, 8),
        (ScalarType.Int32, 4),
        (ScalarType.Int16, 2),
        (ScalarType.Int8, 1),
        (ScalarType.Byte, 1),
        (ScalarType.Bool, 1),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    /// <summary>Types, shapes from none to four dimensions, some of them empty, and bits of any value.</summary>
    private static Gen<(string Name, ScalarType Type, long[] Shape, byte[] Bits)[]> Files =>
        from entries in (
            from name in Text
            from type in Gen.Elements(Types)
            from shape in Gen.Choose(0, 4).Select(i => (long)i).UpTo(4)
            from bits in Gen.Choose(0, 255).ArrayOf(type.Size * (int)Count(shape))
            select (
                Name: name,
                type.Type,
                Shape: shape,
                Bits: Array.ConvertAll(bits, bit => (byte)(type.Type == ScalarType.Bool ? bit % 2 : bit))
            )
        ).UpTo(5)
        select entries.DistinctBy(entry => entry.Name).ToArray();

    private static Gen<string> Text =>
        Gen.Elements("a", "w.0", " ", "\"", "\\", "\n", "\t", "ü", "𝒜", "<", "\u2028", "\0", "__metadata", "/")
            .UpTo(3)
            .Select(string.Concat);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TensorsComeBackBitByBit() =>
        PropertyCheck.ForAll(
            from tensors in Files
            from metadata in (from key in Text from value in Text select (key, value)).UpTo(3)
            select (tensors, metadata: metadata.DistinctBy(pair => pair.key).ToDictionary(pair => pair.key, pair => pair.value)),
            given =>
            {
                using DisposeScope scope = NewDisposeScope();
                string path = Path.Join(_folder, "a.safetensors");
                SafetensorsWriter.Write(path, given.tensors.Select(entry => (entry.Name, Value: Of(entry))), given.metadata);
                using var file = SafetensorsFile.Open(path);
                Assert.Equal(given.metadata, file.Metadata);
                Assert.Equal(given.tensors.Select(entry => entry.Name), file.Tensors.Select(info => info.Name));
                foreach ((string name, ScalarType type, long[] shape, byte[] bits) in given.tensors)
                {
                    TensorInfo info = file.Tensors.Single(info => info.Name == name);
                    Assert.Equal((type, bits.Length), (info.Dtype, info.ByteLength));
                    Assert.Equal(shape, info.Shape);
                    Tensor read = file.Read(name);
                    Assert.Equal(type, read.dtype);
                    Assert.Equal(shape, read.shape);
                    Assert.Equal(bits, BitsOf(read));
                    byte[] stored = new byte[bits.Length];
                    file.CopyBytes(name, 0, stored);
                    Assert.Equal(bits, stored);
                }

                // What was read and is written again is the same file.
                using var again = new MemoryStream();
                SafetensorsWriter.Write(again, file.Tensors.Select(info => (info.Name, file.Read(info.Name))), file.Metadata);
                Assert.Equal(File.ReadAllBytes(path), again.ToArray());
            }
        );

    [Fact]
    public void TheLayoutOfATensorInMemoryDoesNotMatter() =>
        PropertyCheck.ForAll(
            from type in Gen.Elements(Types)
            from rows in Gen.Choose(0, 5)
            from columns in Gen.Choose(0, 5)
            from step in Gen.Choose(1, 3)
            select (type.Type, rows, columns, step),
            given =>
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor whole = arange(0, given.rows * given.columns * given.step, ScalarType.Int64)
                    .view(given.rows, given.columns * given.step)
                    .to(given.Type);
                Tensor spread = whole.t().slice(0, 0, given.columns * given.step, given.step);
                using var stream = new MemoryStream();
                SafetensorsWriter.Write(stream, [("w", spread)]);
                using var file = SafetensorsFile.FromBytes(stream.ToArray());
                Assert.Equal([given.columns, given.rows], file.Read("w").shape);
                Assert.Equal(BitsOf(spread.contiguous()), BitsOf(file.Read("w")));
            }
        );

    [Fact]
    public void AFileThatWasCutIsRefused() =>
        PropertyCheck.ForAll(
            from tensors in Files
            from share in Gen.Choose(0, 999)
            select (tensors, share),
            given =>
            {
                using DisposeScope scope = NewDisposeScope();
                using var stream = new MemoryStream();
                SafetensorsWriter.Write(stream, given.tensors.Select(entry => (entry.Name, Of(entry))));
                byte[] whole = stream.ToArray();
                Assert.Throws<InvalidDataException>(() => SafetensorsFile.FromBytes(whole.AsMemory(0, whole.Length * given.share / 1000)));
            }
        );

    private static long Count(long[] shape) => shape.Aggregate(1L, (product, size) => product * size);

    private static Tensor Of((string Name, ScalarType Type, long[] Shape, byte[] Bits) entry)
    {
        Tensor value = empty(entry.Shape, dtype: entry.Type);
        if (entry.Bits.Length > 0)
        {
            value.bytes = entry.Bits;
        }

        return value;
    }

    private static byte[] BitsOf(Tensor value) => value.numel() == 0 ? [] : value.bytes.ToArray();
}
