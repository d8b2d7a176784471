using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Tokenization;
using SkillLoc.Pretrain;

namespace SkillLoc.EndToEnd.Tests;

public sealed class ByteLevelBpeTrainerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("bpe-trainer-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void SpecialTokensComeFirstThenBytesThenMerges()
    {
        CheckpointTokenizer tokenizer = Train(new ByteLevelBpeTrainer { VocabularySize = 270 }, "low lower lowest", "new newer newest low");
        Assert.Equal((0, 1, 2, 3, 4), (tokenizer.ClsId, tokenizer.PadId, tokenizer.SepId, tokenizer.UnknownId, tokenizer.MaskId));
        Assert.Equal("Ā", tokenizer.TokenOf(5));
        Assert.Equal("lo", tokenizer.TokenOf(5 + 256));
        Assert.True(tokenizer.VocabularySize <= 270);
        tokenizer.CheckVocabulary(270);
    }

    [Fact]
    public void MergesAreThoseOfCountingAnewEveryTime()
    {
        Gen<List<string>> gen = Gen.Elements("ab", "abc", "aa", "aaaa", "cab ", " ", "é", "b a", "abab")
            .ListOf(30)
            .Select(parts => string.Concat(parts))
            .ListOf(5);
        Prop.ForAll(
                Arb.From(gen),
                texts =>
                {
                    new ByteLevelBpeTrainer
                    {
                        VocabularySize = 5 + 256 + 12,
                        SpecialTokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                    }.Train(texts, _folder.FullName);
                    IEnumerable<string> learnt = File.ReadLines(Path.Combine(_folder.FullName, "merges.txt")).Skip(1);
                    return learnt.SequenceEqual(NaiveMerges(texts, 12, 2));
                }
            )
            .QuickCheckThrowOnFailure();
    }

    [Fact]
    public void WholeWordsBecomeSingleTokensWithinTheSize()
    {
        string[] words = ["great", "terrible", "Maybe", "naïve"];
        string[] texts = Enumerable
            .Range(0, 50)
            .Select(i => $"the cat number {i} sat on the mat and ate the grated terrier maybe {i * i}")
            .ToArray();
        CheckpointTokenizer tokenizer = Train(new ByteLevelBpeTrainer { VocabularySize = 320, WholeWords = words }, texts);
        Assert.True(tokenizer.VocabularySize <= 320);
        foreach (string word in words)
        {
            Assert.Equal(" " + word, tokenizer.Decode([Assert.Single(tokenizer.Encode(" " + word))]));
        }

        foreach (string? text in texts)
        {
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void AVocabularyWithoutRoomIsRefused()
    {
        Assert.Throws<InvalidOperationException>(() => Train(new ByteLevelBpeTrainer { VocabularySize = 200 }, "text"));
        Assert.Throws<InvalidOperationException>(() =>
            Train(new ByteLevelBpeTrainer { VocabularySize = 262, WholeWords = ["terrible"] }, "text")
        );
        Assert.Throws<InvalidOperationException>(() => Train(new ByteLevelBpeTrainer { WholeWords = ["two words"] }, "text"));
        Assert.False(File.Exists(Path.Combine(_folder.FullName, "vocab.json")));
    }

    [Fact]
    public void SameTextsSameFiles()
    {
        string[] texts = ["a rose is a rose is a rose", "abc abd abe"];
        Train(new ByteLevelBpeTrainer(), texts);
        string first = File.ReadAllText(Path.Combine(_folder.FullName, "merges.txt"));
        Train(new ByteLevelBpeTrainer(), texts);
        Assert.Equal(first, File.ReadAllText(Path.Combine(_folder.FullName, "merges.txt")));
    }

    private CheckpointTokenizer Train(ByteLevelBpeTrainer trainer, params string[] texts)
    {
        trainer.Train(texts, _folder.FullName);
        return CheckpointTokenizer.Load(_folder.FullName);
    }

    // Counts all pairs of all words again after every merge.
    private static List<string> NaiveMerges(IEnumerable<string> texts, int count, int minFrequency)
    {
        string[] alphabet = Alphabet();
        var ids = alphabet.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id);
        var words = texts
            .SelectMany(Words)
            .Select(word => System.Text.Encoding.UTF8.GetBytes(word).Select(b => alphabet[b]).ToList())
            .ToList();
        var merges = new List<string>();
        while (ids.Count < 256 + count)
        {
            ((string First, string Second) Pair, int Count) best = words
                .SelectMany(word => word.Zip(word.Skip(1)))
                .GroupBy(pair => pair)
                .Select(group => (Pair: group.Key, Count: group.Count()))
                .OrderByDescending(entry => entry.Count)
                .ThenBy(entry => ids[entry.Pair.First])
                .ThenBy(entry => ids[entry.Pair.Second])
                .FirstOrDefault();
            if (best.Count < minFrequency)
            {
                break;
            }

            (string? left, string? right) = best.Pair;
            merges.Add($"{left} {right}");
            ids.TryAdd(left + right, ids.Count);
            foreach (List<string>? word in words)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] == left && word[i + 1] == right)
                    {
                        word[i] = left + right;
                        word.RemoveAt(i + 1);
                    }
                }
            }
        }
        return merges;
    }

    private static IEnumerable<string> Words(string text) =>
        Microsoft.ML.Tokenizers.RobertaPreTokenizer.Instance.PreTokenize(text).Select(word => text.Substring(word.Offset, word.Length));

    private static string[] Alphabet()
    {
        int next = 0x100;
        return
        [
            .. Enumerable
                .Range(0, 256)
                .Select(b => ((char)(b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174 ? b : next++)).ToString()),
        ];
    }
}
