using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Trainers;

/// <summary>The rows of a view as token ids and what they should be predicted as, read once.</summary>
/// <param name="Texts">The rows' token ids.</param>
/// <param name="Labels">The rows' label indices; none for a regression.</param>
/// <param name="Shares">For a regression each row's score as a share of the range, from 0 to 1; none for classes.</param>
/// <param name="Numbers">For each row its zero-based number in the view, which counts rows without a label too.</param>
internal sealed record LabeledTexts(EncodedText[] Texts, int[] Labels, float[] Shares, int[] Numbers)
{
    public int Count => Texts.Length;

    /// <summary>Reads a view; rows without a label are left out, as ML.NET's own trainers do.</summary>
    /// <exception cref="InvalidOperationException">There are no rows, or one cannot be encoded or has a score outside the range; the
    /// message names it.</exception>
    public static LabeledTexts Read(IDataView data, ScoringColumns columns, string labelColumn, TextClassifier classifier, string role)
    {
        DataViewSchema schema = data.Schema;
        ScoringSchema.CheckInputs(schema, columns);
        var texts = new List<EncodedText>();
        var indices = new List<int>();
        var shares = new List<float>();
        var numbers = new List<int>();
        using DataViewRowCursor cursor = data.GetRowCursor(
            schema.Where(column => !column.IsHidden && (column.Name == labelColumn || columns.Inputs.Contains(column.Name))));
        Func<bool> readLabel = classifier.Settings.ScoreRange is { } range ? Scores(range) : Keys(classifier.Settings.Labels);
        ValueGetter<ReadOnlyMemory<char>> text = cursor.GetGetter<ReadOnlyMemory<char>>(schema[columns.Text]);
        ValueGetter<ReadOnlyMemory<char>>? pair =
            columns.TextPair is { } name ? cursor.GetGetter<ReadOnlyMemory<char>>(schema[name]) : null;
        ReadOnlyMemory<char> first = default, second = default;
        for (int number = 0; cursor.MoveNext(); number++)
        {
            if (!readLabel())
            {
                continue;
            }

            numbers.Add(number);
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

        return texts.Count > 0
            ? new([.. texts], [.. indices], [.. shares], [.. numbers])
            : throw new InvalidOperationException($"The {role} has no rows with a label in '{labelColumn}'.");

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
    }

    /// <summary>
    /// How far predictions are from the labels: the cross-entropy for classes; for a regression the Kullback-Leibler divergence of the two
    /// label words' probabilities p from t = [1 - share, share], sum over the words of t (ln t - ln p) (grafting reference A.1, decision 3).
    /// </summary>
    /// <param name="logits">The rows' logits, <c>[rows, labels]</c>.</param>
    /// <param name="rows">Which rows they are of.</param>
    /// <returns><c>[rows]</c>, in nats.</returns>
    public Tensor Losses(Tensor logits, IReadOnlyList<int> rows)
    {
        using var scope = NewDisposeScope();
        if (Shares.Length == 0)
        {
            Tensor labels = tensor(rows.Select(i => (long)Labels[i]).ToArray(), device: logits.device);
            return F.cross_entropy(logits, labels, reduction: nn.Reduction.None).MoveToOuterDisposeScope();
        }

        Tensor share = tensor(rows.Select(i => Shares[i]).ToArray(), device: logits.device);
        Tensor targets = stack([1 - share, share], 1);
        return F.kl_div(F.log_softmax(logits, 1), targets, log_target: false, reduction: nn.Reduction.None).sum(dim: 1).MoveToOuterDisposeScope();
    }

    /// <summary>Scores the rows and judges them by the task's metric.</summary>
    public double Judge(TextClassifier classifier, IReadOnlyList<int>? rows = null, CancellationToken cancellation = default)
    {
        EncodedText[] texts = rows is null ? Texts : [.. rows.Select(i => Texts[i])];
        float[][] probabilities = classifier.Score(texts, cancellation);
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
