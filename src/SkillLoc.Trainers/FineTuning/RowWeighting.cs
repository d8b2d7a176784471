using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>The weighting of training rows.</summary>
/// <param name="Column">A column of weights, Single; null for none.</param>
/// <param name="Classes">Weights of the labels; null for none.</param>
internal sealed record RowWeighting(string? Column, ClassWeights? Classes)
{
    /// <summary>All rows count alike.</summary>
    public static RowWeighting None { get; } = new(null, null);

    /// <summary>Reads the rows of training data; see <see cref="EncodedDataset.Read"/>.</summary>
    /// <param name="data">The view.</param>
    /// <param name="columns">The text columns.</param>
    /// <param name="labelColumn">The column of what is right.</param>
    /// <param name="classifier">The model that encodes the rows and knows the labels.</param>
    /// <param name="role">What the rows are called in messages.</param>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label or class weight is of none of the
    /// model's.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, one cannot be encoded or weighed, or all weigh
    /// nothing.</exception>
    public EncodedDataset Read(IDataView data, ScoringColumns columns, string labelColumn, TextClassifier classifier, string role)
    {
        Check(data.Schema);
        var rows = EncodedDataset.Read(data, columns, labelColumn, classifier, role, Column);
        return Column is null && Classes is null ? rows : Apply(rows);
    }

    private void Check(DataViewSchema schema)
    {
        if (Column is null)
        {
            return;
        }

        DataViewSchema.Column column =
            schema.GetColumnOrNull(Column)
            ?? throw new ArgumentOutOfRangeException(nameof(schema), $"Could not find the example weight column '{Column}'.");
        if (column.Type != NumberDataViewType.Single)
        {
            throw new ArgumentException(
                $"The example weight column '{Column}' is {column.Type}; it must be Single: put "
                    + $"mlContext.Transforms.Conversion.ConvertType(\"{Column}\") "
                    + "before the trainer.",
                nameof(schema)
            );
        }
    }

    /// <summary>The rows with their weights, which have a mean of 1, so that they change neither the loss's scale nor what a learning rate
    /// means.</summary>
    /// <param name="rows">The rows, with the weights that the column says.</param>
    /// <exception cref="ArgumentException">A class weight has an unknown label.</exception>
    /// <exception cref="InvalidOperationException">All weights are 0.</exception>
    private EncodedDataset Apply(EncodedDataset rows)
    {
        double[] weights = rows.Weights.Length == 0 ? [.. rows.Texts.Select(_ => 1.0)] : [.. rows.Weights.Select(weight => (double)weight)];
        TextTask task = rows.Task;
        if (
            Classes is not null
            && task.Weighted(() => [.. Classes.Of(task.Outputs.Labels, Balance).Select(weight => (float)weight)]) is { } weighted
        )
        {
            task = weighted;
        }
        else if (Classes is not null)
        {
            int[] counts = new int[task.Outputs.Labels.Count];
            Array.ForEach(rows.Targets, target => counts[target.Label]++);
            int present = counts.Count(count => count > 0);
            double[] classes = Classes.Of(
                task.Outputs.Labels,
                label => counts[label] == 0 ? 1 : rows.Count / ((double)present * counts[label])
            );
            weights = [.. weights.Select((weight, row) => weight * classes[rows.Targets[row].Label])];
        }

        double mean = weights.Average();
        return mean > 0
            ? rows with
            {
                Task = task,
                Weights = [.. weights.Select(weight => (float)(weight / mean))],
            }
            : throw new InvalidOperationException($"All rows have the weight 0 in '{Column}', so there is nothing to learn from.");

        double Balance(int label)
        {
            int has = rows.Targets.Count(target => target.LabelSet[label] > 0);
            return has == 0 || has == rows.Count ? 1 : (rows.Count - has) / (double)has;
        }
    }
}

/// <summary>Weights of labels in the loss.</summary>
public sealed class ClassWeights
{
    private readonly IReadOnlyDictionary<string, double>? _byLabel;

    private ClassWeights(IReadOnlyDictionary<string, double>? byLabel) => _byLabel = byLabel;

    /// <summary>
    /// Balances labels: the weight of a row is rows / (labels x rows of its label), like "balanced" in scikit-learn. In a multi-label task,
    /// rows with and without a label are balanced: the positive weight is negatives / positives.
    /// </summary>
    public static ClassWeights Balanced { get; } = new(null);

    /// <summary>Creates custom weights.</summary>
    /// <param name="weights">Positive weights by label; missing labels have the weight 1. In a multi-label task, the weights of positive
    /// rows of a label relative to negative ones.</param>
    /// <returns>The weights.</returns>
    /// <exception cref="ArgumentException">There is no weight, or one is not positive and finite.</exception>
    public static ClassWeights ByLabel(IReadOnlyDictionary<string, double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (weights.Count == 0)
        {
            throw new ArgumentException("There are no weights.", nameof(weights));
        }

        foreach ((string label, double weight) in weights)
        {
            if (!(weight > 0 && double.IsFinite(weight)))
            {
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"The weight of the label '{label}' is {weight}; it must be positive and finite."
                    ),
                    nameof(weights)
                );
            }
        }

        return new(new Dictionary<string, double>(weights, StringComparer.Ordinal));
    }

    /// <summary>Returns the weights as text, by which runs are compared.</summary>
    /// <returns>The text.</returns>
    public override string ToString() =>
        _byLabel is null
            ? "balanced"
            : string.Join(
                ", ",
                _byLabel
                    .OrderBy(pair => pair.Key, StringComparer.Ordinal)
                    .Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}: {pair.Value:R}"))
            );

    /// <summary>Returns one weight per label.</summary>
    /// <param name="labels">The labels.</param>
    /// <param name="balance">Returns the balanced weight of the label with an index.</param>
    /// <exception cref="ArgumentException">A weight has an unknown label.</exception>
    internal double[] Of(IReadOnlyList<string> labels, Func<int, double> balance)
    {
        if (_byLabel is null)
        {
            return [.. Enumerable.Range(0, labels.Count).Select(balance)];
        }

        foreach (string unknown in _byLabel.Keys.Except(labels, StringComparer.Ordinal))
        {
            throw new ArgumentException(
                $"Options.ClassWeights has a weight for '{unknown}', which is none of the labels "
                    + $"{string.Join(", ", labels.Select(label => $"'{label}'"))}."
            );
        }

        return [.. labels.Select(label => _byLabel.GetValueOrDefault(label, 1))];
    }
}
