using System.Globalization;

namespace SkillLoc.Models.Neurons;

/// <summary>Selects the skill neurons: those with the highest predictivity in each layer (methods, B.8).</summary>
public static class SkillNeurons
{
    /// <summary>The usual fractions of neurons per layer: 0.00, 0.01, ... 0.20 (methods, B.8).</summary>
    public static IReadOnlyList<double> Fractions { get; } = [.. Enumerable.Range(0, 21).Select(i => i / 100.0)];

    /// <summary>Returns the name of a fraction's set in the paper's code: <c>0.0</c>, <c>0.01</c>, ... <c>0.1</c>, ...
    /// <c>0.2</c>.</summary>
    /// <param name="fraction">In [0, 1].</param>
    /// <returns>The shortest decimal text, with a decimal point.</returns>
    public static string NameOf(double fraction)
    {
        CheckFraction(fraction);
        return fraction.ToString("0.0###############", CultureInfo.InvariantCulture);
    }

    /// <summary>Returns floor(fraction * width), the number of neurons of a fraction of a layer.</summary>
    /// <param name="fraction">In [0, 1].</param>
    /// <param name="width">Number of neurons of a layer.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The fraction is outside [0, 1].</exception>
    public static int CountOf(double fraction, int width)
    {
        CheckFraction(fraction);

        // In decimal, so that 0.29 of 100 is 29.
        return (int)Math.Floor((decimal)fraction * width);
    }

    /// <summary>Selects the skill neurons of a binary task.</summary>
    /// <param name="margins"><c>[layers, neurons]</c>, from <see cref="Predictivity.Margins"/>.</param>
    /// <param name="fraction">The share of each layer's neurons, in [0, 1].</param>
    /// <returns>floor(fraction * width) neurons in each layer; ties go to the lowest index.</returns>
    /// <exception cref="ArgumentException">The values have slots, or the fraction is outside [0, 1].</exception>
    public static NeuronSet Select(NeuronValues margins, double fraction) => Select([margins], fraction);

    /// <summary>
    /// Selects the skill neurons of a task of several labels from its m binary subtasks: the top floor(k / m) neurons of each subtask,
    /// filled up to exactly k = floor(fraction * width) in each layer (methods, B.8).
    /// </summary>
    /// <param name="subtasks">Each subtask's margins, <c>[layers, neurons]</c>; at least one.</param>
    /// <param name="fraction">The share of each layer's neurons, in [0, 1].</param>
    /// <param name="fill">How the set is filled up.</param>
    /// <returns>The set.</returns>
    /// <exception cref="ArgumentException">The shapes differ or have slots, or the fraction is outside [0, 1].</exception>
    public static NeuronSet Select(IReadOnlyList<NeuronValues> subtasks, double fraction, SubtaskFill fill = SubtaskFill.RoundRobin) =>
        Take(Rank(subtasks), subtasks[0].Layers, subtasks[0].Width, fraction, fill);

    /// <summary>Writes the sets of all <see cref="Fractions"/> to safetensors files named by <see cref="NameOf"/>.</summary>
    /// <param name="folder">The folder; created if missing.</param>
    /// <param name="subtasks">The margins of the task, or of each of its subtasks.</param>
    /// <param name="fill">How sets of several subtasks are filled up.</param>
    /// <exception cref="IOException">A file could not be written.</exception>
    public static void SaveAll(string folder, IReadOnlyList<NeuronValues> subtasks, SubtaskFill fill = SubtaskFill.RoundRobin)
    {
        int[][][] rankings = Rank(subtasks);
        Directory.CreateDirectory(folder);
        foreach (double fraction in Fractions)
        {
            Take(rankings, subtasks[0].Layers, subtasks[0].Width, fraction, fill)
                .Save(Path.Join(folder, NameOf(fraction) + ".safetensors"));
        }
    }

    /// <summary>The neurons of each subtask and layer, the most predictive first.</summary>
    private static int[][][] Rank(IReadOnlyList<NeuronValues> subtasks)
    {
        ArgumentNullException.ThrowIfNull(subtasks);
        if (subtasks.Count == 0)
        {
            throw new ArgumentException("There is no subtask.", nameof(subtasks));
        }

        foreach (NeuronValues values in subtasks)
        {
            if (values.Slots is not null || !values.Shape.SequenceEqual(subtasks[0].Shape))
            {
                throw new ArgumentException(
                    $"Neurons are selected by margins of one shape [layers, neurons], and found are "
                        + $"{string.Join(" and ", subtasks.Select(other => $"[{string.Join(", ", other.Shape)}]").Distinct())}.",
                    nameof(subtasks)
                );
            }
        }

        return [.. subtasks.Select(values => Enumerable.Range(0, values.Layers).Select(layer => Rank(values.Of(layer))).ToArray())];
    }

    private static int[] Rank(ReadOnlySpan<double> values)
    {
        // Sorting is stable: the lower of equals comes first.
        double[] copy = values.ToArray();
        return [.. Enumerable.Range(0, copy.Length).OrderByDescending(i => copy[i])];
    }

    private static NeuronSet Take(int[][][] rankings, int layers, int width, double fraction, SubtaskFill fill)
    {
        int count = CountOf(fraction, width),
            share = count / rankings.Length;
        bool[] members = new bool[layers * width];
        int[][][] fillers = fill == SubtaskFill.Last ? [rankings[^1]] : rankings;
        for (int layer = 0; layer < layers; layer++)
        {
            Span<bool> chosen = members.AsSpan(layer * width, width);
            foreach (int[][] ranking in rankings)
            {
                foreach (int neuron in ranking[layer].AsSpan(0, share))
                {
                    chosen[neuron] = true;
                }
            }

            int[] next = new int[fillers.Length];
            for (int turn = 0, missing = count - chosen.Count(true); missing > 0; turn = (turn + 1) % fillers.Length, missing--)
            {
                int[] ranking = fillers[turn][layer];
                while (chosen[ranking[next[turn]]])
                {
                    next[turn]++;
                }

                chosen[ranking[next[turn]]] = true;
            }
        }

        return new(members, layers, width);
    }

    private static void CheckFraction(double fraction)
    {
        if (!(fraction is >= 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(fraction), fraction, "A fraction of a layer's neurons must be in [0, 1].");
        }
    }
}

/// <summary>How a multi-class set is filled up beyond the top neurons of its subtasks.</summary>
public enum SubtaskFill
{
    /// <summary>Subtasks take turns; each adds its best neuron that is not in the set yet (methods, B.8).</summary>
    RoundRobin,

    /// <summary>From the last subtask only, as the paper's code does for two subtasks (methods, B.8).</summary>
    Last,
}
