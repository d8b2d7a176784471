using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Tasks;

/// <summary>A kind of prediction, with its loss, probabilities and metric.</summary>
internal abstract class TextTask
{
    /// <summary>The outputs, which determine the columns that scoring adds.</summary>
    public abstract TaskOutputs Outputs { get; }

    /// <summary>The metric's name in the result files of the paper's code, such as <c>ACC</c>.</summary>
    public abstract string MetricName { get; }

    /// <summary>The task of the settings.</summary>
    public static TextTask Of(ClassifierSettings settings) => settings switch
    {
        { TextToText: { } task } => new GenerationTask(task, settings.Labels, settings.Words ?? settings.Labels),
        { ScoreRange: { } range } => new RegressionTask(range),
        { Thresholds: { } thresholds } => new MultiLabelTask(settings.Labels, thresholds),
        _ => new ClassificationTask(settings.Labels, settings.Metric),
    };

    /// <summary>Returns the task with another metric; null keeps the task's own.</summary>
    /// <exception cref="ArgumentException">The metric does not apply to this task.</exception>
    public abstract TextTask JudgedBy(PromptMetric? metric);

    /// <summary>Converts logits to probabilities, <c>[rows, labels]</c>.</summary>
    public virtual Tensor Probabilities(Tensor logits) => F.softmax(logits, 1);

    /// <summary>Computes the loss of each row.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batch">A batch of the model.</param>
    /// <param name="targets">The targets of the rows.</param>
    /// <param name="training">True enables dropout.</param>
    /// <returns><c>[rows]</c>, in nats.</returns>
    public abstract Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training);

    /// <summary>Number of target tokens of a row; 0 without generation.</summary>
    public virtual int TokensOf(RowTarget target) => 0;

    /// <summary>Computes the metric; higher is better.</summary>
    public abstract double Metric(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets, CancellationToken cancellation = default);

    /// <summary>Evaluates prepared batches; the caller keeps ownership of these.</summary>
    public abstract TaskEvaluation Evaluate(
        TextClassifier model, IReadOnlyList<ScoringBatch> batches, IReadOnlyList<RowTarget> targets, CancellationToken cancellation);

    /// <summary>For each row whether its label is predicted and the label's probability, as dataset cartography records them
    /// (methods, C.6).</summary>
    /// <exception cref="NotSupportedException">The rows of this task do not have exactly one label.</exception>
    public virtual (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model, IReadOnlyList<EncodedText> rows, IReadOnlyList<RowTarget> targets) =>
        throw new NotSupportedException("Dataset cartography is for rows of one label each.");

    /// <summary>Why the task's metric cannot judge a row's target, so that hours of training do not end with it; null where it can.</summary>
    public virtual string? Problem(RowTarget target) => null;
}

/// <summary>The target of a row; each task uses its own properties.</summary>
internal sealed record RowTarget
{
    /// <summary>Index of the label; -1 unless the task has one label per row.</summary>
    public int Label { get; init; } = -1;

    /// <summary>For regressions the score as a fraction of the range, from 0 to 1.</summary>
    public float Share { get; init; }

    /// <summary>For multi-label tasks 1 for each label of the row and 0 for the others.</summary>
    public float[] LabelSet { get; init; } = [];

    /// <summary>For text generation the correct answers, at least one.</summary>
    public IReadOnlyList<string> Answers { get; init; } = [];

    /// <summary>The answers as token ids.</summary>
    public int[][] AnswerTokens { get; init; } = [];

    /// <summary>Index of the answer that the loss uses.</summary>
    public int Answer { get; init; }

    /// <summary>The tokens of <see cref="Answer"/>.</summary>
    public int[] Tokens => AnswerTokens[Answer];
}

/// <summary>The evaluation of a model on a set of rows.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">The score of each row from 0 to 1, where 1 is correct; empty for tasks without such scores.</param>
/// <param name="Predictions">For each row a text or number that identifies the prediction; empty for regressions.</param>
/// <param name="Probabilities">For each row the probabilities of the labels, for tasks with one label per row; else null.</param>
internal sealed record TaskEvaluation(double Loss, double Metric, float[] Scores, object[] Predictions, float[][]? Probabilities);

/// <summary>The outputs of a task.</summary>
/// <param name="Labels">The labels; empty for regressions and free text.</param>
/// <param name="IsMultiLabel">Whether a row may have any number of labels.</param>
/// <param name="IsText">Whether text is generated.</param>
internal sealed record TaskOutputs(IReadOnlyList<string> Labels, bool IsMultiLabel = false, bool IsText = false)
{
    /// <summary>The outputs of a regression.</summary>
    public static TaskOutputs Score { get; } = new([]);

    /// <summary>Whether a score is predicted.</summary>
    public bool IsScore => Labels.Count == 0 && !IsText;
}
