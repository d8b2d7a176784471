namespace Microsoft.ML;

public sealed class MulticlassClassificationCatalog : TrainCatalogBase
{
    internal MulticlassClassificationCatalog(MLContext context)
        : base(context)
    {
    }

    public MulticlassClassificationMetrics Evaluate(
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel",
        int topKPredictionCount = 0)
    {
        var label = Require(data, "label", labelColumnName);
        var score = Require(data, "score", scoreColumnName);
        _ = Require(data, "predictedLabel", predictedLabelColumnName);
        if (topKPredictionCount < 0)
            throw Raise.Param(nameof(topKPredictionCount), "Must be non-negative");
        if (score.Type is not VectorDataViewType { Size: >= 2 } scoreType || scoreType.ItemType != NumberDataViewType.Single)
            throw Raise.ColumnMismatch("schema", "score", score.Name, "vector of two or more items of type Single", score.Type);
        if (label.Type != NumberDataViewType.Single && label.Type != NumberDataViewType.Double && label.Type is not KeyDataViewType)
            throw Raise.ColumnMismatch("schema", "label", label.Name, "Single, Double or Key", label.Type);
        return new MulticlassEvaluation(scoreType.Size).Run(data, label, score, topKPredictionCount);
    }

    public IReadOnlyList<CrossValidationResult<MulticlassClassificationMetrics>> CrossValidate(
        IDataView data,
        IEstimator<ITransformer> estimator,
        int numberOfFolds = 5,
        string labelColumnName = "Label",
        string samplingKeyColumnName = null,
        int? seed = null) =>
        CrossValidate(data, estimator, numberOfFolds, samplingKeyColumnName, seed, scored => Evaluate(scored, labelColumnName));
}
