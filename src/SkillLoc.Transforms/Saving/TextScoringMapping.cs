using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: scores a text by the state beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class TextScoringMapping : CustomMappingFactory<TextScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.ScoreText";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        var scorer = new RestoredScorer();
        return (input, output) => scorer.Score(input.State, input.Text.ToString(), null, output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The state of the scorer.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}
