namespace Microsoft.ML;

public sealed class RegressionCatalog : TrainCatalogBase
{
    internal RegressionCatalog(MLContext context)
        : base(context)
    {
    }

    public RegressionMetrics Evaluate(IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score")
    {
        var label = Require(data, "label", labelColumnName);
        var score = Require(data, "score", scoreColumnName);
        if (score.Type != NumberDataViewType.Single)
            throw Raise.ColumnMismatch("schema", "score", score.Name, "Single", score.Type);
        if (label.Type != NumberDataViewType.Single)
            throw Raise.ColumnMismatch("schema", "label", label.Name, "Single", label.Type);
        return new RegressionMetrics(data, label, score);
    }
}
