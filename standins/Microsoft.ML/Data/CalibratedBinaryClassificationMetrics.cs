namespace Microsoft.ML.Data;

public sealed class CalibratedBinaryClassificationMetrics : BinaryClassificationMetrics
{
    internal CalibratedBinaryClassificationMetrics(BinaryEvaluation evaluation)
        : base(evaluation)
    {
        LogLoss = evaluation.LogLoss();
        Entropy = evaluation.Entropy();
    }

    public double LogLoss { get; }

    public double LogLossReduction => (Entropy - LogLoss) / Entropy;

    public double Entropy { get; }
}
