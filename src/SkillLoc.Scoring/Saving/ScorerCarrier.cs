using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>
/// Saved scorers. ML.NET's repository types are closed to other assemblies, so a saved model contains built-in transformers only: constant
/// texts (the state), stateless custom mappings that restore the scorer from them, and transformers for the types and names of the new
/// columns.
/// </summary>
internal static class ScorerCarrier
{
    /// <summary>Returns the built-in transformers that contain a state and score with it.</summary>
    /// <param name="columns">The columns.</param>
    /// <param name="outputs">What is predicted.</param>
    /// <param name="state">The state: texts by column.</param>
    /// <param name="scoring">What scores <see cref="CarrierColumns.Text"/> by the state; its output is <see cref="ScoredRow"/>.</param>
    /// <param name="writing">The mapping that adds <see cref="CarrierColumns.Written"/>, for models that generate text.</param>
    /// <param name="between">Further columns that <paramref name="scoring"/> adds, to be dropped.</param>
    public static ITransformer Create(
        ScoringColumns columns,
        TaskOutputs outputs,
        IReadOnlyDictionary<string, string> state,
        Func<MLContext, IEstimator<ITransformer>> scoring,
        Func<MLContext, IEstimator<ITransformer>>? writing = null,
        IEnumerable<string>? between = null
    )
    {
        var ml = new MLContext();
        IReadOnlyList<string> labels = outputs.Labels;
        string[] slots =
            labels.Count > 0 ? [.. labels.Select(label => Collides(label, columns) ? $"{columns.Score}.{label}" : label)]
            : outputs.IsScore ? [columns.Score]
            : [];
        EstimatorChain<ITransformer> chain = Texts(ml, columns, out List<string> dropped);
        dropped.AddRange([.. state.Keys, .. between ?? []]);
        foreach ((string column, string text) in state)
        {
            chain = chain.Append<ITransformer>(SavedState.Constant(ml, column, text.AsMemory()));
        }

        if (slots.Length > 0)
        {
            chain = chain.Append<ITransformer>(scoring(ml));
            dropped.AddRange([
                CarrierColumns.Scores,
                CarrierColumns.Label,
                CarrierColumns.Labels,
                CarrierColumns.Slot,
                CarrierColumns.SlotScore,
            ]);
        }

        for (int i = 0; i < slots.Length; i++)
        {
            // A custom mapping's vector has no size after loading, and ML.NET's evaluators ask for one: single slots, concatenated, have
            // it.
            chain = chain
                .Append<ITransformer>(SavedState.Constant(ml, CarrierColumns.Slot, i))
                .Append<ITransformer>(ml.Transforms.CustomMapping(new SlotMapping().GetMapping(), SlotMapping.Contract))
                .Append<ITransformer>(ml.Transforms.CopyColumns(slots[i], CarrierColumns.SlotScore));
        }

        // A regression's one slot is its Score already.
        if (labels.Count > 0)
        {
            IDataView keys = ml.Data.LoadFromEnumerable(labels.Select(label => new LabelRow { Label = label }));
            chain = chain
                .Append<ITransformer>(
                    ml.Transforms.Conversion.MapValueToKey(
                        columns.PredictedLabel,
                        outputs.IsMultiLabel ? CarrierColumns.Labels : CarrierColumns.Label,
                        keyData: keys
                    )
                )
                .Append<ITransformer>(ml.Transforms.Concatenate(columns.Score, slots));
            dropped.AddRange(slots);
        }

        if (outputs.IsText)
        {
            // A mapping of its own, which runs only where somebody reads the text.
            chain = chain
                .Append<ITransformer>(writing!(ml))
                .Append<ITransformer>(ml.Transforms.CopyColumns(columns.PredictedText, CarrierColumns.Written));
            dropped.Add(CarrierColumns.Written);
        }

        return chain.Append<ITransformer>(ml.Transforms.DropColumns([.. dropped])).Fit(EmptyInput(ml, columns));
    }

    /// <summary>The transformers that a saved model begins with: its texts under names of their own, and a column for constants.</summary>
    /// <param name="ml">The context.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="dropped">The columns that they add, to be dropped at the end.</param>
    public static EstimatorChain<ITransformer> Texts(MLContext ml, ScoringColumns columns, out List<string> dropped)
    {
        dropped = [CarrierColumns.Text, CarrierColumns.Key];
        EstimatorChain<ITransformer> chain = new EstimatorChain<ITransformer>().Append<ITransformer>(
            ml.Transforms.CopyColumns(CarrierColumns.Text, columns.Text)
        );
        if (columns.TextPair is not null)
        {
            chain = chain.Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.TextPair, columns.TextPair));
            dropped.Add(CarrierColumns.TextPair);
        }

        return chain.Append<ITransformer>(ml.Transforms.CustomMapping(new ConstantKeyMapping().GetMapping(), ConstantKeyMapping.Contract));
    }

    /// <summary>No rows of the columns that a saved model reads.</summary>
    public static IDataView EmptyInput(MLContext ml, ScoringColumns columns)
    {
        var schema = SchemaDefinition.Create(typeof(InputRow));
        schema[nameof(InputRow.Text)].ColumnName = columns.Text;
        schema[nameof(InputRow.TextPair)].ColumnName = columns.TextPair ?? CarrierColumns.TextPair;
        return ml.Data.LoadFromEnumerable(Array.Empty<InputRow>(), schema);
    }

    private static bool Collides(string label, ScoringColumns columns) =>
        label.Length == 0
        || label == "Label"
        || label == columns.Score
        || label == columns.PredictedLabel
        || label == columns.PredictedText
        || columns.Inputs.Contains(label);

    private sealed class InputRow
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class LabelRow
    {
        public string Label { get; set; } = "";
    }
}
