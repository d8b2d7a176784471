using System.Globalization;

namespace SkillLoc.Tests;

/// <summary>
/// Runs something as on a machine of another language. The tests run in globalization-invariant mode, without ICU, so that cultures are
/// made by hand: with what they write numbers, dates and lists with. Case mapping stays the invariant one; the analysers see to that
/// nothing asks for another.
/// </summary>
internal static class Cultures
{
    public static string[] Names => ["fr-FR", "tr-TR", "fa-IR", "sv-SE"];

    public static T In<T>(string culture, Func<T> work)
    {
        CultureInfo before = CultureInfo.CurrentCulture,
            threads = CultureInfo.DefaultThreadCurrentCulture ?? before;
        CultureInfo.CurrentCulture = Make(culture);

        // The threads that a training starts are in it too.
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture;
        try
        {
            return work();
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
            CultureInfo.DefaultThreadCurrentCulture = threads;
        }
    }

    public static void In(string culture, Action work) =>
        In(
            culture,
            () =>
            {
                work();
                return 0;
            }
        );

    private static CultureInfo Make(string name)
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (string point, string groups, string minus, string list) = name switch
        {
            "fr-FR" => (",", "\u202F", "-", ";"),
            "tr-TR" => (",", ".", "-", ";"),
            "de-DE" => (",", ".", "-", ";"),
            "sv-SE" => (",", "\u00A0", "\u2212", ";"),
            "fa-IR" => ("\u066B", "\u066C", "\u200E\u2212", "\u061B"),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "How it writes numbers is not known here."),
        };
        NumberFormatInfo numbers = culture.NumberFormat;
        (numbers.NumberDecimalSeparator, numbers.NumberGroupSeparator, numbers.NegativeSign) = (point, groups, minus);
        (numbers.PercentDecimalSeparator, numbers.PercentGroupSeparator) = (point, groups);
        culture.TextInfo.ListSeparator = list;
        (culture.DateTimeFormat.DateSeparator, culture.DateTimeFormat.TimeSeparator) = (".", ".");
        return culture;
    }
}
