namespace SkillLoc.Models.Generation;

/// <summary>A row of a text-to-text task.</summary>
/// <param name="Text">The text, before <see cref="TextToTextTask.InputOf"/>.</param>
/// <param name="Answers">The correct answers, at least one; the first is the label of the row.</param>
/// <param name="Line">The line of the row in its file, from 1; 0 without a file.</param>
public sealed record AnsweredText(string Text, IReadOnlyList<string> Answers, int Line = 0);
