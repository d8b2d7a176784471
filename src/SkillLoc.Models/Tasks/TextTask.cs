using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tasks;

/// <summary>The kind of thing that is predicted of a text: what its loss, its probabilities and its metric are.</summary>
internal abstract class TextTask
{
    /// <summary>What is predicted, and so which columns scoring adds.</summary>
    public abstract TaskOutputs Outputs { get; }

    /// <summary>The metric's name in the result files of the paper's code, such as <c>ACC</c>.</summary>
    public abstract string MetricName { get; }

    /// <summary>The task that settings describe.</summary>
    public static TextTask Of(ClassifierSettings settings) => settings switch
    {
        { TextToText: { } task } => new GenerationTask(task, settings.Labels, settings.Words ?? settings.Labels),
        { ScoreRange: { } range } => new RegressionTask(range),
        { Thresholds: { } thresholds } => new MultiLabelTask(settings.Labels, thresholds),
        _ => new ClassificationTask(settings.Labels, settings.Metric),
    };

    /// <summary>The same task judged by another metric; null leaves the task's own.</summary>
    /// <exception cref="ArgumentException">The metric does not judge what this task predicts.</exception>
    public abstract TextTask JudgedBy(PromptMetric? metric);

    /// <summary>The labels' probabilities of their logits, <c>[rows, labels]</c>.</summary>
    public virtual Tensor Probabilities(Tensor logits) => F.softmax(logits, 1);

    /// <summary>How far a model's predictions are from what they should be.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">A batch that it made of some rows.</param>
    /// <param name="targets">Their targets.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[rows]</c>, in nats.</returns>
    public abstract Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training);

    /// <summary>The tokens of what the model should write for a row; 0 where it does not write.</summary>
    public virtual int TokensOf(RowTarget target) => 0;

    /// <summary>The task's metric of some rows; higher is better.</summary>
    public abstract double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default);

    /// <summary>Everything that is measured of some rows, of batches that stay the caller's.</summary>
    public abstract TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation);

    /// <summary>Of each row whether its label is predicted, and the probability of its label: what dataset cartography records (methods, C.6).</summary>
    /// <exception cref="NotSupportedException">The task's rows have not one label each.</exception>
    public virtual (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets) =>
        throw new NotSupportedException("Dataset cartography is for rows of one label each.");

    /// <summary>Throws unless a row's target can be judged by the task's metric.</summary>
    /// <exception cref="InvalidOperationException">It cannot; the message goes on from "Row 3 of the training data".</exception>
    public virtual void Check(RowTarget target, string row)
    {
    }
}

/// <summary>What a row should be predicted as; each task reads its own of these.</summary>
internal sealed record RowTarget
{
    /// <summary>The index of the label; -1 where there is not one label.</summary>
    public int Label { get; init; } = -1;

    /// <summary>Of a regression the score as a share of its range, from 0 to 1.</summary>
    public float Share { get; init; }

    /// <summary>Of a multi-label task 1 for each label that the row has and 0 for the others.</summary>
    public float[] LabelSet { get; init; } = [];

    /// <summary>Of a model that writes the right answers, at least one.</summary>
    public IReadOnlyList<string> Answers { get; init; } = [];

    /// <summary>The answers as the model should write them.</summary>
    public int[][] AnswerTokens { get; init; } = [];

    /// <summary>Which of the answers is learnt and counts in the loss.</summary>
    public int Answer { get; init; }

    /// <summary>The tokens of <see cref="Answer"/>.</summary>
    public int[] Tokens => AnswerTokens[Answer];
}

/// <summary>What a model makes of some rows.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">Each row's score from 0 to 1, of which 1 is right; empty where the task gives none.</param>
/// <param name="Predictions">For each row a text or number that is the same for the same prediction; empty where scores are predicted.</param>
/// <param name="Probabilities">For each row the probabilities of the labels of which one is right; null where there are none.</param>
internal sealed record TaskEvaluation(double Loss, double Metric, float[] Scores, object[] Predictions, float[][]? Probabilities);

/// <summary>What a task predicts.</summary>
/// <param name="Labels">The labels; none where a score or free text is predicted.</param>
/// <param name="IsMultiLabel">Whether any number of labels may be right.</param>
/// <param name="IsText">Whether a text is written.</param>
internal sealed record TaskOutputs(IReadOnlyList<string> Labels, bool IsMultiLabel = false, bool IsText = false)
{
    /// <summary>A score.</summary>
    public static TaskOutputs Score { get; } = new([]);

    /// <summary>Whether a score is predicted.</summary>
    public bool IsScore => Labels.Count == 0 && !IsText;
}
