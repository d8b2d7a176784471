using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Templates and label words are read as they were written.</summary>
public sealed class PromptPropertyTests
{
    private static readonly string[] Variables = ["sent", "+sent", "sent-", "sentl", "+sentl", "sentl-", "sentu", "+sentu"];

    private static Gen<string> Text =>
        Gen.Elements("'", "\"", "\\", "a", "Ġ", " ", "{", "}", ":", ",", "\n", "𝒜", "0").UpTo(4, 1).Select(string.Concat);

    /// <summary>A piece and how it is written between two stars.</summary>
    private static Gen<(string Written, TemplatePiece Piece)> Pieces =>
        Gen.OneOf<(string Written, TemplatePiece Piece)>(
            Gen.Elements<(string Written, TemplatePiece Piece)>(
                ("cls", new TemplatePiece.Special(SpecialPiece.Cls)),
                ("sep", new TemplatePiece.Special(SpecialPiece.Sep)),
                ("sep+", new TemplatePiece.Special(SpecialPiece.SepAndNextSegment))
            ),
            Gen.Choose(0, 12).Select(i => ($"label_{i}", (TemplatePiece)new TemplatePiece.Label(i))),
            from name in Gen.Elements(Variables)
            from index in Gen.Choose(0, 1)
            select (
                $"{name}_{index}",
                (TemplatePiece)
                    new TemplatePiece.Sentence(
                        index,
                        name[0] == '+',
                        name.Contains('l', StringComparison.Ordinal) ? FirstLetter.Lower
                            : name.Contains('u', StringComparison.Ordinal) ? FirstLetter.Upper
                            : FirstLetter.AsIs,
                        name[^1] == '-'
                    )
            ),
            from words in Gen.Elements("It", "was", ".", "?", "Ä", "𝒜", "{0}", "sent", "cls mask", "'").UpTo(4, 1)
            let text = " " + string.Join(' ', words)
            select (text.Replace(' ', '_'), (TemplatePiece)new TemplatePiece.Literal(text))
        );

    [Fact]
    public void TemplatesAreTheirPiecesAndTheirText() =>
        PropertyCheck.ForAll(
            from before in Pieces.UpTo(4)
            from after in Pieces.UpTo(4)
            from empty in Gen.Elements("*", "**")
            select (pieces: before.Append(("mask", new TemplatePiece.Special(SpecialPiece.Mask))).Concat(after).ToArray(), empty),
            given =>
            {
                string written = $"*{string.Join("*" + given.empty, given.pieces.Select(piece => piece.Item1))}*";
                var template = PromptTemplate.Parse(written);
                Assert.Equal(given.pieces.Select(piece => piece.Item2), template.Pieces);
                Assert.Equal(written, template.ToString());
                Assert.Equal(template.Pieces, PromptTemplate.Parse(template.ToString()).Pieces);
                Assert.Equal(given.pieces.Any(piece => piece.Item2 is TemplatePiece.Sentence { Index: 1 }), template.IsPair);
            },
            300
        );

    [Fact]
    public void OnlyTemplatesWithOneMaskAreRead() =>
        PropertyCheck.ForAll(
            from pieces in Pieces.UpTo(4, 1)
            from masks in Gen.Elements(0, 2, 3)
            from order in Gen.Shuffle(pieces.Select(piece => piece.Written).Concat(Enumerable.Repeat("mask", masks)).ToArray())
            select (order, masks),
            given =>
                Assert.Contains(
                    $"{given.masks} masks",
                    Assert.Throws<FormatException>(() => PromptTemplate.Parse($"*{string.Join("**", given.order)}*")).Message,
                    StringComparison.Ordinal
                )
        );

    [Fact]
    public void TextsToContinueAreTheirPiecesAndTheirText() =>
        PropertyCheck.ForAll(
            Gen.Elements("{0}", " {0}", "{1}", " {1}", " ", "\"", "{", "}", "{2}", "{{0}}", "It is", "\n")
                .UpTo(8)
                .Select(string.Concat)
                .Where(text => text.Contains("{0}", StringComparison.Ordinal)),
            written =>
            {
                var template = AutoregressiveTemplate.Parse(written);
                Assert.Equal(written, template.ToString());
                Assert.Equal(written, string.Concat(template.Pieces.Select(Print)));
                Assert.Equal(written.Contains("{1}", StringComparison.Ordinal), template.IsPair);
                Assert.Equal(written.Split("{0}").Length - 1, template.Pieces.Count(piece => piece is TemplatePiece.Sentence { Index: 0 }));

                // A space belongs to the sentence behind it, and sentences are taken as they are.
                Assert.All(
                    template.Pieces.Zip(template.Pieces.Skip(1)),
                    pair =>
                        Assert.False(
                            pair is { First: TemplatePiece.Literal { Text: var text }, Second: TemplatePiece.Sentence }
                                && text.EndsWith(' ')
                                && !pair.Second.Equals(
                                    new TemplatePiece.Sentence(((TemplatePiece.Sentence)pair.Second).Index, true, FirstLetter.AsIs, false)
                                )
                        )
                );
                Assert.Equal(
                    written.Replace("{0}", "one").Replace("{1}", "Two."),
                    string.Concat(
                        template.Pieces.Select(piece =>
                            piece is TemplatePiece.Sentence sentence
                                ? sentence.Apply(sentence.Index == 0 ? "one" : "Two.")
                                : ((TemplatePiece.Literal)piece).Text
                        )
                    )
                );

                static string Print(TemplatePiece piece) =>
                    piece is TemplatePiece.Sentence sentence
                        ? $"{(sentence.LeadingSpace ? " " : "")}{{{sentence.Index}}}"
                        : ((TemplatePiece.Literal)piece).Text;
            },
            300
        );

    [Fact]
    public void LabelWordsAreReadAsTheyAreWritten() =>
        PropertyCheck.ForAll(
            (from label in Text from word in Text select (label, word))
                .UpTo(5, 2)
                .Select(entries => entries.DistinctBy(entry => entry.label).DistinctBy(entry => entry.word).ToArray())
                .Where(entries => entries.Length > 1),
            entries =>
            {
                var verbalizer = new Verbalizer(entries.Select(entry => KeyValuePair.Create(entry.label, entry.word)));
                var read = Verbalizer.ParseMapping(verbalizer.ToString());
                Assert.Equal(entries.Select(entry => entry.label), read.Labels);
                Assert.Equal(entries.Select(entry => entry.word), read.Words);
                Assert.Equal(verbalizer.ToString(), read.ToString());
                Assert.All(
                    entries.Index(),
                    entry =>
                    {
                        Assert.Equal(entry.Index, read.IndexOf(entry.Item.label));

                        // A text that is one row's label and another's word is the label.
                        int asLabel = Array.FindIndex(entries, other => other.label == entry.Item.word);
                        Assert.Equal(asLabel >= 0 ? asLabel : entry.Index, read.IndexOf(entry.Item.word));
                    }
                );
                Assert.Equal(-1, read.IndexOf("no such"));
            },
            300
        );

    [Fact]
    public void MappingsMayHaveNumbersSpacesAndEitherQuote() =>
        PropertyCheck.ForAll(
            from numbers in Gen.Choose(-20, 20)
                .UpTo(5, 2)
                .Select(numbers => numbers.Distinct().ToArray())
                .Where(numbers => numbers.Length > 1)
            from quote in Gen.Elements("'", "\"")
            from space in Gen.Elements("", " ", "\n ")
            select (numbers, quote, space),
            given =>
            {
                string written =
                    "{"
                    + string.Join(
                        $"{given.space},{given.space}",
                        given.numbers.Select(i => $"{i}{given.space}:{given.space}{given.quote}word {i}{given.quote}")
                    )
                    + given.space
                    + "}";
                var read = Verbalizer.ParseMapping(written);
                Assert.Equal(given.numbers.Select(i => $"{i}"), read.Labels);
                Assert.Equal(given.numbers.Select(i => $"word {i}"), read.Words);
            }
        );
}
