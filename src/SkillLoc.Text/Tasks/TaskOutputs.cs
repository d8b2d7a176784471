using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Tasks;

/// <summary>The outputs of a task.</summary>
/// <param name="Labels">The labels; empty for regressions and free text.</param>
/// <param name="IsMultiLabel">Whether a row may have any number of labels.</param>
/// <param name="IsText">Whether text is generated.</param>
internal sealed record TaskOutputs(IReadOnlyList<string> Labels, bool IsMultiLabel = false, bool IsText = false)
{
    /// <summary>The outputs of a regression.</summary>
    public static TaskOutputs Score { get; } = new([]);

    /// <summary>Whether a score is predicted.</summary>
    public bool IsScore => Labels.Count == 0 && !IsText;

    /// <summary>The range of the predicted score; null for tasks that predict none, and where only the columns matter.</summary>
    public ScoreRange? Range { get; init; }
}
