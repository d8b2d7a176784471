using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tasks;

/// <summary>Multi-label classification, with the mean binary cross-entropy of the labels as loss and as metric the micro-averaged F1 at the
/// best thresholds for the evaluated rows.</summary>
/// <param name="labels">The labels, in the order of the logits.</param>
/// <param name="thresholds">The probability at or above which each label is predicted.</param>
internal sealed class MultiLabelTask(IReadOnlyList<string> labels, IReadOnlyList<float> thresholds) : TextTask
{
    // float32's sigmoid reaches 0 and 1.
    private const double SmallestProbability = 1e-15;

    public override TaskOutputs Outputs { get; } = new(labels, IsMultiLabel: true);

    public override string MetricName => "Micro-F1";

    /// <summary>Weight in the loss of having a label relative to not having it; null for equal weights.</summary>
    public float[]? PositiveWeights { get; init; }

    /// <summary>Returns the task with weights of the labels.</summary>
    public MultiLabelTask Weighted(float[] positiveWeights) => new(Outputs.Labels, thresholds) { PositiveWeights = positiveWeights };

    public override TextTask JudgedBy(PromptMetric? metric) => metric is null
        ? this
        : throw new ArgumentException($"{metric} judges one label a row, and the evaluated task predicts any number.");

    public override Tensor Probabilities(Tensor logits) => logits.sigmoid();

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using var scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor sets = tensor(targets.SelectMany(target => target.LabelSet).ToArray(), device: logits.device).view(logits.shape);
        Tensor? positive = PositiveWeights is null ? null : tensor(PositiveWeights, device: logits.device);
        return F.binary_cross_entropy_with_logits(logits, sets, reduction: nn.Reduction.None, pos_weights: positive)
            .mean([1]).MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default)
    {
        float[][] scores = model.Score(rows, cancellation);
        float[][] sets = [.. targets.Select(target => target.LabelSet)];
        return LabelThresholds.MicroF1(scores, sets, LabelThresholds.Choose(scores, sets));
    }

    /// <summary>Predictions, and whether all of a row's are correct, are by the model's own thresholds.</summary>
    public override TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation)
    {
        float[][] scores = model.Score(batches, cancellation);
        float[][] sets = [.. targets.Select(target => target.LabelSet)];
        bool[][] predictions = Array.ConvertAll(scores, row => row.Select((score, label) => score >= thresholds[label]).ToArray());
        return new(
            scores.Zip(sets, (row, set) => row.Zip(set, (score, has) => -Math.Log(Math.Max(has > 0 ? score : 1.0 - score, SmallestProbability))).Average())
                .Average(),
            LabelThresholds.MicroF1(scores, sets, LabelThresholds.Choose(scores, sets)),
            [.. predictions.Zip(sets, (row, set) => row.Zip(set).All(pair => pair.First == pair.Second > 0) ? 1f : 0f)],
            Array.ConvertAll(predictions, row => (object)string.Join(' ', row.Select(says => says ? 1 : 0))),
            null);
    }
}
