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
        EncodedDataset rows = EncodedDataset.Read(data, columns, labelColumn, classifier, role, Column);
        return Column is null && Classes is null ? rows : Apply(rows);
    }

    private void Check(DataViewSchema schema)
    {
        if (Column is null)
        {
            return;
        }

        DataViewSchema.Column column = schema.GetColumnOrNull(Column)
            ?? throw new ArgumentOutOfRangeException(nameof(schema), $"Could not find the example weight column '{Column}'.");
        if (column.Type != NumberDataViewType.Single)
        {
            throw new ArgumentException(
                $"The example weight column '{Column}' is {column.Type}; it must be Single: put mlContext.Transforms.Conversion.ConvertType(\"{Column}\") "
                + "before the trainer.", nameof(schema));
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
        if (Classes is not null && task is MultiLabelTask sets)
        {
            task = sets.Weighted([.. Classes.Of(task.Outputs.Labels, Balance).Select(weight => (float)weight)]);
        }
        else if (Classes is not null)
        {
            int[] counts = new int[task.Outputs.Labels.Count];
            Array.ForEach(rows.Targets, target => counts[target.Label]++);
            int present = counts.Count(count => count > 0);
            double[] classes = Classes.Of(task.Outputs.Labels, label => counts[label] == 0 ? 1 : rows.Count / ((double)present * counts[label]));
            weights = [.. weights.Select((weight, row) => weight * classes[rows.Targets[row].Label])];
        }

        double mean = weights.Average();
        return mean > 0
            ? rows with { Task = task, Weights = [.. weights.Select(weight => (float)(weight / mean))] }
            : throw new InvalidOperationException($"All rows have the weight 0 in '{Column}', so there is nothing to learn from.");

        double Balance(int label)
        {
            int has = rows.Targets.Count(target => target.LabelSet[label] > 0);
            return has == 0 || has == rows.Count ? 1 : (rows.Count - has) / (double)has;
        }
    }
}
