using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tokenization;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Prompts;

public class AutoregressivePromptTests
{
    private const string Tone = "\"{0}\" has a tone that is";
    private const string Inference = " {0}\n question: {1} true or false?\n answer:";
    private static readonly CheckpointTokenizer Gpt2 = CheckpointTokenizer.Load(OracleFolders.Of("tiny-gpt2"));

    [Theory]
    [InlineData("sst-2", Tone, "0= negative|1= positive")]
    [InlineData("imdb", Tone, "0= negative|1= positive")]
    [InlineData("mr", Tone, "0= negative|1= positive")]
    [InlineData("cr", Tone, "0= negative|1= positive")]
    [InlineData("mpqa", Tone, "0= negative|1= positive")]
    [InlineData("subj", Tone, "0= subject|1= object")]
    [InlineData("mrpc", Inference, "0= false|1= true")]
    [InlineData("qqp", Inference, "0= false|1= true")]
    [InlineData("qnli", Inference, "entailment= true|not_entailment= false")]
    [InlineData("rte", Inference, "entailment= true|not_entailment= false")]
    [InlineData(
        "mnli",
        " {0}\n question: {1} true, false, or neither?\n answer:",
        "contradiction= false|entailment= true|neutral= neither"
    )]
    [InlineData(
        "snli",
        " {0}\n question: {1} true, false, or neither?\n answer:",
        "contradiction= false|entailment= true|neutral= neither"
    )]
    [InlineData(
        "trec",
        " {0} The answer to this question will be",
        "0= a description.|1= an entity.|2= an abbreviation.|3= a person.|4= a location.|5= a number."
    )]
    [InlineData("ag_news", " summary: {0}\n topic:", "0= World|1= Sports|2= Business|3= Science")]
    public void TasksAskAsInThePaper(string name, string template, string options)
    {
        PromptTask task = PromptTasks.Find(name);
        Assert.Equal(template, task.Autoregressive!.Template.ToString());
        Assert.Equal(
            options,
            string.Join('|', task.Verbalizer.Labels.Zip(task.Autoregressive.Options, (label, option) => $"{label}={option}"))
        );
        Assert.Equal(256, task.Autoregressive.MaxLength);
    }

    [Theory]
    [InlineData("cola")]
    [InlineData("sts-b")]
    public void TasksWithoutSuchAPromptHaveNone(string name) => Assert.Null(PromptTasks.Find(name).Autoregressive);

    [Fact]
    public void APromptFitsItsTask()
    {
        PromptTask task = PromptTasks.Find("sst-2");
        Assert.Throws<ArgumentException>(() => task with { Autoregressive = new("{0}", " a", " b", " c") });
        Assert.Throws<ArgumentException>(() => task with { Autoregressive = new("{0} {1}", " a", " b") });

        // Other labels would be scored by the old ones' options.
        Assert.Null((task with { Verbalizer = Verbalizer.ParseMapping("{'pos':'great','neg':'terrible'}") }).Autoregressive);
        Assert.NotNull((task with { Verbalizer = Verbalizer.ParseMapping("{'0':'awful','1':'fine'}") }).Autoregressive);
        Assert.Equal([" yes", " no"], (task with { Autoregressive = new("{0}?", " yes", " no") }).Autoregressive!.Options);
    }

    [Fact]
    public void WrongPromptsAreExplained()
    {
        Assert.Contains(
            "{0}",
            Assert.Throws<FormatException>(() => new AutoregressivePrompt("It is", " a", " b")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => new AutoregressivePrompt("{0}", " a"));
        Assert.Throws<ArgumentException>(() => new AutoregressivePrompt("{0}", " a", ""));
        Assert.Contains(
            "' a'",
            Assert.Throws<ArgumentException>(() => new AutoregressivePrompt("{0}", " a", " b", " a")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void RowsAreEncodedAsOneTextAndScoredAtItsEnd()
    {
        // "..." is one token across the border of sentence and template.
        foreach (
            (string? template, string? first, string? second, string? text) in new[]
            {
                (Tone, "A good film...", null, "\"A good film...\" has a tone that is"),
                (Inference, "It is.", "It {0} not!", " It is.\n question: It {0} not! true or false?\n answer:"),
                ("{0}. So", "Well..", null, "Well... So"),
            }
        )
        {
            EncodedText encoded = Encoder(template).Encode(first, second);
            Assert.Equal(Gpt2.Encode(text), encoded.Ids);
            Assert.Equal(encoded.Ids.Length - 1, encoded.Position);
            Assert.Null(encoded.TokenTypes);
        }
    }

    [Fact]
    public void SpecialSpellingsAreText()
    {
        int[] ids = Encoder(Tone).Encode("<|endoftext|>", null).Ids;
        Assert.DoesNotContain(Gpt2.PadId, ids);
        Assert.Equal("\"<|endoftext|>\" has a tone that is", Gpt2.Decode(ids));
    }

    [Fact]
    public void SentencesGiveWayAndTheTemplateStays()
    {
        string first = string.Concat(Enumerable.Repeat(" film", 40))[1..];
        string second = string.Concat(Enumerable.Repeat(" story", 10))[1..];
        int[] whole = Gpt2.Encode($" {first}\n question: {second} true or false?\n answer:");
        int[] ask = Gpt2.Encode("\n question:"),
            end = Gpt2.Encode(" true or false?\n answer:");

        // 40 and 10 sentence tokens: the longer one is cut first, then both alike.
        int template = whole.Length - 50;
        Assert.Equal(ask.Length + end.Length, template);
        EncodedText cut = Encoder(Inference, template + 25).Encode(first, second);
        Assert.Equal([.. whole[..15], .. whole[40..]], cut.Ids);
        cut = Encoder(Inference, template + 6).Encode(first, second);
        Assert.Equal([.. whole[..3], .. ask, .. Gpt2.Encode(" story story story"), .. end], cut.Ids);
        Assert.Equal(cut.Ids.Length - 1, cut.Position);
        Assert.Equal([.. ask, .. end], Encoder(Inference, template).Encode(first, second).Ids);
        Assert.Throws<InvalidDataException>(() => Encoder(Inference, template - 1).Encode(first, second));
    }

    [Theory]
    [InlineData("é film", "日本 ")]
    [InlineData("film...", "😀")]
    public void CharactersOfManyBytesKeepTheirPlaces(string start, string repeated)
    {
        string text = start + string.Concat(Enumerable.Repeat(repeated, 30)) + ".";
        int[] whole = Gpt2.Encode($"\"{text}\" has a tone that is");
        int[] end = Gpt2.Encode("\" has a tone that is");
        int[] cut = Encoder(Tone, end.Length + 12).Encode(text, null).Ids;
        Assert.Equal([.. whole[..12], .. end], cut);
    }

    [Fact]
    public void HeadAndTailKeepWhatTheySay()
    {
        string text = string.Concat(Enumerable.Repeat("bad good ", 30));
        int[] whole = Encoder(Tone).Encode(text, null).Ids;
        Assert.Equal(whole[^16..], Encoder(Tone, 16, Truncation.Head).Encode(text, null).Ids);
        Assert.Equal(whole[..16], Encoder(Tone, 16, Truncation.Tail).Encode(text, null).Ids);
    }

    [Fact]
    public void AnEmptyRowIsTheEndOfAText() => Assert.Equal([Gpt2.PadId], Encoder("{0}").Encode("", null).Ids);

    [Fact]
    public void ATemplateForPairsWantsPairs() =>
        Assert.Contains(
            "second sentence",
            Assert.Throws<InvalidDataException>(() => Encoder(Inference).Encode("one", null)).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void WordPiecesAreRefused() =>
        Assert.Throws<ArgumentException>(() =>
            new AutoregressiveEncoder(AutoregressiveTemplate.Parse("{0}"), CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert")), 10)
        );

    private static AutoregressiveEncoder Encoder(string template, int maxLength = 256, Truncation truncation = default) =>
        new(AutoregressiveTemplate.Parse(template), Gpt2, maxLength) { Truncation = truncation };
}
