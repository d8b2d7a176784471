using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: the probability of true at a temperature.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class BinaryTemperatureMapping : CustomMappingFactory<BinaryTemperatureMapping.Input, BinaryTemperatureMapping.Output>
{
    internal const string Contract = "SkillLoc.BinaryTemperature";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() =>
        static (input, output) =>
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

/// <summary>Part of saved models: the shift of a row's logits that makes them log-probabilities at a temperature.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class LogSumMapping : CustomMappingFactory<LogSumMapping.Input, LogSumMapping.Output>
{
    internal const string Contract = "SkillLoc.LogSum";

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() =>
        static (input, output) =>
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
