using System.Globalization;
using System.Text.RegularExpressions;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// A template that turns a row into a sequence with one mask, in the language of LM-BFF: <c>*cls**sent_0*_It_was*mask*.*sep+*</c> reads
/// <c>&lt;s&gt;…It was&lt;mask&gt;.&lt;/s&gt;</c>.
/// </summary>
/// <remarks>
/// The string is split at <c>*</c>. A piece is a special token (<c>cls</c>, <c>mask</c>, <c>sep</c>, <c>sep+</c>), a label's word
/// (<c>label_0</c>), a sentence (<c>sent_0</c>, <c>sent_1</c>; <c>+sent_0</c> with a space before it; <c>sentl_0</c> and
/// <c>sentu_0</c> with its first letter in lower or upper case; <c>sent-_0</c> without its last character; <c>+sentl_0</c>,
/// <c>+sentu_0</c>, <c>sentl-_0</c>), or else literal text in which <c>_</c> is a space.
/// Gao, Fisch and Chen (2021), Making pre-trained language models better few-shot learners, section 4 (methods, A.2).
/// </remarks>
public sealed partial class PromptTemplate
{
    private readonly string _source;

    private PromptTemplate(string source, IReadOnlyList<TemplatePiece> pieces)
    {
        _source = source;
        Pieces = pieces;
    }

    /// <summary>The pieces, in order.</summary>
    internal IReadOnlyList<TemplatePiece> Pieces { get; }

    /// <summary>Whether the template uses the row's second sentence.</summary>
    public bool IsPair => Pieces.OfType<TemplatePiece.Sentence>().Any(sentence => sentence.Index == 1);

    /// <summary>Reads a template.</summary>
    /// <param name="template">A string in the template language.</param>
    /// <returns>The template.</returns>
    /// <exception cref="FormatException">The string has no mask, several masks, or a variable that does not exist.</exception>
    public static PromptTemplate Parse(string template)
    {
        ArgumentException.ThrowIfNullOrEmpty(template);
        var pieces = template.Split('*').Where(piece => piece.Length > 0).Select(piece => ParsePiece(piece, template)).ToArray();
        var masks = pieces.Count(piece => piece is TemplatePiece.Special { Token: SpecialPiece.Mask });
        if (masks != 1)
            throw Wrong(template, $"it has {masks} masks; it needs exactly one '*mask*'");
        return new PromptTemplate(template, pieces);
    }

    /// <summary>The template as it was written.</summary>
    /// <returns>The text that <see cref="Parse"/> read.</returns>
    public override string ToString() => _source;

    private static TemplatePiece ParsePiece(string piece, string template)
    {
        switch (piece)
        {
            case "cls":
                return new TemplatePiece.Special(SpecialPiece.Cls);
            case "mask":
                return new TemplatePiece.Special(SpecialPiece.Mask);
            case "sep":
                return new TemplatePiece.Special(SpecialPiece.Sep);
            case "sep+":
                return new TemplatePiece.Special(SpecialPiece.SepAndNextSegment);
        }

        if (Variable().Match(piece) is not { Success: true } match)
            return new TemplatePiece.Literal(piece.Replace('_', ' '));

        if (!int.TryParse(match.Groups["index"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            throw Wrong(template, $"'*{piece}*' needs a number after its underscore, as in '*sent_0*'");
        switch (match.Groups["name"].Value)
        {
            case "label":
                return new TemplatePiece.Label(index);
            case "labelx":
                throw Wrong(template, $"'*{piece}*' names a demonstration's label, and there are no demonstrations");
            case var name when index > 1:
                throw Wrong(template, $"'*{piece}*' names sentence {index}; rows have sentences 0 ('*{name}_0*') and 1 ('*{name}_1*')");
            case "sent":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: false);
            case "+sent":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.AsIs, DropsLastCharacter: false);
            case "sent-":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.AsIs, DropsLastCharacter: true);
            case "sentl":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Lower, DropsLastCharacter: false);
            case "+sentl":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.Lower, DropsLastCharacter: false);
            case "sentl-":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Lower, DropsLastCharacter: true);
            case "sentu":
                return new TemplatePiece.Sentence(index, LeadingSpace: false, FirstLetter.Upper, DropsLastCharacter: false);
            case "+sentu":
                return new TemplatePiece.Sentence(index, LeadingSpace: true, FirstLetter.Upper, DropsLastCharacter: false);
            default:
                throw Wrong(template, $"there is no variable '*{piece}*'; sentences are sent, +sent, sent-, sentl, +sentl, sentl-, sentu and +sentu");
        }
    }

    private static FormatException Wrong(string template, string problem) => new($"Template '{template}': {problem}.");

    [GeneratedRegex("^(?<name>labelx?|\\+?sent[a-z]?[-+]?)_(?<index>.*)$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variable();
}
