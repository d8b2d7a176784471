namespace Microsoft.ML;

public sealed class BinaryClassificationCatalog : TrainCatalogBase
{
    internal BinaryClassificationCatalog(MLContext context)
        : base(context)
    {
    }

    public CalibratedBinaryClassificationMetrics Evaluate(
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string probabilityColumnName = "Probability",
        string predictedLabelColumnName = "PredictedLabel")
    {
        var (label, score) = Check(data, labelColumnName, scoreColumnName, predictedLabelColumnName);
        var probability = Require(data, "probability", probabilityColumnName);
        if (probability.Type != NumberDataViewType.Single)
            throw Raise.ColumnMismatch("schema", "probability", probability.Name, "Single", probability.Type);
        return new CalibratedBinaryClassificationMetrics(new BinaryEvaluation(data, label, score, probability));
    }

    public BinaryClassificationMetrics EvaluateNonCalibrated(
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel")
    {
        var (label, score) = Check(data, labelColumnName, scoreColumnName, predictedLabelColumnName);
        return new BinaryClassificationMetrics(new BinaryEvaluation(data, label, score, null));
    }

    public IReadOnlyList<CrossValidationResult<CalibratedBinaryClassificationMetrics>> CrossValidate(
        IDataView data,
        IEstimator<ITransformer> estimator,
        int numberOfFolds = 5,
        string labelColumnName = "Label",
        string samplingKeyColumnName = null,
        int? seed = null) =>
        CrossValidate(data, estimator, numberOfFolds, samplingKeyColumnName, seed, scored => Evaluate(scored, labelColumnName));

    public IReadOnlyList<CrossValidationResult<BinaryClassificationMetrics>> CrossValidateNonCalibrated(
        IDataView data,
        IEstimator<ITransformer> estimator,
        int numberOfFolds = 5,
        string labelColumnName = "Label",
        string samplingKeyColumnName = null,
        int? seed = null) =>
        CrossValidate(data, estimator, numberOfFolds, samplingKeyColumnName, seed,
            scored => EvaluateNonCalibrated(scored, labelColumnName));

    private static (DataViewSchema.Column Label, DataViewSchema.Column Score) Check(
        IDataView data, string labelName, string scoreName, string predictedName)
    {
        var label = Require(data, "label", labelName);
        var score = Require(data, "score", scoreName);
        _ = Require(data, "predictedLabel", predictedName);
        if (score.Type != NumberDataViewType.Single)
            throw Raise.ColumnMismatch("schema", "score", score.Name, "Single", score.Type);
        if (label.Type != NumberDataViewType.Single && label.Type != NumberDataViewType.Double
            && label.Type is not (BooleanDataViewType or KeyDataViewType { Count: 2 }))
            throw Raise.ColumnMismatch("schema", "label", label.Name, "Single, Double, Boolean, or Key with cardinality 2", label.Type);
        return (label, score);
    }
}
