namespace SkillLoc.Models.Neurons;

/// <summary>The result of probing a model for a task: one table of thresholds and one of accuracies per binary task.</summary>
public sealed record NeuronProbeResult
{
    /// <summary>The positions at which neurons were read.</summary>
    public required NeuronProbeKind Kind { get; init; }

    /// <summary>Names of the binary tasks: one for two labels, else one per label against the others.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>Mean activations on training rows, <c>[layers, slots, neurons]</c> or <c>[layers, neurons]</c>.</summary>
    public required IReadOnlyList<NeuronValues> Thresholds { get; init; }

    /// <summary>Accuracies by which neurons are selected, of the same shape as the thresholds.</summary>
    public required IReadOnlyList<NeuronValues> Accuracies { get; init; }

    /// <summary>Accuracies on test rows; null without test rows.</summary>
    public IReadOnlyList<NeuronValues>? TestAccuracies { get; init; }

    /// <summary>Returns the margins over chance of the neurons for each task (<see cref="Predictivity.Margins"/>).</summary>
    /// <returns><c>[layers, neurons]</c> per task.</returns>
    public IReadOnlyList<NeuronValues> Margins() => [.. Accuracies.Select(table => Predictivity.Margins([table]))];

    /// <summary>Returns the largest predictivity of each neuron over the tasks.</summary>
    /// <returns><c>[layers, neurons]</c>, from 0.5 to 1.</returns>
    public NeuronValues BestPredictivity()
    {
        IReadOnlyList<NeuronValues> margins = Margins();
        double[] best = [.. Enumerable.Range(0, margins[0].Values.Length).Select(i => 0.5 + margins.Max(table => table.Values[i]))];
        return new(best, margins[0].Shape);
    }

    /// <summary>Selects the skill neurons (<see cref="SkillNeurons.Select(IReadOnlyList{NeuronValues}, double, SubtaskFill)"/>).</summary>
    /// <param name="fraction">The share of each layer's neurons, in [0, 1].</param>
    /// <returns>The set.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The fraction is outside [0, 1].</exception>
    public NeuronSet Select(double fraction) => SkillNeurons.Select(Margins(), fraction);

    /// <summary>Returns the neurons of a set, each at the slot where it is most predictive; ties go to the lowest.</summary>
    /// <param name="set">The set.</param>
    /// <returns>By layer, then by neuron.</returns>
    public IReadOnlyList<NeuronPosition> Positions(NeuronSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        IReadOnlyList<NeuronValues> margins = Margins();
        int[][] slots = [.. Accuracies.Select(Predictivity.BestSlots)];
        return
        [
            .. Enumerable
                .Range(0, set.Layers)
                .SelectMany(layer =>
                    set.Indices(layer)
                        .Select(neuron =>
                        {
                            int place = (layer * set.Width) + neuron;
                            int task = Enumerable.Range(0, margins.Count).MaxBy(i => margins[i].Values[place]);
                            return new NeuronPosition(layer, neuron, slots[task][place]);
                        })
                ),
        ];
    }

    /// <summary>
    /// Writes everything as safetensors under the names of the paper's code (methods, B.7, B.8): <c>train_avg</c>, <c>dev_perf</c> and
    /// <c>test_perf</c> (<c>train_mean_avg</c>, ..., <c>train_max_avg</c>, ... over text), in a folder of each task's name where there are
    /// several, and the sets of all fractions in <c>info</c>.
    /// </summary>
    /// <param name="folder">The folder; created if missing.</param>
    /// <exception cref="IOException">A file could not be written.</exception>
    public void Save(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        for (int i = 0; i < Tasks.Count; i++)
        {
            (string thresholds, string accuracies, string test) = PathsOf(folder, Kind, Tasks, i);
            Directory.CreateDirectory(Path.GetDirectoryName(thresholds)!);
            Thresholds[i].Save(thresholds);
            Accuracies[i].Save(accuracies);
            TestAccuracies?[i].Save(test);
        }

        SkillNeurons.SaveAll(Path.Join(folder, "info"), Margins());
    }

    /// <summary>Reads a file that <see cref="Save"/> wrote.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="kind">The positions at which neurons were read.</param>
    /// <param name="tasks">The names of the binary tasks.</param>
    /// <returns>The result, with test accuracies if all tasks have them.</returns>
    /// <exception cref="IOException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or holds something else.</exception>
    public static NeuronProbeResult Load(string folder, NeuronProbeKind kind, IReadOnlyList<string> tasks)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(tasks);
        (string Thresholds, string Accuracies, string Test)[] paths = [.. tasks.Select((_, i) => PathsOf(folder, kind, tasks, i))];
        return new()
        {
            Kind = kind,
            Tasks = tasks,
            Thresholds = [.. paths.Select(task => NeuronValues.Load(task.Thresholds))],
            Accuracies = [.. paths.Select(task => NeuronValues.Load(task.Accuracies))],
            TestAccuracies = Array.TrueForAll(paths, task => File.Exists(task.Test))
                ? [.. paths.Select(task => NeuronValues.Load(task.Test))]
                : null,
        };
    }

    private static (string Thresholds, string Accuracies, string Test) PathsOf(
        string folder,
        NeuronProbeKind kind,
        IReadOnlyList<string> tasks,
        int task
    )
    {
        string infix = kind switch
        {
            NeuronProbeKind.TextMean => "mean_",
            NeuronProbeKind.TextMax => "max_",
            _ => "",
        };
        string own = tasks.Count == 1 ? folder : Path.Join(folder, FileNameOf(tasks[task]));
        return (
            Path.Join(own, $"train_{infix}avg.safetensors"),
            Path.Join(own, $"dev_{infix}perf.safetensors"),
            Path.Join(own, $"test_{infix}perf.safetensors")
        );
    }

    private static string FileNameOf(string task) => string.Concat(task.Select(c => Path.GetInvalidFileNameChars().Contains(c) ? '_' : c));
}

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
                    $"Accuracies of one run are [{string.Join(", ", first.Shape)}] and of another [{string.Join(", ", run.Shape)}].",
                    nameof(accuracies)
                );
            }

            double[] distances = new double[run.Layers * run.Width];
            ForEachBest(run, (place, _, distance) => distances[place] = distance);
            total = total is null
                ? distances
                : [.. total.Zip(distances, (a, b) => aggregation == RunAggregation.Mean ? a + b : Math.Min(a, b))];
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
                            $"The value {accuracy} of neuron {neuron} in layer {layer} is no accuracy; it must be in [0, 1].",
                            nameof(accuracies)
                        );
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
