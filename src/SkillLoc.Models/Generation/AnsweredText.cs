namespace SkillLoc.Models.Generation;

/// <summary>A row of a text-to-text task.</summary>
/// <param name="Text">The text, before <see cref="TextToTextTask.InputOf"/>.</param>
/// <param name="Answers">What is right to answer, at least one text; the first is the row's label.</param>
/// <param name="Line">The line of the file that the row is, from 1; 0 where there is no file.</param>
public sealed record AnsweredText(string Text, IReadOnlyList<string> Answers, int Line = 0);
