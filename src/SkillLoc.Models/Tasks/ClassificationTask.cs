using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tasks;

/// <summary>Single-label classification with cross-entropy loss.</summary>
/// <param name="labels">The labels, in the order of the logits.</param>
/// <param name="metric">The metric.</param>
internal sealed class ClassificationTask(IReadOnlyList<string> labels, PromptMetric metric) : TextTask
{
    // As in ML.NET, smaller probabilities count as this.
    private const double SmallestProbability = 1e-15;

    public override TaskOutputs Outputs { get; } = new(labels);

    public override string MetricName => metric switch
    {
        PromptMetric.AccuracyAndF1 => "F1",
        PromptMetric.MatthewsCorrelation => "Matthew-Correlation",
        _ => "ACC",
    };

    /// <summary>The mean of -ln(probability of the true label), in nats.</summary>
    private static double LogLoss(IEnumerable<float[]> probabilities, IReadOnlyList<RowTarget> targets) =>
        -probabilities.Select((row, i) => Math.Log(Math.Clamp(row[targets[i].Label], SmallestProbability, 1))).Average();

    public override TextTask JudgedBy(PromptMetric? other) => other switch
    {
        null => this,
        PromptMetric.Correlation => throw new ArgumentException($"{other} judges scores, and the evaluated task predicts classes."),
        { } known => new ClassificationTask(Outputs.Labels, known),
    };

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using var scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor truth = tensor(targets.Select(target => (long)target.Label).ToArray(), device: logits.device);
        return F.cross_entropy(logits, truth, reduction: nn.Reduction.None).MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default) =>
        Metric(targets, Array.ConvertAll(model.Score(rows, cancellation), row => TextClassifier.MostProbable(row)));

    public override TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation)
    {
        float[][] probabilities = model.Score(batches, cancellation);
        int[] predictions = Array.ConvertAll(probabilities, row => TextClassifier.MostProbable(row));
        return new(
            LogLoss(probabilities, targets),
            Metric(targets, predictions),
            [.. predictions.Select((label, i) => label == targets[i].Label ? 1f : 0f)],
            Array.ConvertAll(predictions, label => (object)label),
            probabilities);
    }

    public override (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets)
    {
        float[][] probabilities = model.Score(rows);
        return (
            [.. probabilities.Select((row, i) => TextClassifier.MostProbable(row) == targets[i].Label)],
            [.. probabilities.Select((row, i) => row[targets[i].Label])]);
    }

    private double Metric(IReadOnlyList<RowTarget> targets, int[] predictions) =>
        ClassificationMetric.Evaluate(metric, [.. targets.Select(target => target.Label)], predictions);
}
