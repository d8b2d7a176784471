namespace SkillLoc.Reports.Drawing;

/// <summary>A text of which some parts have scores.</summary>
/// <param name="Title">What it is; empty for the only text.</param>
/// <param name="Parts">Its parts in order.</param>
internal sealed record Passage(string Title, IReadOnlyList<PassagePart> Parts);

/// <summary>A part of a text.</summary>
/// <param name="Text">The part.</param>
/// <param name="Score">Its score as it is written; empty for none.</param>
/// <param name="Strength">From -3 to 3: how much it speaks against or for something, 0 for a part without a score.</param>
internal sealed record PassagePart(string Text, string Score = "", int Strength = 0);
