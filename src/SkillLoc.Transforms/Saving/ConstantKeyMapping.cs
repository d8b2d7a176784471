using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: a column that is 0 in every row, to which constants are mapped.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class ConstantKeyMapping : CustomMappingFactory<ConstantKeyMapping.Input, ConstantKeyMapping.Output>
{
    internal const string Contract = "SkillLoc.ConstantKey";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (_, output) => output.Key = 0;

    /// <summary>The empty input.</summary>
    public sealed class Input
    {
    }

    /// <summary>The output.</summary>
    public sealed class Output
    {
        /// <summary>0.</summary>
        [ColumnName(CarrierColumns.Key)]
        public int Key { get; set; }
    }
}
