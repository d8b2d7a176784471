using System.Diagnostics;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using TorchSharp;

namespace SkillLoc.Models.Neurons;

/// <summary>One timed evaluation of a classifier (probe type <c>speed</c>; methods, B.7).</summary>
/// <param name="Seconds">Wall-clock time of scoring all rows, encoding not included.</param>
/// <param name="Metric">The task's metric.</param>
internal sealed record TimedEvaluation(double Seconds, double Metric)
{
    /// <summary>Evaluates a classifier several times on the same rows, for example before and after pruning.</summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="labels">The label index of each row.</param>
    /// <param name="repetitions">Number of repetitions.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>One entry per repetition; the first includes one-time costs of the device.</returns>
    /// <exception cref="ArgumentException">There are no rows, or the number of labels differs from it.</exception>
    public static IReadOnlyList<TimedEvaluation> Measure(
        TextClassifier classifier, IReadOnlyList<EncodedText> rows, IReadOnlyList<int> labels, int repetitions = 3,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(repetitions);
        if (rows.Count == 0 || rows.Count != labels.Count)
        {
            throw new ArgumentException($"There are {rows.Count} rows and {labels.Count} labels; each row needs one.", nameof(labels));
        }

        return [.. Enumerable.Range(0, repetitions).Select(_ =>
        {
            // Scores come back to the host, so a GPU has finished when they are there.
            var clock = Stopwatch.StartNew();
            float[][] scores = classifier.Score(rows, cancellation);
            double seconds = clock.Elapsed.TotalSeconds;
            int[] predictions = [.. scores.Select(values => TextClassifier.MostProbable(values))];
            return new TimedEvaluation(seconds, ClassificationMetric.Evaluate(classifier.Settings.Metric, [.. labels], predictions));
        })];
    }

    /// <summary>Writes the times and metrics as a safetensors file with the float64 tensors <c>inference_time</c> and
    /// <c>inference_perf</c>.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <param name="evaluations">The result of <see cref="Measure"/>.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public static void Save(string path, IReadOnlyList<TimedEvaluation> evaluations)
    {
        ArgumentNullException.ThrowIfNull(evaluations);
        using torch.Tensor times = torch.tensor(evaluations.Select(one => one.Seconds).ToArray());
        using torch.Tensor metrics = torch.tensor(evaluations.Select(one => one.Metric).ToArray());
        Checkpoints.SafetensorsWriter.Write(path, [("inference_time", times), ("inference_perf", metrics)]);
    }
}
