using System.Text.Json;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

/// <summary>Which characters of a row's texts a token was made of.</summary>
public sealed class TokenSpanTests
{
    private const string Text = "The movie was bad, unforgettable even.";
    private const string Pair = "Nobody liked the film";

    public static TheoryData<string> Checkpoints => ["tiny-roberta", "tiny-gpt2", "tiny-bert", "tiny-t5"];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void TokensLieWhereHuggingFaceFindsThem(string name)
    {
        using var folder = new TemporaryFolder();
        foreach (
            string file in Directory
                .GetFiles(OracleFolders.Of(name))
                .Where(file => !file.EndsWith("spiece.model", StringComparison.Ordinal))
        )
        {
            File.Copy(file, Path.Join(folder.Path, Path.GetFileName(file)));
        }

        var tokenizer = CheckpointTokenizer.Load(folder.Path);
        using var oracle = JsonDocument.Parse(File.ReadAllBytes(Oracles.PathOf("token-offsets.json")).AsMemory());
        int rows = 0;
        foreach (JsonElement row in oracle.RootElement.GetProperty(name).EnumerateArray())
        {
            string text = row.GetProperty("text").GetString()!;
            int[] ids = [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Range[] wanted = [.. row.GetProperty("spans").EnumerateArray().Select(span => span[0].GetInt32()..span[1].GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(text));
            Range[] found = tokenizer.Locate(text, ids);

            for (int i = 0; i < ids.Length; i++)
            {
                // The place of a space that a tokenizer put in says nothing.
                bool isSpace = tokenizer.TokenOf(ids[i]).Trim('\u2581', '\u0120').Length == 0;
                Assert.True(isSpace || wanted[i].Equals(found[i]), $"{name}, '{text}': {found[i]} instead of {wanted[i]}");
            }

            rows++;
        }

        Assert.Equal(8, rows);
    }

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void OddTextsHaveNoSpanOutsideThem(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        foreach (
            string text in (string[])["", " ", "a\ud800b", "\u0301\u0301", "e\u0301a", new string('x', 3000), "\0\u200b", "[MASK] <unk>"]
        )
        {
            int[] ids = tokenizer.Encode(text);
            Range[] spans = tokenizer.Locate(text, ids);
            Assert.Equal(ids.Length, spans.Length);
            Assert.All(spans, span => Assert.InRange(span.End.Value, span.Start.Value, text.Length));
            Assert.Equal(spans.Select(span => span.Start.Value).Order(), spans.Select(span => span.Start.Value));
        }
    }

    [Theory]
    [InlineData("*cls**sent_0*_It_was*mask*.*sep+*", "tiny-roberta", false)]
    [InlineData("*cls*_Well,*+sentl_0*_It_was*mask*.*sep+*", "tiny-roberta", false)]
    [InlineData("*cls**sent-_0*?*mask*,*+sent_1**sep+*", "tiny-bert", true)]
    [InlineData(null, "tiny-bert", true)]
    [InlineData(null, "tiny-roberta", false)]
    [InlineData("\"{0}\" was", "tiny-gpt2", false)]
    [InlineData("{0}\nIs that so? {1} It is", "tiny-gpt2", true)]
    [InlineData("t5", "tiny-t5", true)]
    public void APromptsTokensHaveNoSpan(string? template, string checkpoint, bool isPair)
    {
        bool isCausal = checkpoint == "tiny-gpt2",
            writes = checkpoint == "tiny-t5";
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(checkpoint));
        var settings = new ClassifierSettings
        {
            Head =
                writes ? HeadKind.Generation
                : template is null ? HeadKind.FirstTokenLinear
                : HeadKind.LabelWords,
            TextToText = writes ? new TextToTextTask("toy", TextMetric.Accuracy) : null,
            Template = isCausal || writes ? null : template,
            AutoregressiveTemplate = isCausal ? template : null,
            Labels = ["no", "yes"],
            Words = isCausal ? [" bad", " good"] : ["bad", "good"],
            HasTextPair = isPair,
        };
        ITextEncoder encoder = settings.CreateEncoder(tokenizer);
        string? pair = isPair ? Pair : null;
        EncodedText plain = encoder.Encode(Text, pair),
            traced = encoder.Trace(Text, pair);
        Assert.Null(plain.Spans);
        Assert.Equal(plain.Ids, traced.Ids);
        Assert.Equal(plain.Position, traced.Position);
        Assert.Equal(plain.Ids.Length, traced.Spans!.Length);

        // Each letter belongs to one token, and no token has more than a word.
        foreach ((string text, int sentence) in pair is null ? [(Text, 0)] : new[] { (Text, 0), (pair, 1) })
        {
            string[] words =
            [
                .. traced
                    .Spans.OfType<TokenSpan>()
                    .Where(span => span.Sentence == sentence && span.Length > 0)
                    .Select(span => text.Substring(span.Start, span.Length)),
            ];
            string letters = text.Replace(" ", "", StringComparison.Ordinal);
            Assert.Contains(string.Concat(words), (string[])[letters, letters[..^1]]);
            Assert.DoesNotContain(words, word => word.Contains(' ', StringComparison.Ordinal));
        }

        Assert.True(isCausal && !isPair || traced.Spans.Count(span => span is null) >= 2);
    }

    [Theory]
    [InlineData(Truncation.Sentences)]
    [InlineData(Truncation.Head)]
    public void WhatIsCutOffHasNoSpan(Truncation truncation)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of("tiny-gpt2"));
        var settings = new ClassifierSettings
        {
            AutoregressiveTemplate = "{0} It was",
            Labels = ["no", "yes"],
            Words = [" bad", " good"],
            MaxLength = 14,
            Truncation = truncation,
        };
        EncodedText traced = settings.CreateEncoder(tokenizer).Trace(Text, null);
        Assert.Equal(traced.Ids.Length, traced.Spans!.Length);
        for (int i = 0; i < traced.Ids.Length; i++)
        {
            string token = tokenizer.TokenOf(traced.Ids[i]).TrimStart('\u0120');
            Assert.Equal(
                traced.Spans[i] is { } span ? Text.Substring(span.Start, span.Length)
                    : traced.Spans[i] is null ? token
                    : "",
                token
            );
        }

        int start = traced.Spans.OfType<TokenSpan>().First().Start;
        Assert.Equal(truncation == Truncation.Sentences, start == 0);
    }
}
