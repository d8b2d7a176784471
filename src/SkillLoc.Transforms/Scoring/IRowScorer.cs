using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>What lazy views, their cursors and single rows score with.</summary>
internal interface IRowScorer
{
    /// <summary>Whose it is.</summary>
    Ownership Ownership { get; }

    /// <summary>The columns that are read, in the order of <see cref="RowTexts.Values"/>.</summary>
    IReadOnlyList<string> Inputs { get; }

    DataViewSchema GetOutputSchema(DataViewSchema inputSchema);

    /// <summary>Scores rows together.</summary>
    IReadOnlyList<RowScores> Score(IReadOnlyList<RowTexts> rows);

    /// <summary>Getters of the added columns, in their order.</summary>
    Delegate[] Getters(Func<RowScores> current);
}
