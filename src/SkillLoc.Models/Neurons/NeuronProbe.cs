using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>
/// Reads feed-forward neurons of a model while it runs over rows (Wang et al. 2022, section 3; methods, B.7). Statistics are
/// running sums in float64 on the model's device: what is kept does not grow with the number of rows.
/// </summary>
public sealed class NeuronProbe
{
    private readonly TextClassifier _classifier;

    /// <summary>Makes a probe.</summary>
    /// <param name="classifier">The model; the caller keeps it.</param>
    /// <param name="kind">At which positions neurons are read.</param>
    /// <exception cref="ArgumentException">Prompt slots are to be read, and the model has no soft prompt.</exception>
    /// <exception cref="NotSupportedException">The model's layers are of different widths, as pruning leaves them.</exception>
    public NeuronProbe(TextClassifier classifier, NeuronProbeKind kind = NeuronProbeKind.Prompt)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        _classifier = classifier;
        Kind = kind;
        Width = NeuronSet.WidthOf(classifier.Backbone.Config);
        if (kind == NeuronProbeKind.Prompt && PromptSize == 0)
        {
            throw new ArgumentException(
                $"{nameof(NeuronProbeKind)}.{nameof(NeuronProbeKind.Prompt)} reads neurons at the slots of a soft prompt, and the model has none: "
                + $"tune it with one, or read its text with {nameof(NeuronProbeKind.TextMean)} or {nameof(NeuronProbeKind.TextMax)}.",
                nameof(kind));
        }
    }

    /// <summary>At which positions neurons are read.</summary>
    public NeuronProbeKind Kind { get; }

    /// <summary>The shape of what is measured: <c>[layers, slots, neurons]</c> for prompts, else <c>[layers, neurons]</c>.</summary>
    public IReadOnlyList<long> Shape => Kind == NeuronProbeKind.Prompt ? [Layers, PromptSize, Width] : [Layers, Width];

    private int Layers => _classifier.Backbone.Config.Layers;

    private int Width { get; }

    private int PromptSize => _classifier.Backbone.Adaptation?.PromptSize ?? 0;

    /// <summary>A causal model's prompt stands after the text, another's before it.</summary>
    private bool IsCausal => _classifier.Backbone.Config.IsCausal;

    /// <summary>The thresholds of a task of two labels: each neuron's mean over all rows.</summary>
    /// <param name="rows">Training rows; at least one.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>.</returns>
    /// <exception cref="ArgumentException">There are no rows.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public NeuronValues Baseline(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return rows.Count > 0
            ? Baselines(rows, [ProbeTask.AllRows(rows.Count)], cancellation)[0]
            : throw new ArgumentException("There are no rows to take thresholds from.", nameof(rows));
    }

    /// <summary>The thresholds of several tasks, in one pass: each neuron's mean over the rows that count.</summary>
    /// <param name="rows">Training rows.</param>
    /// <param name="tasks">Which rows count for each.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, one table a task.</returns>
    /// <exception cref="ArgumentException">A task has not one label a row.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IReadOnlyList<NeuronValues> Baselines(
        IReadOnlyList<EncodedText> rows, IReadOnlyList<ProbeTask> tasks, CancellationToken cancellation = default)
    {
        Check(rows, tasks);
        using var scope = NewDisposeScope();
        Tensor[][] sums = Accumulators(tasks.Count);
        Run(
            rows, tasks, Counting,
            (layer, task, values, counting) => sums[task][layer].Add_(
                (counting is null ? values : values.index_select(0, counting)).sum(dim: 0, type: ScalarType.Float64)),
            cancellation);
        return [.. tasks.Select((task, i) => Share(sums[i], task, 0))];
    }

    /// <summary>
    /// The accuracy of each neuron as a classifier: the share of a task's rows for which "activation above threshold" equals the label.
    /// </summary>
    /// <param name="rows">Rows that the thresholds were not taken from.</param>
    /// <param name="task">Their labels.</param>
    /// <param name="thresholds">What <see cref="Baseline"/> gave.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, in [0, 1].</returns>
    public NeuronValues Accuracy(
        IReadOnlyList<EncodedText> rows, ProbeTask task, NeuronValues thresholds, CancellationToken cancellation = default) =>
        Accuracies(rows, [task], [thresholds], cancellation)[0];

    /// <summary>The accuracies for several tasks, in one pass.</summary>
    /// <param name="rows">Rows that the thresholds were not taken from.</param>
    /// <param name="tasks">Their labels.</param>
    /// <param name="thresholds">What <see cref="Baselines"/> gave, in the order of the tasks.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, in [0, 1], one table a task.</returns>
    /// <exception cref="ArgumentException">A task has not one label a row, or thresholds are of another shape.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IReadOnlyList<NeuronValues> Accuracies(
        IReadOnlyList<EncodedText> rows, IReadOnlyList<ProbeTask> tasks, IReadOnlyList<NeuronValues> thresholds,
        CancellationToken cancellation = default)
    {
        Check(rows, tasks);
        ArgumentNullException.ThrowIfNull(thresholds);
        if (thresholds.Count != tasks.Count)
        {
            throw new ArgumentException($"There are {thresholds.Count} tables of thresholds for {tasks.Count} tasks.", nameof(thresholds));
        }

        foreach (NeuronValues table in thresholds)
        {
            if (!table.Shape.SequenceEqual(Shape))
            {
                throw new ArgumentException(
                    $"The thresholds are [{string.Join(", ", table.Shape)}], and this probe of this model needs [{string.Join(", ", Shape)}].",
                    nameof(thresholds));
            }
        }

        using var scope = NewDisposeScope();
        Tensor[][] counts = Accumulators(tasks.Count);
        Tensor[][] limits = [.. thresholds.Select(table => Limits(table).to(_classifier.Backbone.Device).view([.. Shape]).unbind().ToArray())];

        // Right are the rows above that should be, and the others less those above that should not be: one product instead of a count.
        Run(
            rows, tasks, Signs,
            (layer, task, values, signs) =>
            {
                Tensor above = values.gt(limits[task][layer]).to(ScalarType.Float32);
                counts[task][layer].Add_(signs!.matmul(above.view(above.size(0), -1)).view_as(counts[task][layer]));
            },
            cancellation);
        return [.. tasks.Select((task, i) => Share(counts[i], task, task.Labels.Count(label => label == false)))];
    }

    /// <summary>Activations of some neurons, row by row.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="neurons">The neurons, with the slot that each is read at where this probe reads prompts.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one value a neuron, in the order given.</returns>
    /// <exception cref="ArgumentException">The model has no such neuron or slot.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public float[][] Activations(
        IReadOnlyList<EncodedText> rows, IReadOnlyList<NeuronPosition> neurons, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(neurons);
        int slots = Kind == NeuronProbeKind.Prompt ? PromptSize : 1;
        foreach (NeuronPosition neuron in neurons)
        {
            if (neuron.Layer < 0 || neuron.Layer >= Layers || neuron.Neuron < 0 || neuron.Neuron >= Width || neuron.Slot < 0 || neuron.Slot >= slots)
            {
                throw new ArgumentException(
                    $"{neuron} is not in the model, which has {Layers} layers, {Width} neurons in each, and {slots} slots.", nameof(neurons));
            }
        }

        var activations = new float[rows.Count][];
        for (int i = 0; i < activations.Length; i++)
        {
            activations[i] = new float[neurons.Count];
        }

        using var scope = NewDisposeScope();
        var byLayer = neurons.Select((neuron, column) => (neuron, column)).GroupBy(pair => pair.neuron.Layer).ToDictionary(
            group => group.Key,
            group => (Columns: group.Select(pair => pair.column).ToArray(), Index: tensor(
                group.Select(pair => ((long)pair.neuron.Slot * Width) + pair.neuron.Neuron).ToArray(), device: _classifier.Backbone.Device)));
        ForEachBatch(rows, (group, layer, values) =>
        {
            if (!byLayer.TryGetValue(layer, out var wanted))
            {
                return;
            }

            float[] read = values.reshape(group.Length, -1).index_select(1, wanted.Index).to(ScalarType.Float32).cpu().data<float>().ToArray();
            for (int row = 0; row < group.Length; row++)
            {
                for (int i = 0; i < wanted.Columns.Length; i++)
                {
                    activations[group[row]][wanted.Columns[i]] = read[(row * wanted.Columns.Length) + i];
                }
            }
        }, cancellation);
        return activations;
    }

    /// <summary>One neuron on every slot of the soft prompt (<c>pos</c>).</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="neuron">Zero-based neuron.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns><c>[rows][slots]</c>.</returns>
    /// <exception cref="InvalidOperationException">This probe does not read prompts.</exception>
    public float[][] OnPrompt(IReadOnlyList<EncodedText> rows, int layer, int neuron, CancellationToken cancellation = default)
    {
        RequirePrompt();
        return Activations(rows, [.. Enumerable.Range(0, PromptSize).Select(slot => new NeuronPosition(layer, neuron, slot))], cancellation);
    }

    /// <summary>All neurons at the slot that is scored, the mask's or a causal prompt's last (<c>prompt_act</c>), for example of the
    /// empty text.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns><c>[rows][layers * neurons]</c>.</returns>
    /// <exception cref="InvalidOperationException">This probe does not read prompts.</exception>
    public float[][] AtScoredSlot(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        RequirePrompt();
        int slot = IsCausal ? PromptSize - 1 : 0;
        return Activations(
            rows,
            [.. Enumerable.Range(0, Layers).SelectMany(layer => Enumerable.Range(0, Width).Select(neuron => new NeuronPosition(layer, neuron, slot)))],
            cancellation);
    }

    private static void Check(IReadOnlyList<EncodedText> rows, IReadOnlyList<ProbeTask> tasks)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(tasks);
        foreach (ProbeTask task in tasks)
        {
            if (task.Labels.Count != rows.Count)
            {
                throw new ArgumentException($"The probe '{task.Name}' has {task.Labels.Count} labels for {rows.Count} rows.", nameof(tasks));
            }
        }
    }

    private void RequirePrompt()
    {
        if (Kind != NeuronProbeKind.Prompt)
        {
            throw new InvalidOperationException($"This probe reads {Kind}; only one of {NeuronProbeKind.Prompt} reads prompt slots.");
        }
    }

    private Tensor[][] Accumulators(int tasks) =>
    [
        .. Enumerable.Range(0, tasks).Select(_ =>
            zeros([.. Shape], dtype: ScalarType.Float64, device: _classifier.Backbone.Device).unbind().ToArray()),
    ];

    /// <summary>What was summed up, and what more there is of it, by the rows that count.</summary>
    private NeuronValues Share(Tensor[] sums, ProbeTask task, int more)
    {
        using var scope = NewDisposeScope();
        Tensor share = stack(sums).Add_(more).Div_(task.Labels.Count(label => label is not null));
        return new(share.cpu().data<double>().ToArray(), Shape);
    }

    /// <summary>
    /// Thresholds as activations are compared with them. A float32 is above a float64 exactly where it is above the next float32 at or
    /// below that, so that activations need not be widened.
    /// </summary>
    private Tensor Limits(NeuronValues table)
    {
        double[] values = table.Values.ToArray();
        return Kind == NeuronProbeKind.TextMean
            ? tensor(values)
            : tensor(Array.ConvertAll(values, value => (float)value is var near && near > value ? MathF.BitDecrement(near) : (float)value));
    }

    /// <summary>The rows of a batch that count; null for all of them.</summary>
    private static Tensor? Counting(bool?[] labels) => labels.Contains(null)
        ? tensor(Enumerable.Range(0, labels.Length).Where(i => labels[i] is not null).Select(i => (long)i).ToArray())
        : null;

    /// <summary>1 and -1 for the two labels, 0 for rows that do not count.</summary>
    private static Tensor Signs(bool?[] labels) => tensor(Array.ConvertAll(labels, label => label switch
    {
        true => 1f,
        false => -1f,
        null => 0f,
    }));

    /// <summary>Runs the model; each layer's values are accumulated for each task, with what was prepared of a batch's labels for it.</summary>
    private void Run(
        IReadOnlyList<EncodedText> rows, IReadOnlyList<ProbeTask> tasks, Func<bool?[], Tensor?> prepare,
        Action<int, int, Tensor, Tensor?> accumulate, CancellationToken cancellation)
    {
        int[]? current = null;
        var prepared = new Tensor?[tasks.Count];
        using var scope = NewDisposeScope();
        ForEachBatch(rows, (group, layer, values) =>
        {
            for (int i = 0; i < prepared.Length; i++)
            {
                if (!ReferenceEquals(current, group))
                {
                    prepared[i]?.Dispose();
                    using Tensor? made = prepare([.. group.Select(row => tasks[i].Labels[row])]);
                    prepared[i] = made?.to(_classifier.Backbone.Device, copy: true).MoveToOtherDisposeScope(scope);
                }

                accumulate(layer, i, values, prepared[i]);
            }

            current = group;
        }, cancellation);
    }

    /// <summary>Runs the model and tells each layer's values, <c>[rows, slots, neurons]</c> or <c>[rows, neurons]</c>.</summary>
    private void ForEachBatch(IReadOnlyList<EncodedText> rows, Action<int[], int, Tensor> tell, CancellationToken cancellation)
    {
        LanguageModel model = _classifier.Backbone;
        using Lifetime.Hold hold = model.Hold();
        using IDisposable inference = no_grad();
        int[] lengths = [.. rows.Select(row => row.Ids.Length)];
        foreach (int[] group in LengthBatches.Split([.. lengths.Select(length => length + PromptSize)], LengthBatches.SuitableTokens(model.Device)))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using TokenBatch batch = _classifier.Batch([.. group.Select(i => rows[i])]);
            int[] ofBatch = [.. group.Select(i => lengths[i])];
            var hooks = new ActivationHooks(model);
            foreach ((int layer, BlockHookPoints points) in model.Points.Blocks.Take(Layers).Index())
            {
                hooks.Add([points.Post], (activations, _) =>
                {
                    tell(group, layer, Read(activations, ofBatch));
                    return null;
                });
            }

            model.Encode(batch, hooks: hooks);
        }
    }

    /// <summary>A layer's activations at what the probe reads.</summary>
    private Tensor Read(Tensor activations, int[] lengths) =>
        Kind == NeuronProbeKind.Prompt && !IsCausal ? activations.narrow(1, 0, PromptSize) : ByLength(activations, lengths);

    /// <summary>Rows come sorted by length, so runs of one length are read together, without their padding.</summary>
    private Tensor ByLength(Tensor activations, int[] lengths)
    {
        var runs = new List<Tensor>();
        for (int start = 0, end; start < lengths.Length; start = end)
        {
            for (end = start + 1; end < lengths.Length && lengths[end] == lengths[start]; end++)
            {
            }

            Tensor run = activations.narrow(0, start, end - start);
            runs.Add(Kind switch
            {
                NeuronProbeKind.Prompt => run.narrow(1, lengths[start], PromptSize),
                NeuronProbeKind.TextMax => Text().amax(1),
                _ => Text().sum(dim: 1, type: ScalarType.Float64).Div_(lengths[start]),
            });

            Tensor Text() => run.narrow(1, IsCausal ? 0 : PromptSize, lengths[start]);
        }

        return cat(runs);
    }
}
