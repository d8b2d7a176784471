using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: a column that is 0 in every row, which constants hang on.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class ConstantKeyMapping : CustomMappingFactory<ConstantKeyMapping.Input, ConstantKeyMapping.Output>
{
    internal const string Contract = "SkillLoc.ConstantKey";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (_, output) => output.Key = 0;

    /// <summary>Nothing is read.</summary>
    public sealed class Input
    {
    }

    /// <summary>What is added.</summary>
    public sealed class Output
    {
        /// <summary>0.</summary>
        [ColumnName(CarrierColumns.Key)]
        public int Key { get; set; }
    }
}
