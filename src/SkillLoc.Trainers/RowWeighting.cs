using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Trainers;

/// <summary>What rows of the training data count by.</summary>
/// <param name="Column">A column of weights, Single; null for none.</param>
/// <param name="Classes">Weights of the labels; null for none.</param>
internal sealed record RowWeighting(string? Column, ClassWeights? Classes)
{
    /// <summary>Throws unless the column is one of weights.</summary>
    /// <exception cref="ArgumentException">It is missing, or of another type.</exception>
    public void Check(DataViewSchema schema)
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

    /// <summary>A reader of the current row's weight.</summary>
    public Func<float> Reader(DataViewRowCursor cursor, string role)
    {
        if (Column is null)
        {
            return () => 1;
        }

        ValueGetter<float> getter = cursor.GetGetter<float>(cursor.Schema[Column]);
        float weight = 0;
        return () =>
        {
            getter(ref weight);
            return weight >= 0 && float.IsFinite(weight) ? weight : throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Row {cursor.Position} of the {role} has the weight {weight} in '{Column}'; weights are finite, and 0 or more."));
        };
    }

    /// <summary>The rows' weights with a mean of 1, so that they change neither the loss's scale nor what a learning rate means.</summary>
    /// <param name="weights">For each row what the column says.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="labels">The labels that <see cref="LabeledTexts.Labels"/> index.</param>
    /// <exception cref="ArgumentException">A class weight is of none of the labels.</exception>
    /// <exception cref="InvalidOperationException">All weights are 0.</exception>
    public float[] Of(IReadOnlyList<float> weights, LabeledTexts rows, IReadOnlyList<string> labels)
    {
        double[] all = [.. weights.Select(weight => (double)weight)];
        if (Classes is not null && rows.Labels.Length > 0)
        {
            int present = rows.Labels.Distinct().Count();
            int[] counts = new int[labels.Count];
            Array.ForEach(rows.Labels, label => counts[label]++);
            double[] classes = Classes.Of(labels, label => counts[label] == 0 ? 1 : rows.Count / ((double)present * counts[label]));
            for (int i = 0; i < all.Length; i++)
            {
                all[i] *= classes[rows.Labels[i]];
            }
        }

        double mean = all.Average();
        return mean > 0 ? [.. all.Select(weight => (float)(weight / mean))] : throw new InvalidOperationException(
            $"All rows have the weight 0 in '{Column}', so there is nothing to learn from.");
    }
}
