using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: scores a row with the skill that it names.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class SkillScoringMapping : CustomMappingFactory<SkillScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.ScoreSkill";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        Current? current = null;
        return (input, output) =>
        {
            // The state is one constant in every row; where it also lies in one place, this compares nothing.
            Current? known = current;
            if (known is null || !known.State.Span.SequenceEqual(input.State.Span))
            {
                current = known = new(input.State, SavedModelSet.Restored.Get(input.State.ToString()));
            }

            IRowScorer set = known.Set;
            string[] values = known.Set.Columns.TextPair is null
                ? [input.Text.ToString(), input.Skill.ToString()]
                : [input.Text.ToString(), input.TextPair.ToString(), input.Skill.ToString()];
            RowScores scores = set.Score([new(values, Position: null)])[0];
            output.Scores = scores.Values;
            output.Label = scores.Label;
        };
    }

    private sealed record Current(ReadOnlyMemory<char> State, GraftedModelSet Set);

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The second text; the first again if there is none.</summary>
        [ColumnName(CarrierColumns.TextPair)]
        public ReadOnlyMemory<char> TextPair { get; set; }

        /// <summary>The skill's name.</summary>
        [ColumnName(CarrierColumns.Skill)]
        public ReadOnlyMemory<char> Skill { get; set; }

        /// <summary>The state of the set.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}
