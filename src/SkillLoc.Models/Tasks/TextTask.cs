using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
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
    public static TextTask Of(ClassifierSettings settings) =>
        settings switch
        {
            { TextToText: { } task } => new GenerationTask(task, settings.Labels, settings.Words ?? settings.Labels),
            { ScoreRange: { } range } => new RegressionTask(range),
            { Thresholds: { } thresholds } => new MultiLabelTask(settings.Labels, thresholds),
            _ => new ClassificationTask(settings.Labels, settings.Metric),
        };

    /// <summary>Returns the task with another metric; null keeps the task's own.</summary>
    /// <exception cref="ArgumentException">The metric does not apply to this task.</exception>
    public abstract TextTask WithMetric(PromptMetric? metric);

    /// <summary>Whether each row has exactly one label.</summary>
    public virtual bool HasOneLabel => false;

    /// <summary>Returns the task with weights of the labels in its loss, where a row has any number of them; null where weights of labels
    /// are weights of rows.</summary>
    /// <param name="positiveWeights">Weight of having each label relative to not having it.</param>
    public virtual TextTask? Weighted(Func<float[]> positiveWeights) => null;

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
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation = default
    );

    /// <summary>Evaluates prepared batches; the caller keeps ownership of these.</summary>
    public abstract TaskEvaluation Evaluate(
        TextClassifier model,
        IReadOnlyList<ScoringBatch> batches,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation
    );

    /// <summary>For each row whether its label is predicted and the label's probability, as dataset cartography records them
    /// (methods, C.6).</summary>
    /// <exception cref="NotSupportedException">The rows of this task do not have exactly one label.</exception>
    public virtual (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets
    ) => throw new NotSupportedException("Dataset cartography is for rows of one label each.");

    /// <summary>Why the task's metric cannot evaluate a row's target, found before training rather than after it; null where it
    /// can.</summary>
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

/// <summary>Single-label classification with cross-entropy loss.</summary>
/// <param name="labels">The labels, in the order of the logits.</param>
/// <param name="metric">The metric.</param>
internal sealed class ClassificationTask(IReadOnlyList<string> labels, PromptMetric metric) : TextTask
{
    // As in ML.NET, smaller probabilities count as this.
    private const double SmallestProbability = 1e-15;

    public override TaskOutputs Outputs { get; } = new(labels);

    public override bool HasOneLabel => true;

    public override string MetricName =>
        metric switch
        {
            PromptMetric.AccuracyAndF1 => "F1",
            PromptMetric.MatthewsCorrelation => "Matthew-Correlation",
            _ => "ACC",
        };

    /// <summary>The mean of -ln(probability of the true label), in nats.</summary>
    private static double LogLoss(IEnumerable<float[]> probabilities, IReadOnlyList<RowTarget> targets) =>
        -probabilities.Select((row, i) => Math.Log(Math.Clamp(row[targets[i].Label], SmallestProbability, 1))).Average();

    public override TextTask WithMetric(PromptMetric? other) =>
        other switch
        {
            null => this,
            PromptMetric.Correlation => throw new ArgumentException(
                $"{other} is a metric of scores, and the evaluated task predicts classes."
            ),
            { } known => new ClassificationTask(Outputs.Labels, known),
        };

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor truth = tensor(targets.Select(target => (long)target.Label).ToArray(), device: logits.device);
        return F.cross_entropy(logits, truth, reduction: nn.Reduction.None).MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation = default
    ) => Metric(targets, Array.ConvertAll(model.Score(rows, cancellation), row => TextClassifier.MostProbable(row)));

    public override TaskEvaluation Evaluate(
        TextClassifier model,
        IReadOnlyList<ScoringBatch> batches,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation
    )
    {
        float[][] probabilities = model.Score(batches, cancellation);
        int[] predictions = Array.ConvertAll(probabilities, row => TextClassifier.MostProbable(row));
        return new(
            LogLoss(probabilities, targets),
            Metric(targets, predictions),
            [.. predictions.Select((label, i) => label == targets[i].Label ? 1f : 0f)],
            Array.ConvertAll(predictions, label => (object)label),
            probabilities
        );
    }

    public override (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets
    )
    {
        float[][] probabilities = model.Score(rows);
        return (
            [.. probabilities.Select((row, i) => TextClassifier.MostProbable(row) == targets[i].Label)],
            [.. probabilities.Select((row, i) => row[targets[i].Label])]
        );
    }

    private double Metric(IReadOnlyList<RowTarget> targets, int[] predictions) =>
        ClassificationMetric.Evaluate(metric, [.. targets.Select(target => target.Label)], predictions);
}

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

    public override TextTask Weighted(Func<float[]> positiveWeights) =>
        new MultiLabelTask(Outputs.Labels, thresholds) { PositiveWeights = positiveWeights() };

    public override TextTask WithMetric(PromptMetric? metric) =>
        metric is null
            ? this
            : throw new ArgumentException($"{metric} is a metric of one label per row, and the evaluated task predicts any number.");

    public override Tensor Probabilities(Tensor logits) => logits.sigmoid();

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor sets = tensor(targets.SelectMany(target => target.LabelSet).ToArray(), device: logits.device).view(logits.shape);
        Tensor? positive = PositiveWeights is null ? null : tensor(PositiveWeights, device: logits.device);
        return F.binary_cross_entropy_with_logits(logits, sets, reduction: nn.Reduction.None, pos_weights: positive)
            .mean([1])
            .MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation = default
    )
    {
        float[][] scores = model.Score(rows, cancellation);
        float[][] sets = [.. targets.Select(target => target.LabelSet)];
        return LabelThresholds.MicroF1(scores, sets, LabelThresholds.Choose(scores, sets));
    }

    /// <summary>Predictions, and whether all of a row's are correct, are by the model's own thresholds.</summary>
    public override TaskEvaluation Evaluate(
        TextClassifier model,
        IReadOnlyList<ScoringBatch> batches,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation
    )
    {
        float[][] scores = model.Score(batches, cancellation);
        float[][] sets = [.. targets.Select(target => target.LabelSet)];
        bool[][] predictions = Array.ConvertAll(scores, row => row.Select((score, label) => score >= thresholds[label]).ToArray());
        return new(
            scores
                .Zip(
                    sets,
                    (row, set) =>
                        row.Zip(set, (score, has) => -Math.Log(Math.Max(has > 0 ? score : 1.0 - score, SmallestProbability))).Average()
                )
                .Average(),
            LabelThresholds.MicroF1(scores, sets, LabelThresholds.Choose(scores, sets)),
            [.. predictions.Zip(sets, (row, set) => row.Zip(set).All(pair => pair.First == pair.Second > 0) ? 1f : 0f)],
            Array.ConvertAll(predictions, row => (object)string.Join(' ', row.Select(says => says ? 1 : 0))),
            null
        );
    }
}

/// <summary>
/// Regression to a range whose ends are two label words. The loss is the Kullback-Leibler divergence of the words' probabilities p from t =
/// [1 - share, share], sum over the words of t (ln t - ln p) (methods, A.1).
/// </summary>
/// <param name="range">The range.</param>
internal sealed class RegressionTask(ScoreRange range) : TextTask
{
    // As of classes, smaller probabilities count as this.
    private const double SmallestProbability = 1e-15;

    public override TaskOutputs Outputs { get; } = TaskOutputs.Score with { Range = range };

    public override string MetricName => "Pearson-Correlation";

    public override TextTask WithMetric(PromptMetric? metric) =>
        metric is null or PromptMetric.Correlation
            ? this
            : throw new ArgumentException($"{metric} is a metric of classes, and the evaluated task predicts scores.");

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.Logits(batch, training);
        Tensor share = tensor(targets.Select(target => target.Share).ToArray(), device: logits.device);
        Tensor wanted = stack([share.Rsub(1), share], 1);
        return F.kl_div(F.log_softmax(logits, 1), wanted, log_target: false, reduction: nn.Reduction.None)
            .sum(dim: 1)
            .MoveToOuterDisposeScope();
    }

    public override double Metric(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation = default
    ) => Correlation(model.Score(rows, cancellation), targets);

    public override TaskEvaluation Evaluate(
        TextClassifier model,
        IReadOnlyList<ScoringBatch> batches,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation
    )
    {
        float[][] probabilities = model.Score(batches, cancellation);
        double loss = probabilities
            .Zip(targets, (row, target) => Divergence(1.0 - target.Share, row[0]) + Divergence(target.Share, row[1]))
            .Average();
        return new(loss, Correlation(probabilities, targets), [], [], null);
    }

    // Correlation does not see the range, so shares are compared with probabilities.
    private static double Correlation(float[][] probabilities, IReadOnlyList<RowTarget> targets) =>
        ClassificationMetric.Evaluate(
            [.. targets.Select(target => (double)target.Share)],
            [.. probabilities.Select(row => (double)row[1])]
        );

    private static double Divergence(double target, double probability) =>
        target == 0 ? 0 : target * Math.Log(target / Math.Max(probability, SmallestProbability));
}

/// <summary>Text generation, with the mean cross-entropy of the answer's tokens as loss (methods, C.2). With labels, each label has an
/// answer and its logit is the answer's log-likelihood.</summary>
/// <param name="task">The text-to-text task, with the metric of generated answers.</param>
/// <param name="labels">The labels; empty for free text.</param>
/// <param name="answers">The answer of each label.</param>
internal sealed class GenerationTask(TextToTextTask task, IReadOnlyList<string> labels, IReadOnlyList<string> answers) : TextTask
{
    public override TaskOutputs Outputs { get; } = new(labels, IsText: true);

    public override bool HasOneLabel => labels.Count > 0;

    public override string MetricName => TextMetrics.NameOf(task.Metric);

    /// <summary>The answer of each label.</summary>
    public IReadOnlyList<string> Answers => answers;

    public override TextTask WithMetric(PromptMetric? metric) =>
        metric is null
            ? this
            : throw new ArgumentException(
                $"{metric} is a metric of classes, and the evaluated task generates text; leave Options.Metric out."
            );

    public override int TokensOf(RowTarget target) => target.Tokens.Length;

    public override Tensor Losses(TextClassifier model, TokenBatch batch, IReadOnlyList<RowTarget> targets, bool training) =>
        model.AnswerLosses(batch, [.. targets.Select(target => target.Tokens)], training);

    public override double Metric(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation = default
    )
    {
        double metric = TextMetrics.Evaluate(task.Metric, model.Generate(rows, cancellation), AnswersOf(targets));

        // A correlation that is not defined, because something else than a number was written, is none.
        return double.IsNaN(metric) ? 0 : metric;
    }

    public override TaskEvaluation Evaluate(
        TextClassifier model,
        IReadOnlyList<ScoringBatch> batches,
        IReadOnlyList<RowTarget> targets,
        CancellationToken cancellation
    )
    {
        IReadOnlyList<string>[] right = AnswersOf(targets);
        string[] written = model.Generate(batches, cancellation);
        double metric = TextMetrics.Evaluate(task.Metric, written, right);
        float[] scores = [.. (TextMetrics.RowScores(task.Metric, written, right) ?? []).Select(score => (float)score)];
        double tokens = targets.Sum(target => (double)target.Tokens.Length);
        if (labels.Count == 0)
        {
            float[] losses = model.Losses(batches, [.. targets.Select(target => target.Tokens)], cancellation);
            return new(
                losses.Zip(targets, (loss, target) => (double)loss * target.Tokens.Length).Sum() / tokens,
                metric,
                scores,
                written,
                null
            );
        }

        float[][] logits = model.Logits(batches, cancellation);
        float[][] probabilities = Array.ConvertAll(logits, Softmax);
        return new(
            -logits.Zip(targets, (row, target) => (double)row[target.Label]).Sum() / tokens,
            metric,
            scores,
            Array.ConvertAll(probabilities, row => (object)TextClassifier.MostProbable(row)),
            probabilities
        );
    }

    public override (bool[] Right, float[] Confidence) Confidence(
        TextClassifier model,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<RowTarget> targets
    )
    {
        float[][] probabilities = model.ScoreAnswerTokens(rows);
        return (
            Array.ConvertAll(TextMetrics.RowScores(TextMetric.Accuracy, model.Generate(rows), AnswersOf(targets))!, score => score == 1),
            [.. probabilities.Select((row, i) => row[targets[i].Label])]
        );
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
