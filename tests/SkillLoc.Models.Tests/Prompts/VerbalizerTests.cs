using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tokenization;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Prompts;

public class VerbalizerTests
{
    [Theory]
    [InlineData("{'0':'terrible','1':'great'}")]
    [InlineData("{0:'terrible',1:'great'}")]
    [InlineData(" { \"0\" : \"terrible\" , \"1\" : 'great', } ")]
    public void MappingsAreDictionaryLiterals(string mapping)
    {
        var verbalizer = Verbalizer.ParseMapping(mapping);
        Assert.Equal(["0", "1"], verbalizer.Labels);
        Assert.Equal(["terrible", "great"], verbalizer.Words);
        Assert.Equal("{'0':'terrible','1':'great'}", verbalizer.ToString());
    }

    [Fact]
    public void QuotesAreEscaped()
    {
        var verbalizer = Verbalizer.ParseMapping(@"{'it\'s':'a','b\\c':""d""}");
        Assert.Equal(["it's", @"b\c"], verbalizer.Labels);
        Assert.Equal(verbalizer.Labels, Verbalizer.ParseMapping(verbalizer.ToString()).Labels);
    }

    [Theory]
    [InlineData("{'0':'terrible' '1':'great'}", "','")]
    [InlineData("{'0','terrible'}", "':'")]
    [InlineData("{'0':'terrible','1':'great'", "','")]
    [InlineData("{'0':'terrible','1':'great", "closing")]
    [InlineData("{'0':terrible}", "quoted")]
    [InlineData("'0':'terrible'", "'{'")]
    [InlineData("{'0':'a','1':'b'} x", "nothing")]
    public void AWrongMappingIsExplained(string mapping, string said) =>
        Assert.Contains(said, Assert.Throws<FormatException>(() => Verbalizer.ParseMapping(mapping)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{'0':'a'}")]
    [InlineData("{'0':'a','0':'b'}")]
    [InlineData("{'0':'a','1':'a'}")]
    [InlineData("{'0':'','1':'a'}")]
    public void LabelsAndWordsDiffer(string mapping) => Assert.Throws<ArgumentException>(() => Verbalizer.ParseMapping(mapping));

    [Fact]
    public void RowsNameALabelByLabelOrWord()
    {
        var verbalizer = Verbalizer.ParseMapping("{'contradiction':'No','entailment':'Yes','neutral':'Maybe'}");
        Assert.Equal(1, verbalizer.IndexOf("entailment"));
        Assert.Equal(2, verbalizer.IndexOf("Maybe"));
        Assert.Equal(-1, verbalizer.IndexOf("maybe"));
    }

    [Fact]
    public void WordsAreSingleTokensAfterASpace()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        int[] ids = Verbalizer.ParseMapping("{'0':'bad','1':'good','2':'<unk>','3':'.'}").Resolve(roberta);
        Assert.Equal(
            [roberta.TokenId("Ġbad"), roberta.TokenId("Ġgood"), roberta.UnknownId, roberta.TokenId(".")],
            ids.Select(id => (int?)id)
        );

        var bert = CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert"));
        Assert.Equal(
            [bert.TokenId("bad"), bert.TokenId("good")],
            Verbalizer.ParseMapping("{'0':'bad','1':'good'}").Resolve(bert).Select(id => (int?)id)
        );
    }

    [Theory]
    [InlineData("tiny-roberta", "{'0':'bad','1':'desperate'}", "'desperate' is not one token")]
    [InlineData("tiny-bert", "{'0':'bad','1':'日'}", "'[UNK]'")]
    [InlineData("tiny-roberta", "{'0':'bad','1':'<nothing>'}", "<nothing>")]
    [InlineData("tiny-bert", "{'0':'Bad','1':'bad'}", "same token 'bad'")]
    public void AWordThatIsNotOneTokenIsNamed(string checkpoint, string mapping, string said)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(checkpoint));
        ArgumentException e = Assert.Throws<ArgumentException>(() => Verbalizer.ParseMapping(mapping).Resolve(tokenizer));
        Assert.Contains(said, e.Message, StringComparison.Ordinal);
    }
}
