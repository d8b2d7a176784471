namespace Microsoft.ML.Transforms;

public sealed class ValueMappingEstimator<TKey, TValue> : ValueMappingEstimator
{
    internal ValueMappingEstimator(ValueMap map, params InputOutputColumnPair[] columns)
        : base(map, columns)
    {
    }
}
