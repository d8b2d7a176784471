using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Saved sets of skills, as <see cref="ScorerCarrier"/> has scorers: rows name their skill, and labels are text.</summary>
internal static class SkillCarrier
{
    /// <summary>Returns the built-in transformers that contain a state and score with it.</summary>
    /// <param name="columns">The columns.</param>
    /// <param name="skillColumn">The column that names each row's skill.</param>
    /// <param name="state">The state, which <paramref name="scoring"/> finds in <see cref="CarrierColumns.State"/>.</param>
    /// <param name="scoring">The mapping that scores; its output is <see cref="ScoredRow"/>.</param>
    public static ITransformer Create(
        ScoringColumns columns,
        string skillColumn,
        string state,
        Func<MLContext, IEstimator<ITransformer>> scoring
    )
    {
        var ml = new MLContext();
        return new EstimatorChain<ITransformer>()
            .Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Text, columns.Text))
            .Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.TextPair, columns.TextPair ?? columns.Text))
            .Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Skill, skillColumn))
            .Append<ITransformer>(ml.Transforms.CustomMapping(new ConstantKeyMapping().GetMapping(), ConstantKeyMapping.Contract))
            .Append<ITransformer>(SavedState.Constant(ml, CarrierColumns.State, state.AsMemory()))
            .Append<ITransformer>(scoring(ml))
            .Append<ITransformer>(ml.Transforms.CopyColumns(columns.PredictedLabel, CarrierColumns.Label))
            .Append<ITransformer>(ml.Transforms.CopyColumns(columns.Score, CarrierColumns.Scores))
            .Append<ITransformer>(
                ml.Transforms.DropColumns(
                    CarrierColumns.Text,
                    CarrierColumns.TextPair,
                    CarrierColumns.Skill,
                    CarrierColumns.Key,
                    CarrierColumns.State,
                    CarrierColumns.Label,
                    CarrierColumns.Labels,
                    CarrierColumns.Scores
                )
            )
            .Fit(EmptyInput(ml, columns, skillColumn));
    }

    /// <summary>Scores rows with the set that their state restores, which is one constant in all of them.</summary>
    /// <param name="restored">The restored sets by state.</param>
    /// <param name="columnsOf">A set's columns.</param>
    public static Action<SkillRow, ScoredRow> Mapping<T>(StateCache<T> restored, Func<T, ScoringColumns> columnsOf)
        where T : class, IRowScorer
    {
        Current<T>? current = null;
        return (input, output) =>
        {
            // Where the state also lies in one place, this compares nothing.
            Current<T>? known = current;
            if (known is null || !known.State.Span.SequenceEqual(input.State.Span))
            {
                current = known = new(input.State, restored.Get(input.State.ToString()));
            }

            RowScores scores = known.Set.Score([Row(columnsOf(known.Set), input)])[0];
            output.Scores = scores.Values;
            output.Label = scores.Label;
        };
    }

    private static RowTexts Row(ScoringColumns columns, SkillRow input) =>
        new(
            columns.TextPair is null
                ? [input.Text.ToString(), input.Skill.ToString()]
                : [input.Text.ToString(), input.TextPair.ToString(), input.Skill.ToString()],
            Position: null
        );

    private static IDataView EmptyInput(MLContext ml, ScoringColumns columns, string skillColumn)
    {
        var schema = SchemaDefinition.Create(typeof(InputRow));
        schema[nameof(InputRow.Text)].ColumnName = columns.Text;
        schema[nameof(InputRow.TextPair)].ColumnName = columns.TextPair ?? CarrierColumns.TextPair;
        schema[nameof(InputRow.Skill)].ColumnName = skillColumn;
        return ml.Data.LoadFromEnumerable(Array.Empty<InputRow>(), schema);
    }

    private sealed record Current<T>(ReadOnlyMemory<char> State, T Set);

    private sealed class InputRow
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";

        public string Skill { get; set; } = "";
    }
}
