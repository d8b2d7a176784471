using SkillLoc.Models.Prompts;
using static SkillLoc.Models.Prompts.TemplatePiece;

namespace SkillLoc.Models.Tests.Prompts;

public class PromptTemplateTests
{
    [Fact]
    public void PiecesAreReadInOrder()
    {
        var template = PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*+sentl_1**label_1**sep**sent-_0**sep+*");
        TemplatePiece[] pieces =
        [
            new Special(SpecialPiece.Cls),
            new Sentence(0, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: false),
            new Literal(" It was"),
            new Special(SpecialPiece.Mask),
            new Literal("."),
            new Sentence(1, LeadingSpace: true, FirstLetter.Lower, DropsLastCharacter: false),
            new Label(1),
            new Special(SpecialPiece.Sep),
            new Sentence(0, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: true),
            new Special(SpecialPiece.SepAndNextSegment),
        ];
        Assert.Equal(pieces, template.Pieces);
        Assert.True(template.IsPair);
        Assert.Equal(template.Pieces, PromptTemplate.Parse(template.ToString()).Pieces);
    }

    [Theory]
    [InlineData("sent_0", "Ab.", "Ab.")]
    [InlineData("+sent_0", "Ab.", " Ab.")]
    [InlineData("sent-_0", "Ab.", "Ab")]
    [InlineData("sentl_0", "Ab.", "ab.")]
    [InlineData("+sentl_0", "Ab.", " ab.")]
    [InlineData("sentl-_0", "Ab.", "ab")]
    [InlineData("sentu_0", "ab.", "Ab.")]
    [InlineData("+sentu_0", "ab.", " Ab.")]
    [InlineData("sent-_0", "ok\U0001F600", "ok")]
    [InlineData("sentl-_0", "", "")]
    [InlineData("+sentu_0", "", " ")]
    public void SentencesAreWrittenAsTheVariableSays(string variable, string text, string written) =>
        Assert.Equal(written, PromptTemplate.Parse($"*{variable}**mask*").Pieces.OfType<Sentence>().Single().Apply(text));

    [Theory]
    [InlineData("*cls**sent_0**sep+*", "0 masks")]
    [InlineData("*mask**sent_0**mask*", "2 masks")]
    [InlineData("*mask**sent_2*", "sentence 2")]
    [InlineData("*mask**sent_x*", "number")]
    [InlineData("*mask**sentq_0*", "'*sentq_0*'")]
    [InlineData("*mask**+sent-_0*", "'*+sent-_0*'")]
    [InlineData("*mask**labelx_0*", "demonstration")]
    public void AWrongTemplateIsExplained(string template, string said)
    {
        FormatException e = Assert.Throws<FormatException>(() => PromptTemplate.Parse(template));
        Assert.Contains(said, e.Message, StringComparison.Ordinal);
        Assert.Contains(template, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WordsThatOnlyBeginLikeVariablesAreText() =>
        Assert.Equal(
            [new Literal("sentence"), new Special(SpecialPiece.Mask), new Literal("masks and labels")],
            PromptTemplate.Parse("sentence*mask*masks_and_labels").Pieces
        );
}
