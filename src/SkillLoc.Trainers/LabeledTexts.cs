using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Trainers;

/// <summary>The rows of a view as token ids and what they should be predicted as, read once.</summary>
/// <param name="Texts">The rows' token ids.</param>
/// <param name="Labels">The rows' label indices; none for a regression and for free text.</param>
/// <param name="Shares">For a regression each row's score as a share of the range, from 0 to 1; none for others.</param>
/// <param name="Numbers">For each row its zero-based number in the view, which counts rows without a label too.</param>
internal sealed record LabeledTexts(EncodedText[] Texts, int[] Labels, float[] Shares, int[] Numbers)
{
    public int Count => Texts.Length;

    /// <summary>For a model that writes its answers each row's right answers, at least one; none for others.</summary>
    public string[][] Answers { get; private init; } = [];

    /// <summary>The answers as the model should write them.</summary>
    public int[][][] Targets { get; private init; } = [];

    /// <summary>Of a multi-label task for each row 1 for the labels that it has and 0 for the others; none for others.</summary>
    public float[][] LabelSets { get; private init; } = [];

    /// <summary>How much each row counts, 1 on average; none where all count alike.</summary>
    public float[] Weights { get; private init; } = [];

    /// <summary>Of a multi-label task how much having a label counts against not having it; none where both count alike.</summary>
    private float[] PositiveWeights { get; init; } = [];

    /// <summary>Reads a view; rows without a label are left out, as ML.NET's own trainers do.</summary>
    /// <exception cref="InvalidOperationException">There are no rows, or one cannot be encoded or has a score outside the range; the
    /// message names it.</exception>
    public static LabeledTexts Read(
        IDataView data, ScoringColumns columns, string labelColumn, TextClassifier classifier, string role, RowWeighting? weighting = null)
    {
        DataViewSchema schema = data.Schema;
        ScoringSchema.CheckInputs(schema, columns);
        weighting?.Check(schema);
        var texts = new List<EncodedText>();
        var indices = new List<int>();
        var shares = new List<float>();
        var answers = new List<string[]>();
        var numbers = new List<int>();
        var sets = new List<float[]>();
        var weights = new List<float>();
        using DataViewRowCursor cursor = data.GetRowCursor(schema.Where(column => !column.IsHidden
            && (column.Name == labelColumn || column.Name == weighting?.Column || columns.Inputs.Contains(column.Name))));
        Func<bool> readLabel = classifier.Settings switch
        {
            { ScoreRange: { } range } => Scores(range),
            { Labels.Count: 0 } => FreeTexts(),
            { IsMultiLabel: true } settings => Sets(settings.Labels),
            var settings => Keys(settings.Labels),
        };
        ValueGetter<ReadOnlyMemory<char>> text = cursor.GetGetter<ReadOnlyMemory<char>>(schema[columns.Text]);
        ValueGetter<ReadOnlyMemory<char>>? pair =
            columns.TextPair is { } name ? cursor.GetGetter<ReadOnlyMemory<char>>(schema[name]) : null;
        Func<float>? weight = weighting?.Reader(cursor, role);
        ReadOnlyMemory<char> first = default, second = default;
        for (int number = 0; cursor.MoveNext(); number++)
        {
            if (!readLabel())
            {
                continue;
            }

            numbers.Add(number);
            weights.Add(weight?.Invoke() ?? 1);
            text(ref first);
            pair?.Invoke(ref second);
            try
            {
                texts.Add(classifier.Encode(first.ToString(), pair is null ? null : second.ToString()));
            }
            catch (Exception error) when (error is ArgumentException or InvalidDataException)
            {
                throw new InvalidOperationException($"Row {cursor.Position} of the {role} cannot be encoded: {error.Message}", error);
            }
        }

        if (texts.Count == 0)
        {
            throw new InvalidOperationException($"The {role} has no rows with a label in '{labelColumn}'.");
        }

        var read = new LabeledTexts([.. texts], [.. indices], [.. shares], [.. numbers]) { LabelSets = [.. sets] };
        read = classifier.Settings.TextToText is { } task ? Answered(read, task) : read;
        return weighting is null ? read : read with
        {
            Weights = weighting.Of(weights, read, classifier.Settings.Labels),
            PositiveWeights = sets.Count > 0 && weighting.Classes is { } classes ? Positive(classes) : [],
        };

        float[] Positive(ClassWeights classes) =>
        [
            .. classes.Of(classifier.Settings.Labels, label =>
            {
                int has = sets.Count(set => set[label] > 0);
                return has == 0 || has == sets.Count ? 1 : (sets.Count - has) / (double)has;
            }).Select(value => (float)value),
        ];

        Func<bool> Sets(IReadOnlyList<string> labels)
        {
            Func<float[]> getter = Transforms.LabelSets.Reader(cursor, schema[labelColumn], labels, role);
            return () =>
            {
                sets.Add(getter());
                return true;
            };
        }

        Func<bool> Keys(IReadOnlyList<string> labels)
        {
            int[] map = Map(LabelValues.Of(schema, labelColumn, out int count), count, labels, labelColumn, role);
            ValueGetter<uint> getter = cursor.GetGetter<uint>(schema[labelColumn]);
            uint key = 0;
            return () =>
            {
                getter(ref key);
                if (key > 0)
                {
                    indices.Add(map[key - 1]);
                }

                return key > 0;
            };
        }

        Func<bool> FreeTexts()
        {
            if (!LabelValues.AreAnswers(schema, labelColumn))
            {
                throw new ArgumentException(
                    $"The label column '{labelColumn}' of the {role} is a key, and the model writes free text: it must be text, or a vector of text.");
            }

            Func<string[]> readAnswers = AnswerTexts.Reader(cursor, schema[labelColumn]);
            return () =>
            {
                string[] given = readAnswers();
                if (given.Length > 0)
                {
                    answers.Add(given);
                }

                return given.Length > 0;
            };
        }

        Func<bool> Scores(ScoreRange range)
        {
            LabelValues.CheckScores(schema, labelColumn);
            ValueGetter<float> getter = cursor.GetGetter<float>(schema[labelColumn]);
            float score = 0;
            return () =>
            {
                getter(ref score);
                if (float.IsNaN(score))
                {
                    return false;
                }

                shares.Add(range.Contains(score) ? range.ShareOf(score) : throw new InvalidOperationException(
                    FormattableString.Invariant($"Row {cursor.Position} of the {role} has the label {score} in '{labelColumn}'; the task's scores lie in {range}.")));
                return true;
            };
        }

        LabeledTexts Answered(LabeledTexts rows, TextToTextTask task)
        {
            ClassifierSettings settings = classifier.Settings;
            string[][] byLabel = [.. (settings.Words ?? settings.Labels).Select(answer => new[] { answer })];
            int[][][] targets = Array.ConvertAll(byLabel, Encoded);
            bool free = settings.Labels.Count == 0;
            rows = rows with
            {
                Answers = free ? [.. answers] : Array.ConvertAll(rows.Labels, label => byLabel[label]),
                Targets = free ? [.. answers.Select(Encoded)] : Array.ConvertAll(rows.Labels, label => targets[label]),
            };
            if (task.Metric == TextMetric.PearsonCorrelation)
            {
                CheckNumbers(rows);
            }

            return rows;
        }

        int[][] Encoded(string[] texts) => Array.ConvertAll(texts, classifier.EncodeAnswer);

        // So that what cannot be judged is not trained for hours first.
        void CheckNumbers(LabeledTexts rows)
        {
            int wrong = Array.FindIndex(rows.Answers, given => !TextMetrics.IsNumber(given[0]));
            if (wrong >= 0)
            {
                throw new InvalidOperationException(
                    $"Row {rows.Numbers[wrong]} of the {role} has the answer '{rows.Answers[wrong][0]}' in '{labelColumn}', and "
                    + $"{TextMetric.PearsonCorrelation} needs a finite number.");
            }
        }
    }

    /// <summary>What a model that writes should write for some rows; null for other models.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="draw">Draws a number for a row, which chooses among its answers; null takes the first.</param>
    public int[][]? TargetsOf(IReadOnlyList<int> rows, Func<int, uint>? draw = null) => Targets.Length == 0
        ? null
        : [.. rows.Select(row => Targets[row][draw is null ? 0 : draw(row) % (uint)Targets[row].Length])];

    /// <summary>
    /// How far predictions are from the labels: the cross-entropy for classes; for a regression the Kullback-Leibler divergence of the two
    /// label words' probabilities p from t = [1 - share, share], sum over the words of t (ln t - ln p) (methods, A.1);
    /// for several labels a row the mean of their binary cross-entropies; for a model that writes the mean cross-entropy of an answer's
    /// tokens (methods, C.2).
    /// </summary>
    /// <param name="classifier">The model.</param>
    /// <param name="batch">The batch that it made of the rows.</param>
    /// <param name="rows">Which rows they are.</param>
    /// <param name="targets">What <see cref="TargetsOf"/> gave for them.</param>
    /// <param name="training">True switches dropout on.</param>
    /// <returns><c>[rows]</c>, in nats.</returns>
    public Tensor Losses(TextClassifier classifier, TokenBatch batch, IReadOnlyList<int> rows, IReadOnlyList<int[]>? targets, bool training)
    {
        if (targets is not null)
        {
            return classifier.AnswerLosses(batch, targets, training);
        }

        using var scope = NewDisposeScope();
        Tensor logits = classifier.Logits(batch, training);
        if (LabelSets.Length > 0)
        {
            Tensor sets = tensor(rows.SelectMany(i => LabelSets[i]).ToArray(), device: logits.device).view(logits.shape);
            Tensor? positive = PositiveWeights.Length == 0 ? null : tensor(PositiveWeights, device: logits.device);
            return F.binary_cross_entropy_with_logits(logits, sets, reduction: nn.Reduction.None, pos_weights: positive)
                .mean([1]).MoveToOuterDisposeScope();
        }

        if (Shares.Length == 0)
        {
            Tensor labels = tensor(rows.Select(i => (long)Labels[i]).ToArray(), device: logits.device);
            return F.cross_entropy(logits, labels, reduction: nn.Reduction.None).MoveToOuterDisposeScope();
        }

        Tensor share = tensor(rows.Select(i => Shares[i]).ToArray(), device: logits.device);
        Tensor wanted = stack([share.Rsub(1), share], 1);
        return F.kl_div(F.log_softmax(logits, 1), wanted, log_target: false, reduction: nn.Reduction.None).sum(dim: 1).MoveToOuterDisposeScope();
    }

    /// <summary>Scores the rows, or has the model write their answers, and judges them by the task's metric; several labels a row by
    /// their micro-averaged F1 at the thresholds that suit these rows best.</summary>
    public double Judge(TextClassifier classifier, IReadOnlyList<int>? rows = null, CancellationToken cancellation = default)
    {
        EncodedText[] texts = rows is null ? Texts : [.. rows.Select(i => Texts[i])];
        if (Answers.Length > 0)
        {
            string[][] answers = rows is null ? Answers : [.. rows.Select(i => Answers[i])];
            double metric = TextMetrics.Evaluate(classifier.Settings.TextToText!.Metric, classifier.Generate(texts, cancellation), answers);

            // A correlation that is not defined, because something else than a number was written, is none.
            return double.IsNaN(metric) ? 0 : metric;
        }

        float[][] probabilities = classifier.Score(texts, cancellation);
        if (LabelSets.Length > 0)
        {
            float[][] sets = rows is null ? LabelSets : [.. rows.Select(i => LabelSets[i])];
            return LabelThresholds.MicroF1(probabilities, sets, LabelThresholds.Choose(probabilities, sets));
        }

        if (Shares.Length > 0)
        {
            // Correlation does not see the range, so shares are compared with probabilities.
            double[] shares = [.. (rows ?? Enumerable.Range(0, Count)).Select(i => (double)Shares[i])];
            return ClassificationMetric.Evaluate(shares, [.. probabilities.Select(row => (double)row[1])]);
        }

        int[] labels = rows is null ? Labels : [.. rows.Select(i => Labels[i])];
        return ClassificationMetric.Evaluate(
            classifier.Settings.Metric, labels, [.. probabilities.Select(row => TextClassifier.MostProbable(row))]);
    }

    /// <summary>Which label each key stands for: by its value, or by its order where keys have no values.</summary>
    private static int[] Map(IReadOnlyList<string>? values, int count, IReadOnlyList<string> labels, string column, string role)
    {
        if (values is null)
        {
            return count == labels.Count ? [.. Enumerable.Range(0, count)] : throw new ArgumentException(
                $"The label column '{column}' of the {role} has {count} keys without values, and there are {labels.Count} labels.");
        }

        return [.. values.Select(value =>
        {
            int index = labels.ToList().IndexOf(value);
            return index >= 0 ? index : throw new ArgumentException(
                $"The label column '{column}' of the {role} has the label '{value}'; known are {string.Join(", ", labels.Select(label => $"'{label}'"))}.");
        })];
    }
}
