using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>Scores rows for lazy views, their cursors and single rows.</summary>
internal interface IRowScorer
{
    /// <summary>The owner.</summary>
    Ownership Ownership { get; }

    /// <summary>The input columns, in the order of <see cref="RowTexts.Values"/>.</summary>
    IReadOnlyList<string> Inputs { get; }

    /// <summary>Signals cancellation of the context; null without a context.</summary>
    ComponentHost? Host { get; }

    DataViewSchema GetOutputSchema(DataViewSchema inputSchema);

    /// <summary>Scores rows together, immediately or when their scores are first read.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    IReadOnlyList<RowScores> Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation = default);

    /// <summary>Returns the getters of the added columns, in order.</summary>
    Delegate[] Getters(Func<RowScores> current);
}
