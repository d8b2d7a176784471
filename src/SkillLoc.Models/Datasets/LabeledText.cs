using System.Globalization;

namespace SkillLoc.Models.Datasets;

/// <summary>A labelled row.</summary>
/// <param name="Text">The first sentence.</param>
/// <param name="TextPair">The second sentence; null for tasks on single sentences.</param>
/// <param name="Label">The label, or the score of a regression as text.</param>
/// <param name="Line">The first line of the row in its file, from 1; 0 without a file.</param>
public sealed record LabeledText(string Text, string? TextPair, string Label, int Line = 0)
{
    /// <summary>Returns the label of a regression as a number.</summary>
    /// <returns>The score.</returns>
    /// <exception cref="FormatException">The label is not a number; a file's labels are checked when its format has a score
    /// range.</exception>
    public float ToScore() => float.Parse(Label, NumberStyles.Float, CultureInfo.InvariantCulture);
}
