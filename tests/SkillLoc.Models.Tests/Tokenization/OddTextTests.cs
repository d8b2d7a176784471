using System.Text.Json;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

// Texts as people paste them, against the ids of the tokenizers library (tests/oracles/odd-texts.py).
public class OddTextTests
{
    [Theory]
    [InlineData("tiny-bert")]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    [InlineData("tiny-t5/spiece.model")]
    public void IdsEqualThoseOfHuggingFace(string name)
    {
        // tiny-t5 has another vocabulary in each of its two files.
        using var folder = new TemporaryFolder();
        if (name == "tiny-t5")
        {
            foreach (string? file in new[] { "config.json", "tokenizer.json" })
            {
                File.Copy(Oracles.PathOf(name, file), Path.Join(folder.Path, file));
            }
        }
        var tokenizer = CheckpointTokenizer.Load(name == "tiny-t5" ? folder.Path : OracleFolders.Of(name.Split('/')[0]));
        using var document = JsonDocument.Parse(File.ReadAllBytes(Oracles.PathOf("odd-texts.json")).AsMemory());
        Assert.Equal(13, document.RootElement.GetArrayLength());
        Assert.All(
            document.RootElement.EnumerateArray(),
            row =>
            {
                string text = row.GetProperty("text").GetString()!;
                string expected = string.Join(' ', row.GetProperty("ids").GetProperty(name).EnumerateArray());
                Assert.True(
                    expected == string.Join(' ', tokenizer.Encode(text)),
                    $"'{text}': {string.Join(' ', tokenizer.Encode(text))} instead of {expected}"
                );
            }
        );
    }

    // Half a surrogate pair is no text: Python's tokenizers refuse it, and it must not take anything else with it.
    [Theory]
    [InlineData("tiny-bert")]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    public void HalfASurrogatePairIsTheReplacementCharacter(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        foreach (string? half in new[] { "\uD83D", "\uDE00", "\uDE00\uD83D" })
        {
            Assert.Equal(tokenizer.Encode($"film {string.Concat(half.Select(_ => '\uFFFD'))} good"), tokenizer.Encode($"film {half} good"));
        }
    }
}
