using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: the shift of a row's logits that makes them log-probabilities at a temperature.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class LogSumMapping : CustomMappingFactory<LogSumMapping.Input, LogSumMapping.Output>
{
    internal const string Contract = "SkillLoc.LogSum";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => static (input, output) =>
    {
        float highest = input.Logits.Max();
        double sum = 0;
        foreach (float logit in input.Logits)
        {
            sum += Math.Exp(((double)logit - highest) / input.Temperature);
        }

        // The maximum passes over numbers that are none; the sum does not.
        (output.Highest, output.LogSum) = (highest, (float)Math.Log(sum));
    };

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The logits.</summary>
        [ColumnName(CarrierColumns.Logits)]
        public float[] Logits { get; set; } = [];

        /// <summary>The temperature.</summary>
        [ColumnName(CarrierColumns.Temperature)]
        public float Temperature { get; set; }
    }

    /// <summary>The output column.</summary>
    public sealed class Output
    {
        /// <summary>The highest logit.</summary>
        [ColumnName(CarrierColumns.Highest)]
        public float Highest { get; set; }

        /// <summary>The logarithm of the sum of the exponentials of the logits, less the highest, over the temperature.</summary>
        [ColumnName(CarrierColumns.LogSum)]
        public float LogSum { get; set; }
    }
}
