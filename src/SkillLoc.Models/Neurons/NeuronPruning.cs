using System.Diagnostics;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>
/// Removes feed-forward neurons from a model and freezes them at their mean activation, which is folded into the next bias (Wang et al.
/// 2022, section 6.1; methods, B.10). The result is an ordinary classifier with narrower layers.
/// </summary>
public static class NeuronPruning
{
    /// <summary>Prunes a classifier.</summary>
    /// <param name="classifier">The classifier, which is not changed.</param>
    /// <param name="keep">The neurons to keep.</param>
    /// <param name="means">Mean activations such as a probe's thresholds, <c>[layers, neurons]</c>, or <c>[layers, slots, neurons]</c>,
    /// which are averaged over the slots.</param>
    /// <param name="lowLayer">The first pruned layer, zero-based; the paper uses 3 of 12.</param>
    /// <param name="highLayer">The layer after the last pruned one; null prunes to the end.</param>
    /// <param name="fraction">The share of each layer's neurons to keep, at least one neuron; where <paramref name="keep"/> has fewer, it
    /// is filled up with the neurons of the lowest index. Null keeps exactly <paramref name="keep"/>, which must then have neurons in each
    /// pruned layer.</param>
    /// <param name="foldKept">True also folds the means of kept neurons into the bias, which counts them twice, as the paper's code does;
    /// only for comparisons with it.</param>
    /// <returns>The pruned classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A shape does not fit the model, or a layer keeps no neurons or more than the fraction
    /// allows.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The layers are outside the model, or the fraction is outside [0, 1].</exception>
    /// <exception cref="NotSupportedException">The model is T5.</exception>
    public static TextClassifier Prune(
        TextClassifier classifier,
        NeuronSet keep,
        NeuronValues means,
        int lowLayer = 0,
        int? highLayer = null,
        double? fraction = null,
        bool foldKept = false
    )
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(keep);
        ArgumentNullException.ThrowIfNull(means);
        LanguageModel model = classifier.Backbone;
        if (model is T5ForConditionalGeneration)
        {
            throw new NotSupportedException(
                "Removed neurons leave their means in a bias, and T5's layers have none; they cannot be pruned."
            );
        }

        int high = highLayer ?? model.Config.Layers;
        NeuronSet.CheckRange(lowLayer, high, model.Config.Layers);
        keep.CheckFits(model.Config);
        means.CheckFits(model.Config);
        NeuronValues fixedAt = means.MeanOverSlots();
        int[] sizes = [.. model.Config.FeedForwardSizes];

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        var changed = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        for (int layer = lowLayer; layer < high; layer++)
        {
            int[] kept = Kept(keep, layer, fraction);
            sizes[layer] = kept.Length;
            LinearLayer up = Map(TargetModules.Up),
                down = Map(TargetModules.Down);
            Tensor index = tensor(Array.ConvertAll(kept, i => (long)i), device: model.Device);
            double[] removed = fixedAt.Of(layer).ToArray();
            foreach (int neuron in foldKept ? [] : kept)
            {
                removed[neuron] = 0;
            }

            Tensor folded = down.Weight.detach().to(ScalarType.Float64).matmul(tensor(removed).to(model.Device));
            Change(up, up.Weight.detach().index_select(0, index));
            changed[up.Name + ".bias"] = Value(up.Name + ".bias").index_select(0, index);
            Change(down, down.Weight.detach().index_select(1, index));
            changed[down.Name + ".bias"] = Value(down.Name + ".bias").Add(folded).to(model.Dtype);

            LinearLayer Map(TargetModules kind) => model.LinearLayersOf(layer).Single(map => map.Place.Kind == kind);
        }

        return classifier.With(model.Config.WithFeedForwardSizes(sizes), changed);

        Tensor Value(string name) => model.Parameters[name].detach();

        // GPT-2 stores its projections as [in, out].
        void Change(LinearLayer map, Tensor weight) =>
            changed[map.WeightName] = ReferenceEquals(map.Weight, model.Parameters[map.WeightName])
                ? weight
                : weight.transpose(0, 1).contiguous();
    }

    /// <summary>Returns the share of parameters that remain after pruning: 0.666 for RoBERTa-base with 2 % of the neurons in layers 3 to
    /// 11.</summary>
    /// <param name="pruned">The pruned model's configuration.</param>
    /// <param name="original">The original configuration.</param>
    /// <returns>The ratio of the parameter counts, language-model heads included.</returns>
    public static double ParameterRatio(ModelConfig pruned, ModelConfig original) =>
        (double)LanguageModel.ParameterCount(pruned) / LanguageModel.ParameterCount(original);

    /// <summary>The neurons of a layer to keep, ascending.</summary>
    private static int[] Kept(NeuronSet keep, int layer, double? fraction)
    {
        int[] wanted = keep.Indices(layer);
        if (fraction is not { } share)
        {
            return wanted.Length > 0
                ? wanted
                : throw new ArgumentException(
                    $"No neuron of layer {layer} is to be kept; prune other layers, or say by a fraction how many stay.",
                    nameof(keep)
                );
        }

        int count = Math.Max(1, SkillNeurons.CountOf(share, keep.Width));
        if (wanted.Length > count)
        {
            throw new ArgumentException(
                $"{wanted.Length} neurons of layer {layer} are to be kept, and the fraction {SkillNeurons.NameOf(share)} of {keep.Width} "
                    + $"allows {count}: give the set of that fraction.",
                nameof(keep)
            );
        }

        bool[] members = keep.Of(layer).ToArray();
        return [.. wanted.Concat(Enumerable.Range(0, members.Length).Where(i => !members[i]).Take(count - wanted.Length)).Order()];
    }
}

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
        TextClassifier classifier,
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<int> labels,
        int repetitions = 3,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(classifier);
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(repetitions);
        if (rows.Count == 0 || rows.Count != labels.Count)
        {
            throw new ArgumentException($"There are {rows.Count} rows and {labels.Count} labels; each row needs one.", nameof(labels));
        }

        return
        [
            .. Enumerable
                .Range(0, repetitions)
                .Select(_ =>
                {
                    // Scores come back to the host, so a GPU has finished when they are there.
                    var clock = Stopwatch.StartNew();
                    float[][] scores = classifier.Score(rows, cancellation);
                    double seconds = clock.Elapsed.TotalSeconds;
                    int[] predictions = [.. scores.Select(values => TextClassifier.MostProbable(values))];
                    return new TimedEvaluation(
                        seconds,
                        ClassificationMetric.Evaluate(classifier.Settings.Metric, [.. labels], predictions)
                    );
                }),
        ];
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
