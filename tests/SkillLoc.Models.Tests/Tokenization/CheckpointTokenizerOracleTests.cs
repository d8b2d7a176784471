using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Tests.Tokenization;

public class CheckpointTokenizerOracleTests
{
    private const string SpecialSpellings = "<mask> </s> [MASK] <pad>";

    [SkippableTheory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-bert")]
    [InlineData("tiny-gpt2")]
    public void Ids_equal_those_of_Hugging_Face(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        var texts = OracleFolders.Texts(name);
        Assert.NotEmpty(texts);
        foreach (var (text, ids) in texts.Where(entry => entry.Text != SpecialSpellings))
            Assert.True(ids.SequenceEqual(tokenizer.Encode(text)), $"'{text}': {string.Join(',', tokenizer.Encode(text))} instead of {string.Join(',', ids)}");
    }

    [SkippableTheory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    public void Byte_level_decoding_gives_the_text_back(string name)
    {
        var tokenizer = CheckpointTokenizer.Load(OracleFolders.Of(name));
        foreach (var (text, _) in OracleFolders.Texts(name))
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [SkippableFact]
    public void Special_spellings_in_text_are_text()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        int[] special = [roberta.ClsId, roberta.SepId, roberta.MaskId, roberta.PadId, roberta.UnknownId];
        Assert.Empty(roberta.Encode(SpecialSpellings).Intersect(special));

        var bert = CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert"));
        special = [bert.ClsId, bert.SepId, bert.MaskId, bert.PadId];
        Assert.Empty(bert.Encode(SpecialSpellings).Intersect(special));
        Assert.Equal("< mask > < / s > [ mask ] < pad >", bert.Decode(bert.Encode(SpecialSpellings)));
    }

    [SkippableFact]
    public void Families_spell_their_special_tokens()
    {
        var roberta = CheckpointTokenizer.Load(OracleFolders.Of("tiny-roberta"));
        Assert.Equal((0, 1, 2, 3, 4), (roberta.ClsId, roberta.PadId, roberta.SepId, roberta.UnknownId, roberta.MaskId));
        Assert.True(roberta.DistinguishesLeadingSpace);
        Assert.False(roberta.UsesTokenTypes);

        var bert = CheckpointTokenizer.Load(OracleFolders.Of("tiny-bert"));
        Assert.Equal((2, 0, 3, 1, 4), (bert.ClsId, bert.PadId, bert.SepId, bert.UnknownId, bert.MaskId));
        Assert.False(bert.DistinguishesLeadingSpace);
        Assert.True(bert.UsesTokenTypes);

        var gpt2 = CheckpointTokenizer.Load(OracleFolders.Of("tiny-gpt2"));
        Assert.False(gpt2.HasMask);
        Assert.Equal(0, gpt2.PadId);
        Assert.Contains("mask", Assert.Throws<InvalidOperationException>(() => gpt2.MaskId).Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void T5_is_refused_by_name()
    {
        var e = Assert.Throws<NotSupportedException>(() => CheckpointTokenizer.Load(OracleFolders.Of("tiny-t5")));
        Assert.Contains("t5", e.Message, StringComparison.Ordinal);
        Assert.Contains("merges.txt", e.Message, StringComparison.Ordinal);
    }
}
