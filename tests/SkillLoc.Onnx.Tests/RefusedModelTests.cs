using System.Text;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Onnx;

namespace SkillLoc.Onnx.Tests;

/// <summary>What is no exported classifier is refused, with its name and the reason.</summary>
public sealed class RefusedModelTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");
    private readonly byte[] _good;

    public RefusedModelTests()
    {
        using TextClassifier classifier = OnnxCases.Create("BERT, label words");
        classifier.SaveOnnx(File);
        _good = System.IO.File.ReadAllBytes(File);
    }

    private string File => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(40_000)]
    public void DamagedFilesAre(int length)
    {
        string message = Refused<InvalidDataException>(_good[..length]);
        Assert.Contains("model.onnx", message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherFilesAre()
    {
        Refused<InvalidDataException>("no model at all, but a text"u8.ToArray());
        Assert.Contains(
            "SaveOnnx",
            Refused<InvalidDataException>(Replaced("skillloc.settings", "skillloc.settingz")),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "padding",
            Refused<InvalidDataException>(Replaced("skillloc.padding_id", "skillloc.padding_ib")),
            StringComparison.Ordinal
        );
        Assert.Contains("tokenizer", Refused<InvalidDataException>(Replaced("zer/vocab.txt", "zer/vocab.txz")), StringComparison.Ordinal);
        Assert.Contains("labels", Refused<InvalidDataException>(Replaced("\"labels\"", "\"lobels\"")), StringComparison.Ordinal);
        Assert.Contains("inputs", Refused<InvalidDataException>(Replaced("attention_mask", "attention_musk")), StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => OnnxTextScorer.Load(Path.Combine(_folder.FullName, "none.onnx")));
    }

    [Fact]
    public void AnOperatorSetThatTheRuntimeLacksIs()
    {
        byte[] changed = [.. _good];
        int place = changed.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x42, 0x04, 0x0A, 0x00, 0x10, OnnxModelBuilder.Opset]);
        changed[place + 5] = 127;
        Assert.Contains("127", Refused<NotSupportedException>(changed), StringComparison.Ordinal);
    }

    [Fact]
    public void AnUnknownOperatorIs() =>
        Assert.Contains("Softmux", Refused<NotSupportedException>(Replaced("Softmax", "Softmux")), StringComparison.Ordinal);

    [Fact]
    public void LongTextsAreCutAndAPromptOverTheLimitIsAnError()
    {
        using var scorer = OnnxTextScorer.Load(_good);
        string text = string.Concat(Enumerable.Repeat("a film that nobody needs ", 4000));
        Assert.Equal(scorer.Settings.MaxLength, scorer.Encode(text).Ids.Length);
        Assert.Equal(1, scorer.Score([text])[0].Sum(), 1e-5f);

        using var tight = OnnxTextScorer.Load(Replaced("\"max_length\": 40", "\"max_length\":  3"));
        Assert.Contains("MaxLength", Assert.Throws<InvalidDataException>(() => tight.Score(["a"])).Message, StringComparison.Ordinal);
    }

    private string Refused<T>(byte[] bytes)
        where T : Exception
    {
        System.IO.File.WriteAllBytes(File, bytes);
        return Assert.Throws<T>(() => OnnxTextScorer.Load(File)).Message;
    }

    /// <summary>The good file with every occurrence of a text as another of its length.</summary>
    private byte[] Replaced(string text, string other)
    {
        Assert.Equal(text.Length, other.Length);
        byte[] changed = [.. _good];
        byte[] wanted = Encoding.UTF8.GetBytes(text);
        int count = 0;
        for (int place = 0; changed.AsSpan(place).IndexOf(wanted) is >= 0 and var found; count++)
        {
            place += found;
            Encoding.UTF8.GetBytes(other, changed.AsSpan(place));
        }

        Assert.NotEqual(0, count);
        return changed;
    }
}
