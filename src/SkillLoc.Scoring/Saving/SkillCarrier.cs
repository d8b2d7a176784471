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

    /// <summary>The values of a row in the order of a set's inputs.</summary>
    /// <param name="columns">The set's columns.</param>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text, which is left out where the set reads none.</param>
    /// <param name="skill">The skill's name.</param>
    public static RowTexts Row(
        ScoringColumns columns,
        ReadOnlyMemory<char> text,
        ReadOnlyMemory<char> textPair,
        ReadOnlyMemory<char> skill
    ) =>
        new(
            columns.TextPair is null ? [text.ToString(), skill.ToString()] : [text.ToString(), textPair.ToString(), skill.ToString()],
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

    private sealed class InputRow
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";

        public string Skill { get; set; } = "";
    }
}
