using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Files;

/// <summary>Files that the fuzzer found to be answered by another exception, or without their names.</summary>
public sealed class FoundByFuzzingTests : IDisposable
{
    private const string Recipe = """
        merge_method: ties
        base_model: base
        models: [{model: a, parameters: {weight: &w 0.5}}, {model: b, parameters: {weight: *w}}]
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"peft_type": "LORA", "r": 2, "target_modules": ["\ud800"]}""")]
    [InlineData("""{"peft_type": "\udc00x"}""")]
    [InlineData("""{"\ud800": 1, "peft_type": "LORA"}""")]
    public void HalfACharacterInAnAdapterIsRefused(string config)
    {
        string path = _folder.PathOf("adapter_config.json");
        File.WriteAllText(path, config);
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => PeftAdapter.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"\ud800": 0}""")]
    [InlineData("""{"a": 0, "b\udc00": 1}""")]
    [InlineData("{\"a\u00ff\": 0}")]
    public void HalfACharacterInAVocabularyIsRefusedByTheFilesName(string vocabulary)
    {
        string path = _folder.PathOf("vocab.json");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(vocabulary));
        File.WriteAllText(_folder.PathOf("merges.txt"), "");
        string message = Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
    }

    [Fact]
    public void AVocabularyOfTooFewPiecesIsRefused()
    {
        string path = _folder.PathOf("sentencepiece.bpe.model");
        using (var output = new CodedOutputStream(File.Create(path)))
        {
            // A piece '<unk>' of the unknown's type.
            output.WriteTag(1, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom([0x0a, 5, .. "<unk>"u8, 0x18, 2]));
        }

        string message = Assert.Throws<InvalidDataException>(() => CheckpointTokenizer.Load(_folder.Path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains("it has 1 pieces", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{a: ", "}")]
    [InlineData("- ", "")]
    public void ARecipeTooDeepForTheStackIsRefused(string open, string close)
    {
        string path = _folder.PathOf("merge.yml");
        File.WriteAllText(
            path,
            "models: \n  " + string.Concat(Enumerable.Repeat(open, 50_000)) + "1" + string.Concat(Enumerable.Repeat(close, 50_000))
        );
        string message = Assert.Throws<InvalidDataException>(() => MergeRecipeFile.Load(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains("more than 64 times", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AGraftOfManyTensorsIsReadInTimeThatGrowsWithTheirNumber()
    {
        // Each was looked for among all: 200,000 took minutes.
        const int Count = 200_000;
        string tensors = string.Concat(
            Enumerable.Range(0, Count).Select(i => $",\"{i}.indices\":{{\"dtype\":\"I32\",\"shape\":[0],\"data_offsets\":[0,0]}}")
        );
        byte[] header = Encoding.ASCII.GetBytes("{\"__metadata__\":{\"format\":\"skillloc-graft\",\"version\":\"1\"}" + tensors + "}");
        var time = System.Diagnostics.Stopwatch.StartNew();
        string message = Assert
            .Throws<InvalidDataException>(() => Graft.Load([.. BitConverter.GetBytes((long)header.Length), .. header], "x"))
            .Message;
        Assert.Contains("base_fingerprint", message, StringComparison.Ordinal);
        Assert.InRange(time.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void ARecipeThatIsDamagedAnywhereIsReadOrRefused()
    {
        string path = _folder.PathOf("merge.yml");
        int refused = Mutants.AreReadOrRefused(
            path,
            Mutants.OfBytes(Encoding.UTF8.GetBytes(Recipe), 600, 1),
            () => _ = MergeRecipeFile.Load(path).Recipes.Count
        );
        Assert.True(refused > 100, $"{refused}");
    }
}
