using System.Globalization;

namespace SkillLoc.Models.Datasets;

/// <summary>A row of a task's data.</summary>
/// <param name="Text">The first sentence.</param>
/// <param name="TextPair">The second sentence; null for tasks on single sentences.</param>
/// <param name="Label">The label as the task calls it, or a regression's score as it is written.</param>
/// <param name="Line">The line of the file that the row begins on, from 1; 0 where there is no file.</param>
public sealed record LabeledText(string Text, string? TextPair, string Label, int Line = 0)
{
    /// <summary>The label of a regression as a number.</summary>
    /// <returns>The score.</returns>
    /// <exception cref="FormatException">The label is not a number; a file's labels are checked when its format has a score range.</exception>
    public float ToScore() => float.Parse(Label, NumberStyles.Float, CultureInfo.InvariantCulture);
}
