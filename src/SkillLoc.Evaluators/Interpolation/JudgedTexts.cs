using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Rows of a text-to-text task, evaluated by the generated text and, with labels, by the likelihoods of their answers.</summary>
internal sealed class JudgedTexts : JudgedRows
{
    private readonly TextMetric _metric;
    private readonly int _bins;
    private readonly int[]? _labels;
    private readonly string[][] _answers;

    // What the model should write for each row's first answer.
    private readonly int[][] _targets;
    private readonly Dictionary<string, int> _written = new(StringComparer.Ordinal);

    private JudgedTexts(EncodedRows<string[]> rows, int[]? labels, TextClassifier task, int bins)
        : base(rows.Numbers, [.. task.Batches(rows.Texts)])
    {
        _metric = task.Settings.TextToText!.Metric;
        _bins = bins;
        _labels = labels;
        _answers = rows.Labels;
        _targets = [.. rows.Labels.Select(answers => task.EncodeAnswer(answers[0]))];
    }

    public override string MetricName => TextMetrics.NameOf(_metric);

    /// <exception cref="ArgumentException">The metric is for classifications, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">An answer is invalid for the task's metric, in addition to the errors of all
    /// sets.</exception>
    public static JudgedTexts Read(MLContext context, IDataView data, TextScoringTransformer task, CheckpointInterpolationEvaluator.Options options)
    {
        if (options.Metric is { } metric)
        {
            throw new ArgumentException(
                $"{metric} judges classes, and the evaluated task is judged by what is written; leave Options.{nameof(options.Metric)} out.");
        }

        ClassifierSettings settings = task.Classifier.Settings;
        EncodedRows<int>? classes = settings.Labels.Count > 0 ? EncodedRows.Read(context, data, task, options.LabelColumnName) : null;
        EncodedRows<string[]> rows = classes is null
            ? EncodedRows<string[]>.Read(data, task, options.LabelColumnName, Answers(data, options.LabelColumnName))
            : new(classes.Numbers, classes.Texts, Array.ConvertAll(classes.Labels, label => new[] { (settings.Words ?? settings.Labels)[label] }));
        Check(settings.TextToText!.Metric, options.LabelColumnName, rows);
        return new(rows, classes?.Labels, task.Classifier, options.NumberOfBins);
    }

    /// <summary>The loss is the mean cross-entropy of the tokens of the first answers (methods, C.1, C.4).</summary>
    public override RowsJudgement Judge(TextClassifier model, CancellationToken cancellation)
    {
        string[] written = model.Generate(Batches, cancellation);
        double metric = TextMetrics.Evaluate(_metric, written, _answers);
        float[] scores = [.. (TextMetrics.RowScores(_metric, written, _answers) ?? []).Select(score => (float)score)];
        double tokens = _targets.Sum(target => (double)target.Length);
        if (_labels is null)
        {
            double sum = model.Losses(Batches, _targets, cancellation).Zip(_targets, (loss, target) => (double)loss * target.Length).Sum();
            return new(sum / tokens, metric, scores, Array.ConvertAll(written, Number), null);
        }

        // A label's logit is the log-likelihood of its answer.
        float[][] logits = model.Logits(Batches, cancellation);
        ScoredRow[] rows = [.. logits.Zip(_labels, (row, label) => ScoredRow.Of(label, Probabilities(row)))];
        return new(
            -logits.Zip(_labels, (row, label) => (double)row[label]).Sum() / tokens,
            metric,
            scores,
            Array.ConvertAll(rows, row => row.Predicted),
            CalibrationMetrics.Of(rows, _bins));
    }

    private static IEnumerable<(bool IsThere, string[] Answers)> Answers(IDataView data, string labelColumn)
    {
        DataViewSchema.Column column = EvaluatedColumn.FindAnswers(data.Schema, labelColumn);
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        Func<string[]> read = AnswerTexts.Reader(cursor, column);
        while (cursor.MoveNext())
        {
            string[] answers = read();
            yield return (answers.Length > 0, answers);
        }
    }

    /// <summary>Evaluates the metric on the first answers, so that invalid answers are detected before anything is generated.</summary>
    private static void Check(TextMetric metric, string labelColumn, EncodedRows<string[]> rows)
    {
        try
        {
            TextMetrics.Evaluate(metric, Array.ConvertAll(rows.Labels, answers => answers[0]), rows.Labels);
        }
        catch (ArgumentException error)
        {
            throw new InvalidOperationException(
                $"Of the rows with answers in column '{labelColumn}', counted from 0, one cannot be judged by {metric}: {error.Message}", error);
        }
    }

    // TensorPrimitives.SoftMax of ML.NET's System.Numerics.Tensors 9.0 gives NaN for scores of 1000.
    private static float[] Probabilities(float[] logits)
    {
        double highest = logits.Max();
        double[] powers = Array.ConvertAll(logits, logit => Math.Exp(logit - highest));
        double sum = powers.Sum();
        return Array.ConvertAll(powers, power => (float)(power / sum));
    }

    private int Number(string text)
    {
        if (!_written.TryGetValue(text, out int number))
        {
            _written.Add(text, number = _written.Count);
        }

        return number;
    }
}
