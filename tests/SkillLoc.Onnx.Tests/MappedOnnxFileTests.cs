using System.Text;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx.Tests;

/// <summary>A session whose weights were mapped while it was opened computes what one computes that ONNX Runtime opened by itself.</summary>
public sealed class MappedOnnxFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-mapped-");

    public static TheoryData<string> Names => [.. OnnxCases.Names];

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryKindOfModelComputesTheSame(string name)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Files are mapped on Linux only.");
        foreach (OnnxQuantization quantization in Enum.GetValues<OnnxQuantization>())
        {
            EncodedText[] rows;
            using (TextClassifier torch = OnnxCases.Create(name))
            {
                torch.SaveOnnx(Model, new() { Quantization = quantization });
                rows = [.. OnnxCases.Texts.Select(text => torch.Encode(text, torch.Settings.HasTextPair ? OnnxCases.SecondText : null))];
            }

            using OnnxSession? mapped = MappedOnnxFile.TryOpen(Model, () => new(), "it", leastBytes: 64);
            using var plain = new InferenceSession(File.ReadAllBytes(Model));
            Assert.NotNull(mapped);
            Assert.Equal(plain.ModelMetadata.CustomMetadataMap, mapped.Inner.ModelMetadata.CustomMetadataMap);
            Assert.Equal(Run(plain, rows), Run(mapped.Inner, rows));
        }
    }

    /// <summary>Matrices are mapped while they are packed, embeddings are shared, and afterwards the file may change.</summary>
    [Fact]
    public void TheFileMayBeOverwrittenOnceItIsOpen()
    {
        using (var embedder = new TextEmbedder(Checkpoints.MiniLMEncoder(), isNormalised: true))
        {
            embedder.SaveOnnx(Model);
        }

        using (FileStream file = File.OpenRead(Model))
        {
            var read = new MappedOnnxFile(file, "model.onnx");
            Assert.Contains(read.Shared, weight => weight.Value.Shape is [30522, 384]);
            Assert.InRange(read.Rest.Length, 1, 2_000_000);
        }

        string[] texts = ["a lovely film", "a dull one, and much too long"];
        using var onnx = OnnxTextEmbedder.Load(Model);
        float[][] wanted = onnx.Embed(texts);
        if (OperatingSystem.IsLinux())
        {
            Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => line.Contains(Model, StringComparison.Ordinal));
        }

        using (FileStream file = File.OpenWrite(Model))
        {
            file.SetLength(100);
        }

        Assert.Equal(wanted, onnx.Embed(texts));
    }

    [Theory]
    [InlineData("0801", "it has no graph")]
    [InlineData("3a050a", "it has fields that are longer than what they lie in, or too many")]
    [InlineData("3d00000000", "a field is neither a number nor bytes")]
    [InlineData("3a", "a number is too long, or the file ends in it")]
    [InlineData("3affffffffffffffffffffff", "a number is too long, or the file ends in it")]
    [InlineData("3a00" + "7206" + "0a0161" + "0a0162", "its metadata are no pairs of texts, or one is there twice")]
    [InlineData(
        "3a00" + "7206" + "0a0161" + "120162" + "7206" + "0a0161" + "120163",
        "its metadata are no pairs of texts, or one is there twice"
    )]
    [InlineData(
        "3a15" + "2a13" + "0803" + "1001" + "420177" + "4a0a00000000000000000000",
        "the values of a weight are not as many as its shape says"
    )]
    [InlineData(
        "3a23" + "2a21" + "08ffffffffffffffffff01" + "08ffffffffffffffffff01" + "1001" + "420177" + "4a0400000000",
        "the values of a weight are not as many as its shape says"
    )]
    public void ADamagedFileIsLeftToOnnxRuntime(string bytes, string message)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            new MappedOnnxFile(new MemoryStream(Convert.FromHexString(bytes)), "x.onnx", leastBytes: 1)
        );
        Assert.Equal($"x.onnx: {message}.", error.Message);
        File.WriteAllBytes(Model, Convert.FromHexString(bytes));
        Assert.Null(MappedOnnxFile.TryOpen(Model, () => new(), "it", leastBytes: 1));
    }

    /// <summary>Only what nothing but products reads, as their second input, is left to be mapped.</summary>
    [Fact]
    public void WeightsThatOthersReadAreShared()
    {
        byte[] graph =
        [
            .. Field(1, [.. Field(1, "x"u8), .. Field(1, "both"u8), .. Field(2, "y"u8), .. Field(4, "MatMul"u8)]),
            .. Field(1, [.. Field(1, "both"u8), .. Field(1, "ids"u8), .. Field(2, "z"u8), .. Field(4, "Gather"u8)]),
            .. Field(1, [.. Field(1, "first"u8), .. Field(1, "second"u8), .. Field(2, "u"u8), .. Field(4, "MatMul"u8)]),
            .. Weight("both", isPacked: true),
            .. Weight("first"),
            .. Weight("second"),
        ];
        var read = new MappedOnnxFile(new MemoryStream(Field(7, graph)), "x.onnx", leastBytes: 8);
        Assert.Equal(["both", "first"], read.Shared.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([0, 1, 2, 3], read.Shared["both"].Values);
        Assert.Equal([2, 2], read.Shared["both"].Shape);
        string rest = Encoding.Latin1.GetString(read.Rest);
        Assert.Equal(3, rest.Split("location").Length - 1);
        Assert.Contains("x.onnx", rest, StringComparison.Ordinal);
    }

    private static byte[] Weight(string name, bool isPacked = false)
    {
        byte[] values = [.. new float[] { 0, 1, 2, 3 }.SelectMany(BitConverter.GetBytes)];
        byte[] shape = isPacked ? [0x0a, 2, 2, 2] : [0x08, 2, 0x08, 2];
        return Field(5, [.. shape, 0x10, 1, .. Field(8, Encoding.UTF8.GetBytes(name)), .. Field(9, values)]);
    }

    internal static byte[] Field(int number, ReadOnlySpan<byte> content)
    {
        byte[] length = content.Length < 128 ? [(byte)content.Length] : [(byte)(content.Length | 128), (byte)(content.Length >> 7)];
        return [(byte)((number << 3) | 2), .. length, .. content];
    }

    private static float[][] Run(InferenceSession session, EncodedText[] rows)
    {
        float[][] results = new float[rows.Length][];
        using var run = new RunOptions();
        OnnxRows.Run(
            session,
            run,
            rows,
            [.. Enumerable.Range(0, rows.Length)],
            OnnxRows.InputsOf(session, "it"),
            0,
            ["probabilities"],
            results
        );
        return results;
    }
}
