using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tasks;

/// <summary>
/// Regression to a range whose ends are two label words. The loss is the Kullback-Leibler divergence of the words' probabilities p from t =
/// [1 - share, share], sum over the words of t (ln t - ln p) (methods, A.1).
/// </summary>
/// <param name="range">The range.</param>
internal sealed class RegressionTask(ScoreRange range) : TextTask
{
    // As of classes, smaller probabilities count as this.
    private const double SmallestProbability = 1e-15;

    public override TaskOutputs Outputs => TaskOutputs.Score;

    public override string MetricName => "Pearson-Correlation";

    /// <summary>The range of valid scores.</summary>
    public ScoreRange Range => range;

    public override TextTask JudgedBy(PromptMetric? metric) => metric is null or PromptMetric.Correlation
        ? this
        : throw new ArgumentException($"{metric} judges classes, and the evaluated task predicts scores.");

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using var scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor share = tensor(targets.Select(target => target.Share).ToArray(), device: logits.device);
        Tensor wanted = stack([share.Rsub(1), share], 1);
        return F.kl_div(F.log_softmax(logits, 1), wanted, log_target: false, reduction: nn.Reduction.None).sum(dim: 1).MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default) =>
        Correlation(model.Score(rows, cancellation), targets);

    public override TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation)
    {
        float[][] probabilities = model.Score(batches, cancellation);
        double loss = probabilities.Zip(targets, (row, target) => Divergence(1.0 - target.Share, row[0]) + Divergence(target.Share, row[1])).Average();
        return new(loss, Correlation(probabilities, targets), [], [], null);
    }

    // Correlation does not see the range, so shares are compared with probabilities.
    private static double Correlation(float[][] probabilities, IReadOnlyList<RowTarget> targets) => ClassificationMetric.Evaluate(
        [.. targets.Select(target => (double)target.Share)], [.. probabilities.Select(row => (double)row[1])]);

    private static double Divergence(double target, double probability) =>
        target == 0 ? 0 : target * Math.Log(target / Math.Max(probability, SmallestProbability));
}
