using SkillLoc.Models.Classification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>Weighted means of checkpoints: the points of the line, triangle or simplex that they span. If their labels or vocabularies
/// differ, those of the first are used, as by a <see cref="ParameterPath"/>.</summary>
public static class CheckpointMean
{
    // What sums of doubles that are meant to be 1 may be off.
    private const double Tolerance = 1e-6;

    /// <summary>Creates the mean, which shares nothing with the ends.</summary>
    /// <param name="ends">Two models or more; they stay as they are.</param>
    /// <param name="weights">One weight per model, 0 or more; their sum is 1.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are fewer than two models or not as many weights, or the ends differ in architecture, kind
    /// of tokenizer, tuning method, or names or shapes of parameters; the first five differences are named.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A weight is negative, or the sum is not 1.</exception>
    public static TextClassifier Of(IReadOnlyList<TextClassifier> ends, IReadOnlyList<double> weights)
    {
        ArgumentNullException.ThrowIfNull(ends);
        Check(ends.Count, weights);
        TextClassifier first = ends[0];
        CheckpointEnds[] pairs = [.. ends.Skip(1).Select(end => new CheckpointEnds(first, end, PathEnd.First))];
        TextClassifier mean = first.Clone();
        try
        {
            IReadOnlyDictionary<string, Parameter> own = first.Parameters, targets = mean.Parameters;
            foreach (string name in pairs.SelectMany(pair => pair.Names).Distinct(StringComparer.Ordinal))
            {
                // The first stands for an end whose last projection is of other labels.
                using var scope = NewDisposeScope();
                CheckpointEnds.SetToSum(
                    targets[name], [own[name], .. pairs.Select(pair => pair.Has(name) ? pair.At(name).Second : own[name])], [.. weights]);
            }

            return mean;
        }
        catch
        {
            mean.Dispose();
            throw;
        }
    }

    /// <summary>Throws unless there are two models or more, and a weight for each.</summary>
    /// <param name="ends">The number of models.</param>
    /// <param name="weights">The weights.</param>
    /// <exception cref="ArgumentException">There are fewer than two models, or not as many weights.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A weight is negative, or the sum is not 1.</exception>
    public static void Check(int ends, IReadOnlyList<double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (ends < 2 || ends != weights.Count)
        {
            throw new ArgumentException(
                $"There are {ends} models and {weights.Count} weights; right would be two models or more, and a weight for each.", nameof(weights));
        }

        if (!weights.All(weight => weight >= 0) || !(Math.Abs(weights.Sum() - 1) <= Tolerance))
        {
            throw new ArgumentOutOfRangeException(
                nameof(weights), string.Join(", ", weights), "Weights must be 0 or more, and their sum 1.");
        }
    }
}
