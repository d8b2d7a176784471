using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tasks;

/// <summary>Text generation, with the mean cross-entropy of the answer's tokens as loss (methods, C.2). With labels, each label has an
/// answer and its logit is the answer's log-likelihood.</summary>
/// <param name="task">The text-to-text task, with the metric of generated answers.</param>
/// <param name="labels">The labels; empty for free text.</param>
/// <param name="answers">The answer of each label.</param>
internal sealed class GenerationTask(TextToTextTask task, IReadOnlyList<string> labels, IReadOnlyList<string> answers) : TextTask
{
    public override TaskOutputs Outputs { get; } = new(labels, IsText: true);

    public override string MetricName => TextMetrics.NameOf(task.Metric);

    /// <summary>The answer of each label.</summary>
    public IReadOnlyList<string> Answers => answers;

    public override TextTask JudgedBy(PromptMetric? metric) => metric is null ? this : throw new ArgumentException(
        $"{metric} judges classes, and the evaluated task is judged by what is written; leave Options.Metric out.");

    public override int TokensOf(RowTarget target) => target.Tokens.Length;

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training) =>
        model.AnswerLosses(batch, [.. targets.Select(target => target.Tokens)], training);

    public override double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default)
    {
        double metric = TextMetrics.Evaluate(task.Metric, model.Generate(rows, cancellation), AnswersOf(targets));

        // A correlation that is not defined, because something else than a number was written, is none.
        return double.IsNaN(metric) ? 0 : metric;
    }

    public override TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation)
    {
        IReadOnlyList<string>[] right = AnswersOf(targets);
        string[] written = model.Generate(batches, cancellation);
        double metric = TextMetrics.Evaluate(task.Metric, written, right);
        float[] scores = [.. (TextMetrics.RowScores(task.Metric, written, right) ?? []).Select(score => (float)score)];
        double tokens = targets.Sum(target => (double)target.Tokens.Length);
        if (labels.Count == 0)
        {
            float[] losses = model.Losses(batches, [.. targets.Select(target => target.Tokens)], cancellation);
            return new(losses.Zip(targets, (loss, target) => (double)loss * target.Tokens.Length).Sum() / tokens, metric, scores, written, null);
        }

        float[][] logits = model.Logits(batches, cancellation);
        float[][] probabilities = Array.ConvertAll(logits, Softmax);
        return new(
            -logits.Zip(targets, (row, target) => (double)row[target.Label]).Sum() / tokens,
            metric,
            scores,
            Array.ConvertAll(probabilities, row => (object)TextClassifier.MostProbable(row)),
            probabilities);
    }

    public override (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets)
    {
        float[][] probabilities = model.ScoreAnswerTokens(rows);
        return (
            Array.ConvertAll(TextMetrics.RowScores(TextMetric.Accuracy, model.Generate(rows), AnswersOf(targets))!, score => score == 1),
            [.. probabilities.Select((row, i) => row[targets[i].Label])]);
    }

    public override string? Problem(RowTarget target) =>
        task.Metric == TextMetric.PearsonCorrelation && !TextMetrics.IsNumber(target.Answers[0])
            ? $"has the answer '{target.Answers[0]}', and {TextMetric.PearsonCorrelation} needs a finite number"
            : null;

    private static IReadOnlyList<string>[] AnswersOf(IReadOnlyList<RowTarget> targets) => [.. targets.Select(target => target.Answers)];

    // TensorPrimitives.SoftMax of ML.NET's System.Numerics.Tensors 9.0 gives NaN for scores of 1000.
    private static float[] Softmax(float[] logits)
    {
        double highest = logits.Max();
        double[] powers = Array.ConvertAll(logits, logit => Math.Exp(logit - highest));
        double sum = powers.Sum();
        return Array.ConvertAll(powers, power => (float)(power / sum));
    }
}
