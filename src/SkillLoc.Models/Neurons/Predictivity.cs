namespace SkillLoc.Models.Neurons;

/// <summary>The predictivity of single neurons for a binary label (Wang et al. 2022, section 3; methods, B.8).</summary>
public static class Predictivity
{
    /// <summary>Returns the predictivity 0.5 + d, with the margins d of <see cref="Margins"/>.</summary>
    /// <param name="accuracies">One table per run, <c>[layers, slots, neurons]</c> or <c>[layers, neurons]</c>; at least one.</param>
    /// <param name="aggregation">How several runs are combined.</param>
    /// <returns><c>[layers, neurons]</c>, from 0.5 to 1.</returns>
    /// <exception cref="ArgumentException">There is no run, the shapes of runs differ, or a value is not in [0, 1].</exception>
    public static NeuronValues Of(IReadOnlyList<NeuronValues> accuracies, RunAggregation aggregation = RunAggregation.Mean)
    {
        NeuronValues margins = Margins(accuracies, aggregation);
        return new([.. margins.Values.ToArray().Select(margin => 0.5 + margin)], margins.Shape);
    }

    /// <summary>
    /// Returns the margins over chance by which neurons are ranked: d = |accuracy - 0.5|, the maximum over the slots of the soft prompt,
    /// then the mean or minimum over runs. They are as exact as the accuracies; adding 0.5 would round some to ties.
    /// </summary>
    /// <param name="accuracies">One table per run, <c>[layers, slots, neurons]</c> or <c>[layers, neurons]</c>; at least one.</param>
    /// <param name="aggregation">How several runs are combined.</param>
    /// <returns><c>[layers, neurons]</c>, from 0 to 0.5.</returns>
    /// <exception cref="ArgumentException">There is no run, the shapes of runs differ, or a value is not in [0, 1].</exception>
    public static NeuronValues Margins(IReadOnlyList<NeuronValues> accuracies, RunAggregation aggregation = RunAggregation.Mean)
    {
        ArgumentNullException.ThrowIfNull(accuracies);
        NeuronValues first = accuracies.Count > 0 ? accuracies[0] : throw new ArgumentException("There is no run.", nameof(accuracies));
        double[]? total = null;
        foreach (NeuronValues run in accuracies)
        {
            if (!run.Shape.SequenceEqual(first.Shape))
            {
                throw new ArgumentException(
                    $"Accuracies of one run are [{string.Join(", ", first.Shape)}] and of another [{string.Join(", ", run.Shape)}].", nameof(accuracies));
            }

            double[] distances = new double[run.Layers * run.Width];
            ForEachBest(run, (place, _, distance) => distances[place] = distance);
            total = total is null ? distances : [.. total.Zip(distances, (a, b) => aggregation == RunAggregation.Mean ? a + b : Math.Min(a, b))];
        }

        int divisor = aggregation == RunAggregation.Mean ? accuracies.Count : 1;
        return new([.. total!.Select(distance => distance / divisor)], first.Layers, first.Width);
    }

    /// <summary>Returns the slot of the soft prompt at which each neuron is most predictive; ties go to the lowest.</summary>
    /// <param name="accuracies"><c>[layers, slots, neurons]</c> or <c>[layers, neurons]</c>.</param>
    /// <returns>Slots, row-major <c>[layers, neurons]</c>; all 0 without slots.</returns>
    public static int[] BestSlots(NeuronValues accuracies)
    {
        ArgumentNullException.ThrowIfNull(accuracies);
        int[] slots = new int[accuracies.Layers * accuracies.Width];
        ForEachBest(accuracies, (place, slot, _) => slots[place] = slot);
        return slots;
    }

    private static void ForEachBest(NeuronValues accuracies, Action<int, int, double> tell)
    {
        for (int layer = 0, place = 0; layer < accuracies.Layers; layer++)
        {
            for (int neuron = 0; neuron < accuracies.Width; neuron++, place++)
            {
                int best = 0;
                double distance = -1;
                for (int slot = 0; slot < (accuracies.Slots ?? 1); slot++)
                {
                    double accuracy = accuracies.Of(layer, slot)[neuron];
                    if (!(accuracy is >= 0 and <= 1))
                    {
                        throw new ArgumentException(
                            $"The value {accuracy} of neuron {neuron} in layer {layer} is no accuracy; it must be in [0, 1].", nameof(accuracies));
                    }

                    if (Math.Abs(accuracy - 0.5) > distance)
                    {
                        (best, distance) = (slot, Math.Abs(accuracy - 0.5));
                    }
                }

                tell(place, best, distance);
            }
        }
    }
}
