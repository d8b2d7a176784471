using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Columns that a saved model uses between its transformers and drops at its end.</summary>
internal static class CarrierColumns
{
    public const string Text = "SkillLoc.Text";
    public const string TextPair = "SkillLoc.TextPair";
    public const string Skill = "SkillLoc.Skill";
    public const string Key = "SkillLoc.Key";
    public const string State = "SkillLoc.State";
    public const string Scores = "SkillLoc.Scores";
    public const string Label = "SkillLoc.Label";
    public const string Labels = "SkillLoc.Labels";
    public const string Slot = "SkillLoc.Slot";
    public const string SlotScore = "SkillLoc.SlotScore";
    public const string Written = "SkillLoc.Written";
    public const string Temperature = "SkillLoc.Temperature";
    public const string Floor = "SkillLoc.Floor";
    public const string Logits = "SkillLoc.Logits";
    public const string Highest = "SkillLoc.Highest";
    public const string LogSum = "SkillLoc.LogSum";
    public const string IsLogit = "SkillLoc.IsLogit";
    public const string Probability = "SkillLoc.Probability";
}

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

/// <summary>Part of saved models: a column that is 0 in every row, to which constants are mapped.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class ConstantKeyMapping : CustomMappingFactory<ConstantKeyMapping.Input, ConstantKeyMapping.Output>
{
    internal const string Contract = "SkillLoc.ConstantKey";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (_, output) => output.Key = 0;

    /// <summary>The empty input.</summary>
    public sealed class Input { }

    /// <summary>The output.</summary>
    public sealed class Output
    {
        /// <summary>0.</summary>
        [ColumnName(CarrierColumns.Key)]
        public int Key { get; set; }
    }
}
