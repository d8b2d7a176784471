using System.Text.Encodings.Web;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Pretrain;

/// <summary>
/// Trains a byte-level BPE vocabulary as RoBERTa and GPT-2 have it. Sennrich, Haddow and Birch (2016), Neural machine translation
/// of rare words with subword units, section 3.2, over bytes.
/// </summary>
/// <remarks>The most frequent pair is merged first; of equally frequent ones that of the lower ids. The same texts give the same
/// vocabulary.</remarks>
public sealed class ByteLevelBpeTrainer
{
    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>How many tokens the vocabulary holds at most, special ones and the 256 bytes included.</summary>
    public int VocabularySize { get; init; } = 12_000;

    /// <summary>How often a pair must occur to be merged.</summary>
    public int MinFrequency { get; init; } = 2;

    /// <summary>The tokens that come first and that no text is encoded to.</summary>
    public IReadOnlyList<string> SpecialTokens { get; init; } = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

    /// <summary>Words that become single tokens, with a space before them, however rare they are: label words.</summary>
    public IReadOnlyList<string> WholeWords { get; init; } = [];

    /// <summary>Trains on texts and writes <c>vocab.json</c> and <c>merges.txt</c>, which Hugging Face's tokenizers read too.</summary>
    /// <param name="texts">The texts, of any length.</param>
    /// <param name="folder">Where to write; made when it is not there.</param>
    /// <exception cref="InvalidOperationException">
    /// A whole word is not one word, or the vocabulary is too small for the special tokens, the bytes and the whole words.
    /// </exception>
    public void Train(IEnumerable<string> texts, string folder)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        int room = VocabularySize - SpecialTokens.Count - 256;
        if (room < 0)
        {
            throw TooSmall();
        }

        string[] spelt = WholeWords.Select(Spell).ToArray();
        List<(string Left, string Right)> merges = new BytePairLearner(CountWords(texts), SpecialTokens).Learn(
            room,
            Math.Max(1, MinFrequency)
        );
        merges = WithWholeWords(merges, spelt, room);

        IEnumerable<string> tokens = SpecialTokens
            .Concat(Enumerable.Range(0, 256).Select(b => ByteAlphabet.CharOf((byte)b).ToString()))
            .Concat(merges.Select(merge => merge.Left + merge.Right))
            .Distinct(StringComparer.Ordinal);
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string? token in tokens)
        {
            vocabulary.Add(token, vocabulary.Count);
        }

        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "vocab.json"), JsonSerializer.Serialize(vocabulary, Json));
        AtomicFile.WriteText(
            Path.Combine(folder, "merges.txt"),
            string.Concat(merges.Select(merge => $"{merge.Left} {merge.Right}\n").Prepend("#version: 0.2\n"))
        );
    }

    private static Dictionary<string, long> CountWords(IEnumerable<string> texts)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            foreach ((int offset, int length) in ByteLevelPreTokenizer.Split(text))
            {
                ReadOnlySpan<char> word = text.AsSpan(offset, length);
                lookup.TryGetValue(word, out long count);
                lookup[word] = count + 1;
            }
        }
        return counts;
    }

    private static string Spell(string word)
    {
        string text = " " + word;
        return !string.IsNullOrEmpty(word) && ByteLevelPreTokenizer.Split(text).Count() == 1
            ? ByteAlphabet.Spell(text)
            : throw new InvalidOperationException($"'{word}' is not one word, so it cannot become one token.");
    }

    // The last merges give way to those that finish the whole words.
    private List<(string Left, string Right)> WithWholeWords(List<(string Left, string Right)> merges, string[] words, int room)
    {
        for (int kept = merges.Count; ; )
        {
            List<(string Left, string Right)> all = merges[..kept];
            foreach (string word in words)
            {
                Finish(all, word);
            }

            int surplus = all.Select(merge => merge.Left + merge.Right).Distinct(StringComparer.Ordinal).Count() - room;
            if (surplus <= 0)
            {
                return all;
            }

            if (kept == 0)
            {
                throw TooSmall();
            }

            kept -= Math.Min(surplus, kept);
        }
    }

    // Merges that come after all others change nothing that is whole already.
    private static void Finish(List<(string Left, string Right)> merges, string word)
    {
        var ranks = new Dictionary<(string Left, string Right), int>();
        for (int i = 0; i < merges.Count; i++)
        {
            ranks.TryAdd(merges[i], i);
        }

        var pieces = word.Select(c => c.ToString()).ToList();
        while (pieces.Count > 1)
        {
            int best = Enumerable.Range(0, pieces.Count - 1).MinBy(i => ranks.GetValueOrDefault((pieces[i], pieces[i + 1]), int.MaxValue));
            if (ranks.TryAdd((pieces[best], pieces[best + 1]), merges.Count))
            {
                merges.Add((pieces[best], pieces[best + 1]));
            }

            pieces[best] += pieces[best + 1];
            pieces.RemoveAt(best + 1);
        }
    }

    private InvalidOperationException TooSmall() =>
        new(
            $"A vocabulary of {VocabularySize} has no room for {SpecialTokens.Count} special tokens, 256 bytes and the pieces of "
                + $"{WholeWords.Count} whole words."
        );
}
