using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>What calibration needs of one row.</summary>
internal readonly record struct ScoredRow(double Confidence, bool IsRight, double LabelProbability, double SquaredError)
{
    private const float Tolerance = 1e-3f;

    /// <summary>Reads the labelled rows of a view.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, or a row's scores are no probabilities.</exception>
    public static IEnumerable<ScoredRow> Read(IDataView data, string labelColumn, string scoreColumn)
    {
        DataViewSchema.Column label = EvaluatedColumn.Find(data.Schema, labelColumn), score = EvaluatedColumn.Find(data.Schema, scoreColumn);
        if (label.Type is not KeyDataViewType || label.Type.RawType != typeof(uint))
        {
            throw EvaluatedColumn.WrongType(label, "a key, as MapValueToKey makes it");
        }

        if (score.Type is not VectorDataViewType { Size: >= 2 } vector || vector.ItemType != NumberDataViewType.Single)
        {
            throw EvaluatedColumn.WrongType(score, "a vector of Single with a known size of at least 2");
        }

        using DataViewRowCursor cursor = data.GetRowCursor([label, score]);
        ValueGetter<uint> readLabel = cursor.GetGetter<uint>(label);
        ValueGetter<VBuffer<float>> readScores = cursor.GetGetter<VBuffer<float>>(score);
        uint key = 0;
        VBuffer<float> scores = default;
        bool any = false;
        while (cursor.MoveNext())
        {
            readLabel(ref key);
            if (key == 0)
            {
                continue;
            }

            readScores(ref scores);
            float[] probabilities = [.. scores.DenseValues()];
            if (probabilities.Any(p => !(p >= -Tolerance && p <= 1 + Tolerance)) || !(Math.Abs(probabilities.Sum() - 1) <= Tolerance))
            {
                throw new InvalidOperationException(
                    $"Row {cursor.Position} of column '{scoreColumn}' is [{string.Join(", ", probabilities)}]; calibration needs "
                    + "probabilities: numbers from 0 to 1 that sum to 1.");
            }

            any = true;
            yield return Of((int)key - 1, probabilities);
        }

        if (!any)
        {
            throw new InvalidOperationException($"There are no rows with a label in column '{labelColumn}'.");
        }
    }

    private static ScoredRow Of(int label, float[] probabilities)
    {
        int predicted = Array.IndexOf(probabilities, probabilities.Max());
        double error = label < probabilities.Length ? 0 : 1;
        for (int i = 0; i < probabilities.Length; i++)
        {
            double difference = probabilities[i] - (i == label ? 1.0 : 0.0);
            error += difference * difference;
        }

        return new(probabilities[predicted], predicted == label, label < probabilities.Length ? probabilities[label] : 0, error);
    }
}
