namespace Microsoft.ML.Data;

public class BinaryClassificationMetrics
{
    internal BinaryClassificationMetrics(BinaryEvaluation evaluation)
    {
        ConfusionMatrix = new ConfusionMatrix(evaluation.Confusion, ["positive", "negative"], isBinary: true);
        AreaUnderRocCurve = evaluation.AreaUnderRoc();
        AreaUnderPrecisionRecallCurve = evaluation.AreaUnderPrecisionRecall();
    }

    public double AreaUnderRocCurve { get; }

    public double Accuracy => (ConfusionMatrix.Counts[0][0] + ConfusionMatrix.Counts[1][1]) / ConfusionMatrix.Counts.Sum(row => row.Sum());

    public double PositivePrecision => ConfusionMatrix.PerClassPrecision[0];

    public double PositiveRecall => ConfusionMatrix.PerClassRecall[0];

    public double NegativePrecision => ConfusionMatrix.PerClassPrecision[1];

    public double NegativeRecall => ConfusionMatrix.PerClassRecall[1];

    public double F1Score => 2 * PositivePrecision * PositiveRecall / (PositivePrecision + PositiveRecall);

    public double AreaUnderPrecisionRecallCurve { get; }

    public ConfusionMatrix ConfusionMatrix { get; }
}
