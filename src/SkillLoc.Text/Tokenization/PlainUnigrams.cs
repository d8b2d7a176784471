using System.Globalization;
using System.Text;

namespace SkillLoc.Models.Tokenization;

/// <summary>A unigram tokenizer that does nothing but what SentencePiece does.</summary>
/// <param name="Model">A SentencePiece model whose ids are the tokenizer's.</param>
/// <param name="Replacements">What is replaced in a text before, in order.</param>
internal sealed record PlainUnigrams(byte[] Model, IReadOnlyList<TextReplacement> Replacements)
{
    // Unicode's White_Space, by which tokenizer.json splits and strips.
    private const string Spaces =
        "\t\n\v\f\r \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000";

    /// <summary>The rules and replacements that do the same as the steps of a <c>tokenizer.json</c>, before SentencePiece joins spaces,
    /// removes those at both ends and puts one before the text; null where there are none, with the reason.</summary>
    /// <param name="steps">The steps.</param>
    /// <param name="problem">The reason.</param>
    public static (byte[]? Rules, IReadOnlyList<TextReplacement> Replacements)? Of(SerializedSteps steps, out string? problem)
    {
        problem = null;
        byte[]? rules = null;
        var replacements = new List<TextReplacement>();
        (bool joins, bool strips) = (false, false);
        foreach (SerializedStep step in steps.Normalizers)
        {
            switch (step.Type)
            {
                case "Precompiled" when rules is null && replacements.Count == 0 && !joins:
                    rules = Convert.FromBase64String(step.Text("precompiled_charsmap")!);
                    break;
                case "Replace" when IsReplace(step, " {2,}", " ") || IsReplace(step, " {2,}", "\u2581"):
                    joins = true;
                    break;
                case "Replace" when rules is null && IsReplace(step, "\\s{2,}|[\\n\\r\\t]", " "):
                    replacements.Add(new($"{Class(Spaces)}{{2,}}|[\\n\\r\\t]", " "));
                    joins = true;
                    break;
                case "Strip" when step.Flag("strip_right", false):
                    replacements.Add(new(Class(Spaces) + "+\\z", ""));
                    strips = true;
                    if (step.Flag("strip_left", false))
                    {
                        replacements.Add(new("\\A" + Class(Spaces) + "+", ""));
                    }

                    break;
                default:
                    problem = $"it has the normalizer '{step.Type}' with settings that SentencePiece has not";
                    return null;
            }
        }

        IReadOnlyList<SerializedStep> splitters = steps.Splitters;
        bool splits = splitters is [{ Type: "WhitespaceSplit" }, _];
        if (splitters is not [.., { Type: "Metaspace" } metaspace] || splitters.Count != (splits ? 2 : 1) || !IsUsual(metaspace))
        {
            problem = "its pre-tokenizer is not SentencePiece's";
        }
        else if (!splits && !(joins && strips))
        {
            problem = "it keeps spaces at the end of a text or several in a row";
        }
        else if (splits && OtherSpaces(rules, steps) is { Length: > 0 } others)
        {
            replacements.Insert(0, new(Class(others), " "));
        }

        return problem is null ? (rules, replacements) : null;
    }

    private static bool IsReplace(SerializedStep step, string regex, string content) =>
        step.Text("content") == content && TokenizerFiles.Text(step.Find("pattern"), "Regex") == regex;

    private static bool IsUsual(SerializedStep metaspace) =>
        metaspace.Text("replacement") == "\u2581"
        && (metaspace.Text("prepend_scheme") ?? (metaspace.Flag("add_prefix_space", true) ? "always" : "never")) == "always"
        && metaspace.Flag("split", true);

    // White space that the rules leave as it is.
    private static string OtherSpaces(byte[]? rules, SerializedSteps steps)
    {
        CharsMap? map = rules is null ? null : new CharsMap(rules, steps.Normalizers[0].Source);
        return string.Concat(
            Spaces.Where(space => space != ' ' && (map is null || map.Match(Encoding.UTF8.GetBytes([space])).Length == 0))
        );
    }

    // A class of RE2, which has no other spelling for these characters than their numbers.
    private static string Class(string letters) =>
        $"[{string.Concat(letters.Select(letter => string.Create(CultureInfo.InvariantCulture, $"\\x{{{(int)letter:x}}}")))}]";
}

/// <summary>What is replaced in a text wherever it stands.</summary>
/// <param name="Pattern">An expression of RE2.</param>
/// <param name="Content">What takes its place.</param>
internal sealed record TextReplacement(string Pattern, string Content);
