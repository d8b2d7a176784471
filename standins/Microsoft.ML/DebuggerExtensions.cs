namespace Microsoft.ML;

public static class DebuggerExtensions
{
    public static DataDebuggerPreview Preview(this IDataView data, int maxRows = 100)
    {
        ArgumentNullException.ThrowIfNull(data);
        return maxRows >= 0 ? new(data, maxRows) : throw Raise.Param(nameof(maxRows), "Should be non-negative");
    }

    public static DataDebuggerPreview Preview(this ITransformer transformer, IDataView data, int maxRows = 100) =>
        transformer.Transform(data).Preview(maxRows);

    public static DataDebuggerPreview Preview(
        this IEstimator<ITransformer> estimator, IDataView data, int maxRows = 100, int maxTrainingRows = 100) =>
        estimator.Fit(new SliceView(data, 0, maxTrainingRows)).Transform(data).Preview(maxRows);

    public static DataDebuggerPreview Preview<TSource>(this IDataLoader<TSource> loader, TSource source, int maxRows = 100) =>
        loader.Load(source).Preview(maxRows);
}
