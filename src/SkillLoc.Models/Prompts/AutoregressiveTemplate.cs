using System.Text.RegularExpressions;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// A template for the text that a causal language model continues: <c>{0}</c> is the first and <c>{1}</c> the second sentence, and
/// everything else is literal, as in <c>"{0}" has a tone that is</c> (methods, A.6).
/// </summary>
public sealed partial class AutoregressiveTemplate
{
    private readonly string _source;

    private AutoregressiveTemplate(string source, IReadOnlyList<TemplatePiece> pieces)
    {
        _source = source;
        Pieces = pieces;
    }

    /// <summary>The pieces, in order: literals and sentences. A space before a sentence belongs to it.</summary>
    internal IReadOnlyList<TemplatePiece> Pieces { get; }

    /// <summary>Whether the template uses the row's second sentence.</summary>
    public bool IsPair => Pieces.OfType<TemplatePiece.Sentence>().Any(sentence => sentence.Index == 1);

    /// <summary>Reads a template.</summary>
    /// <param name="template">Text with <c>{0}</c> and, for pairs, <c>{1}</c>.</param>
    /// <returns>The template.</returns>
    /// <exception cref="FormatException">The text has no <c>{0}</c>.</exception>
    public static AutoregressiveTemplate Parse(string template)
    {
        ArgumentException.ThrowIfNullOrEmpty(template);
        var pieces = new List<TemplatePiece>();
        var start = 0;
        foreach (Match match in Placeholder().Matches(template))
        {
            if (match.Index > start)
                pieces.Add(new TemplatePiece.Literal(template[start..match.Index]));
            var index = match.Value.Contains('0', StringComparison.Ordinal) ? 0 : 1;
            pieces.Add(new TemplatePiece.Sentence(index, LeadingSpace: match.Value[0] == ' ', FirstLetter.AsIs, DropsLastCharacter: false));
            start = match.Index + match.Length;
        }
        if (start < template.Length)
            pieces.Add(new TemplatePiece.Literal(template[start..]));
        return pieces.Exists(piece => piece is TemplatePiece.Sentence { Index: 0 })
            ? new AutoregressiveTemplate(template, pieces)
            : throw new FormatException($"Template '{template}': it has no '{{0}}', where the row's sentence goes ('{{1}}' is the second sentence's place).");
    }

    /// <summary>The template as it was written.</summary>
    /// <returns>The text that <see cref="Parse"/> read.</returns>
    public override string ToString() => _source;

    [GeneratedRegex(" ?\\{[01]\\}", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Placeholder();
}
