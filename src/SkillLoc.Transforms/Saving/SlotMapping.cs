using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: one slot of the scores as a column.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class SlotMapping : CustomMappingFactory<SlotMapping.Input, SlotMapping.Output>
{
    internal const string Contract = "SkillLoc.Slot";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (input, output) => output.Score = input.Scores[input.Slot];

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>All scores of the row.</summary>
        [ColumnName(CarrierColumns.Scores)]
        public float[] Scores { get; set; } = [];

        /// <summary>The slot.</summary>
        [ColumnName(CarrierColumns.Slot)]
        public int Slot { get; set; }
    }

    /// <summary>The output column.</summary>
    public sealed class Output
    {
        /// <summary>The slot's score.</summary>
        [ColumnName(CarrierColumns.SlotScore)]
        public float Score { get; set; }
    }
}
