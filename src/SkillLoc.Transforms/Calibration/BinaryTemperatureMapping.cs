using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: the probability of true at a temperature.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class BinaryTemperatureMapping : CustomMappingFactory<BinaryTemperatureMapping.Input, BinaryTemperatureMapping.Output>
{
    internal const string Contract = "SkillLoc.BinaryTemperature";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (input, output) =>
    {
        double logit = input.IsLogit ? input.Score : TemperatureTransformer.Logit(input.Score);
        output.Probability = (float)(1 / (1 + Math.Exp(-logit / input.Temperature)));
    };

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The probability of true, or its logit.</summary>
        [ColumnName(CarrierColumns.Scores)]
        public float Score { get; set; }

        /// <summary>Whether it is a logit.</summary>
        [ColumnName(CarrierColumns.IsLogit)]
        public bool IsLogit { get; set; }

        /// <summary>The temperature.</summary>
        [ColumnName(CarrierColumns.Temperature)]
        public float Temperature { get; set; }
    }

    /// <summary>The output column.</summary>
    public sealed class Output
    {
        /// <summary>The probability of true.</summary>
        [ColumnName(CarrierColumns.Probability)]
        public float Probability { get; set; }
    }
}
