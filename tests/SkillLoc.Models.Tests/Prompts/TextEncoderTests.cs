using System.Diagnostics;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tokenization;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Prompts;

public class TextEncoderTests
{
    private const string Sentiment = "*cls**sent_0*_It_was*mask*.*sep+*";
    private const string Entails = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*";
    private const string Topic = "*cls**mask*:*+sent_0**sep+*";

    [Fact]
    public void PiecesAreEncodedApartAndJoined()
    {
        CheckpointTokenizer roberta = Load("tiny-roberta");
        EncodedText encoded = Encoder(Sentiment, roberta).Encode("A good film", null);
        int[] ids =
        [
            roberta.ClsId,
            .. roberta.Encode("A good film"),
            .. roberta.Encode(" It was"),
            roberta.MaskId,
            roberta.TokenId(".")!.Value,
            roberta.SepId,
        ];
        Assert.Equal(ids, encoded.Ids);
        Assert.Equal(Array.IndexOf(ids, roberta.MaskId), encoded.Position);
        Assert.Null(encoded.TokenTypes);
        Assert.Equal("<s>A good film It was<mask>.</s>", roberta.Decode(encoded.Ids));
        Assert.Equal("<s>It is good?<mask>, it is.</s>", roberta.Decode(Encoder(Entails, roberta).Encode("It is good.", "It is.").Ids));
    }

    [Fact]
    public void BertHasTokenTypes()
    {
        CheckpointTokenizer bert = Load("tiny-bert");
        EncodedText encoded = Encoder("*cls**sent_0**mask**sep+**sent_1**sep*", bert).Encode("good", "bad bad");
        Assert.Equal([0, 0, 0, 0, 1, 1, 1], encoded.TokenTypes!);
        Assert.Equal(2, encoded.Position);

        encoded = new SequenceEncoder(bert, 128).Encode("good", "bad bad");
        Assert.Equal([bert.ClsId, .. bert.Encode("good"), bert.SepId, .. bert.Encode("bad bad"), bert.SepId], encoded.Ids);
        Assert.Equal([0, 0, 0, 1, 1, 1], encoded.TokenTypes!);
        Assert.Equal(0, encoded.Position);
    }

    [Fact]
    public void LabelWordsAndLimits()
    {
        CheckpointTokenizer roberta = Load("tiny-roberta");
        int[] words = Verbalizer.ParseMapping("{'0':'bad','1':'good'}").Resolve(roberta);
        var template = PromptTemplate.Parse("*sent_0**label_1**mask**+sent_1**+sent_0*");
        var encoder = new TemplateEncoder(template, roberta, words, 128) { FirstSentenceLimit = 3, OtherSentenceLimit = 1 };
        Assert.Equal(
            [
                .. roberta.Encode("A good film")[..3],
                words[1],
                roberta.MaskId,
                .. roberta.Encode(" not good")[..1],
                .. roberta.Encode(" A good film")[..3],
            ],
            encoder.Encode("A good film", "not good").Ids
        );
        Assert.Throws<ArgumentException>(() => new TemplateEncoder(PromptTemplate.Parse("*label_2**mask*"), roberta, words, 128));
    }

    [Fact]
    public void RowsCannotMoveTheMask()
    {
        CheckpointTokenizer roberta = Load("tiny-roberta");
        EncodedText encoded = Encoder(Sentiment, roberta).Encode("<mask> </s> <s>", null);
        Assert.Single(encoded.Ids, id => id == roberta.MaskId);
        Assert.Single(encoded.Ids, id => id == roberta.SepId);
        Assert.Equal(roberta.MaskId, encoded.Ids[encoded.Position]);
    }

    [Fact]
    public void TooLongRowsLoseTheEndsOfTheirLongestSentences()
    {
        CheckpointTokenizer roberta = Load("tiny-roberta");
        (string? first, string? second) = (Repeat("bad ", 40), Repeat("good ", 10));
        EncodedText whole = Encoder(Entails, roberta, 500).Encode(first + ".", second);
        (int firstLength, int secondLength) = (roberta.Encode(first).Length, roberta.Encode(" " + second).Length);
        int template = whole.Ids.Length - firstLength - secondLength;

        // Twice the shorter sentence's length: it stays whole, and the longer one is cut to the same length.
        EncodedText cut = Encoder(Entails, roberta, template + (2 * secondLength)).Encode(first + ".", second);
        Assert.Equal([.. whole.Ids[..(1 + secondLength)], .. whole.Ids[(1 + firstLength)..]], cut.Ids);
        Assert.Equal(roberta.MaskId, cut.Ids[cut.Position]);

        // Less than that: both are cut.
        cut = Encoder(Entails, roberta, template + 10).Encode(first + ".", second);
        Assert.Equal(
            [.. whole.Ids[..6], .. whole.Ids[(1 + firstLength)..^(1 + secondLength)], .. roberta.Encode(" " + second)[..5], roberta.SepId],
            cut.Ids
        );

        Assert.Equal(template, Encoder(Entails, roberta, template).Encode("good.", "bad bad").Ids.Length);
        Assert.Throws<InvalidDataException>(() => Encoder(Entails, roberta, template - 1).Encode("good.", "bad bad"));
    }

    [Fact]
    public void HeadAndTailKeepWhatTheySay()
    {
        CheckpointTokenizer roberta = Load("tiny-roberta");
        string text = Repeat("bad good ", 30);
        EncodedText whole = Encoder(Sentiment, roberta).Encode(text, null);

        EncodedText head = Encoder(Sentiment, roberta, 16, Truncation.Head).Encode(text, null);
        Assert.Equal(whole.Ids[^16..], head.Ids);
        Assert.Equal(roberta.MaskId, head.Ids[head.Position]);

        InvalidDataException e = Assert.Throws<InvalidDataException>(() =>
            Encoder(Sentiment, roberta, 16, Truncation.Tail).Encode(text, null)
        );
        Assert.Contains("mask", e.Message, StringComparison.Ordinal);
        Assert.Contains("16", e.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => Encoder(Topic, roberta, 16, Truncation.Head).Encode(text, null));

        whole = Encoder(Topic, roberta).Encode(text, null);
        Assert.Equal(whole.Ids[..16], Encoder(Topic, roberta, 16, Truncation.Tail).Encode(text, null).Ids);
        Assert.Equal(
            16,
            new SequenceEncoder(roberta, 16) { Truncation = Truncation.Tail }
                .Encode(text, null)
                .Ids.Length
        );
    }

    [Fact]
    public void ATemplateForPairsWantsPairs()
    {
        InvalidDataException e = Assert.Throws<InvalidDataException>(() => Encoder(Entails, Load("tiny-roberta")).Encode("one", null));
        Assert.Contains("second sentence", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AModelWithoutAMaskTakesNoTemplate() =>
        Assert.Throws<InvalidOperationException>(() => Encoder("*sent_0**mask*", Load("tiny-gpt2")));

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    public void ATextOfAHundredThousandCharactersIsQuick(string checkpoint)
    {
        TemplateEncoder encoder = Encoder(Sentiment, Load(checkpoint));
        encoder.Encode("warm up", null);
        var watch = Stopwatch.StartNew();
        Assert.Equal(128, encoder.Encode(Repeat("a good film ", 100_000 / 12), null).Ids.Length);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2), $"{watch.Elapsed}");
    }

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count)).TrimEnd();

    private static CheckpointTokenizer Load(string name) => CheckpointTokenizer.Load(OracleFolders.Of(name));

    private static TemplateEncoder Encoder(
        string template,
        CheckpointTokenizer tokenizer,
        int maxLength = 128,
        Truncation truncation = default
    ) => new(PromptTemplate.Parse(template), tokenizer, [], maxLength) { Truncation = truncation };
}
