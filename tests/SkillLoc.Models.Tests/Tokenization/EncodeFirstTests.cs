using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Tokenizers;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public sealed class EncodeFirstTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Checkpoints => ["tiny-roberta", "tiny-gpt2", "tiny-bert", "tiny-t5"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void TheFirstIdsAreThoseOfTheWholeText(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        var random = new Random(3);
        string[] texts = OracleFolders.Texts(name).Select(entry => entry.Text).ToArray();
        string[] letters = [.. texts.SelectMany(text => text.EnumerateRunes()).Select(rune => rune.ToString()).Distinct()];
        for (int trial = 0; trial < 200; trial++)
        {
            string text = string.Concat(
                Enumerable
                    .Range(0, random.Next(1, 40))
                    .Select(_ =>
                        random.Next(4) switch
                        {
                            0 => texts[random.Next(texts.Length)],
                            1 => string.Concat(Enumerable.Repeat(letters[random.Next(letters.Length)], random.Next(1, 300))),
                            2 => string.Concat(Enumerable.Range(0, random.Next(100)).Select(_ => letters[random.Next(letters.Length)])),
                            _ => " ",
                        }
                    )
            );
            int[] whole = tokenizer.Encode(text);
            foreach (int count in new[] { 0, 1, random.Next(200), random.Next(2000), whole.Length, whole.Length + 1, int.MaxValue })
            {
                Assert.Equal(whole.Take(count), tokenizer.EncodeFirst(text, count));
            }
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.EncodeFirst("a", -1));
    }

    [Fact]
    public void LongWordsAreMergedAsTheLibraryMergesThemWhole()
    {
        var random = new Random(11);
        for (int trial = 0; trial < 150; trial++)
        {
            // Up to 40 merges of whatever tokens there are, so that some make the same token from other parts.
            var vocabulary = Enumerable
                .Range(0, 256)
                .Select(value => ((char)(value is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174 ? value : 0)).ToString())
                .Where(letter => letter != "\0")
                .ToDictionary(letter => letter, letter => (int)letter[0], StringComparer.Ordinal);
            var tokens = new List<string> { "a", "b", "c" };
            var merges = new List<string>();
            for (int i = random.Next(1, 40); i > 0; i--)
            {
                (string? left, string? right) = (tokens[random.Next(tokens.Count)], tokens[random.Next(tokens.Count)]);
                if (merges.Contains($"{left} {right}") || left.Length + right.Length > 24)
                {
                    continue;
                }

                merges.Insert(random.Next(merges.Count + 1), $"{left} {right}");
                if (vocabulary.TryAdd(left + right, 1000 + vocabulary.Count))
                {
                    tokens.Add(left + right);
                }
            }
            _folder.With("vocab.json", JsonSerializer.Serialize(vocabulary)).With("merges.txt", string.Join('\n', merges));
            var tokenizer = CheckpointTokenizer.Load(_folder.Path);
            var whole = BpeTokenizer.Create(new BpeOptions(vocabulary) { Merges = merges, ByteLevel = true });

            string[] parts = [.. tokens.OrderBy(_ => random.Next()).Take(random.Next(1, 6))];
            string text = "";
            while (text.Length < 3000)
            {
                text += trial % 2 == 0 ? parts[random.Next(parts.Length)] : string.Concat(parts);
            }

            Assert.Equal(whole.EncodeToIds(text, considerPreTokenization: false, considerNormalization: false), tokenizer.Encode(text));
        }
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void AMillionLettersTakeNoQuadraticTime(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        var random = new Random(1);
        foreach (string? alphabet in new[] { "a", "abcdefghijklmnopqrstuvwxyz", "\u4E2D\u6587\u5B57", "!?", "a " })
        {
            // Merged as a whole, ten thousand times the work of ten thousand letters: about a minute.
            string text = string.Concat(Enumerable.Range(0, 1_000_000).Select(_ => alphabet[random.Next(alphabet.Length)]));
            var watch = Stopwatch.StartNew();
            int[] ids = tokenizer.Encode(text);
            Assert.Equal(ids.Take(128), tokenizer.EncodeFirst(text, 128));
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"{alphabet}: {watch.Elapsed}");
        }
    }

    [Fact]
    public void EncodersThatStopEarlyGiveTheSameRows()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        (string? first, string? second) = (
            string.Concat(Enumerable.Repeat("A good film. ", 40)),
            string.Concat(Enumerable.Repeat("terrible", 300))
        );
        foreach (int limit in new[] { 8, 64 })
        {
            // Longer than the text: nothing is cut.
            SequenceEncoder Sequence(int length, Truncation truncation) => new(roberta, length) { Truncation = truncation };
            foreach (string? pair in new[] { null, second })
            {
                int[] whole = Sequence(10_000, default).Encode(first, pair).Ids;
                Assert.Equal(whole[..limit], Sequence(limit, Truncation.Tail).Encode(first, pair).Ids);
                Assert.Equal(whole[^limit..], Sequence(limit, Truncation.Head).Encode(first, pair).Ids);
            }
            int kept = limit - 2;
            Assert.Equal(
                [roberta.ClsId, .. roberta.Encode(first)[..kept], roberta.SepId],
                Sequence(limit, Truncation.Sentences).Encode(first, null).Ids
            );

            // Of two long sentences the longer one gets the odd place.
            kept = limit - 3;
            (int[]? firstIds, int[]? secondIds) = (roberta.Encode(first), roberta.Encode(second));
            Assert.NotEqual(firstIds.Length, secondIds.Length);
            int ofFirst = firstIds.Length < secondIds.Length ? kept / 2 : kept - (kept / 2);
            Assert.Equal(
                [roberta.ClsId, .. firstIds[..ofFirst], roberta.SepId, .. secondIds[..(kept - ofFirst)], roberta.SepId],
                Sequence(limit, Truncation.Sentences).Encode(first, second).Ids
            );

            TemplateEncoder Template(string template, int length, Truncation truncation) =>
                new(PromptTemplate.Parse(template), roberta, [], length) { Truncation = truncation };
            const string Topic = "*cls**mask*:*+sent_0**+sent_1**sep+*";
            int[] filled = Template(Topic, 10_000, default).Encode(first, second).Ids;
            Assert.Equal(filled[..limit], Template(Topic, limit, Truncation.Tail).Encode(first, second).Ids);
            Assert.Equal(
                [roberta.ClsId, roberta.MaskId, .. roberta.Encode(" A" + first[1..])[..(limit - 3)], roberta.SepId],
                Template("*cls**mask**+sent_0**sep+*", limit, Truncation.Sentences).Encode(first, null).Ids
            );
        }
    }
}
