using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Page;

/// <summary>A part of a report.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Text">A paragraph below it; may be empty.</param>
/// <param name="Pictures">What it shows.</param>
internal sealed record Section(string Title, string Text, IReadOnlyList<Picture> Pictures);
