using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Neurons;

/// <summary>
/// Measures the feed-forward neurons of a model over rows (Wang et al. 2022, section 3; methods, B.7). Statistics are running sums in
/// float64 on the model's device, so memory does not grow with the number of rows.
/// </summary>
public sealed class NeuronProbe
{
    private readonly TextClassifier _classifier;

    /// <summary>Creates a probe.</summary>
    /// <param name="classifier">The model, which the caller keeps owning.</param>
    /// <param name="kind">At which positions neurons are read.</param>
    /// <exception cref="ArgumentException">The kind needs a soft prompt, and the model has none.</exception>
    /// <exception cref="NotSupportedException">The model's layers differ in width, as in a pruned model.</exception>
    public NeuronProbe(TextClassifier classifier, NeuronProbeKind kind = NeuronProbeKind.Prompt)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        _classifier = classifier;
        Kind = kind;
        Width = NeuronSet.WidthOf(classifier.Backbone.Config);
        if (kind == NeuronProbeKind.Prompt && PromptSize == 0)
        {
            throw new ArgumentException(
                $"{nameof(NeuronProbeKind)}.{nameof(NeuronProbeKind.Prompt)} reads neurons at the slots of a soft prompt, and the "
                    + "model has none: "
                    + $"tune it with one, or read its text with {nameof(NeuronProbeKind.TextMean)} or {nameof(NeuronProbeKind.TextMax)}.",
                nameof(kind)
            );
        }
    }

    /// <summary>At which positions neurons are read.</summary>
    public NeuronProbeKind Kind { get; }

    /// <summary>The shape of what is measured: <c>[layers, slots, neurons]</c> for prompts, else <c>[layers, neurons]</c>.</summary>
    public IReadOnlyList<long> Shape => Kind == NeuronProbeKind.Prompt ? [Layers, PromptSize, Width] : [Layers, Width];

    private int Layers => _classifier.Backbone.Config.Layers;

    private int Width { get; }

    private int PromptSize => _classifier.Backbone.PeftModule?.PromptSize ?? 0;

    /// <summary>Whether the prompt follows the text (causal models) instead of preceding it.</summary>
    private bool IsCausal => _classifier.Backbone.Config.IsCausal;

    /// <summary>Returns the thresholds of a binary task: the mean activation of each neuron over all rows.</summary>
    /// <param name="rows">Training rows; at least one.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>.</returns>
    /// <exception cref="ArgumentException">There are no rows.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public NeuronValues Baseline(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return rows.Count > 0
            ? Baselines(rows, [ProbeTask.AllRows(rows.Count)], cancellation)[0]
            : throw new ArgumentException("There are no rows to take thresholds from.", nameof(rows));
    }

    /// <summary>Returns the thresholds of several tasks in one pass: the mean activation of each neuron over the rows of the
    /// task.</summary>
    /// <param name="rows">Training rows.</param>
    /// <param name="tasks">The tasks, which say which rows belong to them.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, one table per task.</returns>
    /// <exception cref="ArgumentException">The number of labels of a task differs from the number of rows.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public IReadOnlyList<NeuronValues> Baselines(
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<ProbeTask> tasks,
        CancellationToken cancellation = default
    )
    {
        Check(rows, tasks);
        using DisposeScope scope = NewDisposeScope();
        Tensor[][] sums = Accumulators(tasks.Count);
        Run(
            rows,
            tasks,
            Counting,
            (layer, task, values, counting) =>
                sums[task]
                    [layer]
                    .Add_((counting is null ? values : values.index_select(0, counting)).sum(dim: 0, type: ScalarType.Float64)),
            cancellation
        );
        return [.. tasks.Select((task, i) => Share(sums[i], task, 0))];
    }

    /// <summary>
    /// Returns the accuracy of each neuron as a classifier: the share of a task's rows where "activation above threshold" equals the label.
    /// </summary>
    /// <param name="rows">Rows other than those of the thresholds.</param>
    /// <param name="task">The binary task with the labels of the rows.</param>
    /// <param name="thresholds">The result of <see cref="Baseline"/>.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, in [0, 1].</returns>
    public NeuronValues Accuracy(
        IReadOnlyList<EncodedText> rows,
        ProbeTask task,
        NeuronValues thresholds,
        CancellationToken cancellation = default
    ) => Accuracies(rows, [task], [thresholds], cancellation)[0];

    /// <summary>Returns the accuracies for several tasks in one pass.</summary>
    /// <param name="rows">Rows other than those of the thresholds.</param>
    /// <param name="tasks">The binary tasks with the labels of the rows.</param>
    /// <param name="thresholds">The result of <see cref="Baselines"/>, in the order of the tasks.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>Values of <see cref="Shape"/>, in [0, 1], one table per task.</returns>
    /// <exception cref="ArgumentException">The number of labels of a task differs from the number of rows, or the shape of the thresholds
    /// differs.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public IReadOnlyList<NeuronValues> Accuracies(
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<ProbeTask> tasks,
        IReadOnlyList<NeuronValues> thresholds,
        CancellationToken cancellation = default
    )
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
                    $"The thresholds are [{string.Join(", ", table.Shape)}], and this probe of this model needs "
                        + $"[{string.Join(", ", Shape)}].",
                    nameof(thresholds)
                );
            }
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor[][] counts = Accumulators(tasks.Count);
        Tensor[][] limits =
        [
            .. thresholds.Select(table => Limits(table).to(_classifier.Backbone.Device).view([.. Shape]).unbind().ToArray()),
        ];

        // Right are the rows above that should be, and the others less those above that should not be: one product instead of a count.
        Run(
            rows,
            tasks,
            Signs,
            (layer, task, values, signs) =>
            {
                Tensor above = values.gt(limits[task][layer]).to(ScalarType.Float32);
                counts[task][layer].Add_(signs!.matmul(above.view(above.size(0), -1)).view_as(counts[task][layer]));
            },
            cancellation
        );
        return [.. tasks.Select((task, i) => Share(counts[i], task, task.Labels.Count(label => label == false)))];
    }

    /// <summary>Returns the activations of selected neurons for each row.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="neurons">The neurons, with their slots if this probe reads prompts.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one value per neuron, in the order given.</returns>
    /// <exception cref="ArgumentException">The model has no such neuron or slot.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Activations(
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<NeuronPosition> neurons,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(neurons);
        int slots = Kind == NeuronProbeKind.Prompt ? PromptSize : 1;
        foreach (NeuronPosition neuron in neurons)
        {
            if (
                neuron.Layer < 0
                || neuron.Layer >= Layers
                || neuron.Neuron < 0
                || neuron.Neuron >= Width
                || neuron.Slot < 0
                || neuron.Slot >= slots
            )
            {
                throw new ArgumentException(
                    $"{neuron} is not in the model, which has {Layers} layers, {Width} neurons in each, and {slots} slots.",
                    nameof(neurons)
                );
            }
        }

        float[][] activations = new float[rows.Count][];
        for (int i = 0; i < activations.Length; i++)
        {
            activations[i] = new float[neurons.Count];
        }

        using DisposeScope scope = NewDisposeScope();
        var byLayer = neurons
            .Select((neuron, column) => (neuron, column))
            .GroupBy(pair => pair.neuron.Layer)
            .ToDictionary(
                group => group.Key,
                group =>
                    (
                        Columns: group.Select(pair => pair.column).ToArray(),
                        Index: tensor(
                            group.Select(pair => ((long)pair.neuron.Slot * Width) + pair.neuron.Neuron).ToArray(),
                            device: _classifier.Backbone.Device
                        )
                    )
            );
        ForEachBatch(
            rows,
            (group, layer, values) =>
            {
                if (!byLayer.TryGetValue(layer, out (int[] Columns, Tensor Index) wanted))
                {
                    return;
                }

                float[] read = values
                    .reshape(group.Length, -1)
                    .index_select(1, wanted.Index)
                    .to(ScalarType.Float32)
                    .cpu()
                    .data<float>()
                    .ToArray();
                for (int row = 0; row < group.Length; row++)
                {
                    for (int i = 0; i < wanted.Columns.Length; i++)
                    {
                        activations[group[row]][wanted.Columns[i]] = read[(row * wanted.Columns.Length) + i];
                    }
                }
            },
            cancellation
        );
        return activations;
    }

    /// <summary>Returns the activations of one neuron at every slot of the soft prompt (<c>pos</c>).</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="layer">Zero-based layer.</param>
    /// <param name="neuron">Zero-based neuron.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns><c>[rows][slots]</c>.</returns>
    /// <exception cref="InvalidOperationException">This probe does not read prompt slots.</exception>
    public float[][] OnPrompt(IReadOnlyList<EncodedText> rows, int layer, int neuron, CancellationToken cancellation = default)
    {
        RequirePrompt();
        return Activations(
            rows,
            [.. Enumerable.Range(0, PromptSize).Select(slot => new NeuronPosition(layer, neuron, slot))],
            cancellation
        );
    }

    /// <summary>Returns the activations of all neurons at the scored slot, which is the mask or the last slot of a causal prompt
    /// (<c>prompt_act</c>), for example for the empty text.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns><c>[rows][layers * neurons]</c>.</returns>
    /// <exception cref="InvalidOperationException">This probe does not read prompt slots.</exception>
    public float[][] AtScoredSlot(IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        RequirePrompt();
        int slot = IsCausal ? PromptSize - 1 : 0;
        return Activations(
            rows,
            [
                .. Enumerable
                    .Range(0, Layers)
                    .SelectMany(layer => Enumerable.Range(0, Width).Select(neuron => new NeuronPosition(layer, neuron, slot))),
            ],
            cancellation
        );
    }

    private static void Check(IReadOnlyList<EncodedText> rows, IReadOnlyList<ProbeTask> tasks)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(tasks);
        foreach (ProbeTask task in tasks)
        {
            if (task.Labels.Count != rows.Count)
            {
                throw new ArgumentException(
                    $"The probe '{task.Name}' has {task.Labels.Count} labels for {rows.Count} rows.",
                    nameof(tasks)
                );
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
            .. Enumerable
                .Range(0, tasks)
                .Select(_ => zeros([.. Shape], dtype: ScalarType.Float64, device: _classifier.Backbone.Device).unbind().ToArray()),
        ];

    /// <summary>Sums plus an offset, divided by the number of rows of the task.</summary>
    private NeuronValues Share(Tensor[] sums, ProbeTask task, int more)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor share = stack(sums).Add_(more).Div_(task.Labels.Count(label => label is not null));
        return new(share.cpu().data<double>().ToArray(), Shape);
    }

    /// <summary>
    /// Thresholds in the type of the activations. A float32 exceeds a float64 exactly if it exceeds the largest float32 that is not above
    /// it, so activations need not be widened.
    /// </summary>
    private Tensor Limits(NeuronValues table)
    {
        double[] values = table.Values.ToArray();
        return Kind == NeuronProbeKind.TextMean
            ? tensor(values)
            : tensor(Array.ConvertAll(values, value => (float)value is var near && near > value ? MathF.BitDecrement(near) : (float)value));
    }

    /// <summary>Indices of the rows of a batch that belong to the task; null for all.</summary>
    private static Tensor? Counting(bool?[] labels) =>
        labels.Contains(null)
            ? tensor(Enumerable.Range(0, labels.Length).Where(i => labels[i] is not null).Select(i => (long)i).ToArray())
            : null;

    /// <summary>1 and -1 for the two labels, 0 for rows outside the task.</summary>
    private static Tensor Signs(bool?[] labels) =>
        tensor(
            Array.ConvertAll(
                labels,
                label =>
                    label switch
                    {
                        true => 1f,
                        false => -1f,
                        null => 0f,
                    }
            )
        );

    /// <summary>Runs the model and accumulates the values of each layer for each task, with the tensor prepared from the labels of the
    /// batch.</summary>
    private void Run(
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<ProbeTask> tasks,
        Func<bool?[], Tensor?> prepare,
        Action<int, int, Tensor, Tensor?> accumulate,
        CancellationToken cancellation
    )
    {
        int[]? current = null;
        var prepared = new Tensor?[tasks.Count];
        using DisposeScope scope = NewDisposeScope();
        ForEachBatch(
            rows,
            (group, layer, values) =>
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
            },
            cancellation
        );
    }

    /// <summary>Runs the model and passes the values of each layer to a callback, <c>[rows, slots, neurons]</c> or
    /// <c>[rows, neurons]</c>.</summary>
    private void ForEachBatch(IReadOnlyList<EncodedText> rows, Action<int[], int, Tensor> tell, CancellationToken cancellation)
    {
        LanguageModel model = _classifier.Backbone;
        using Lifetime.Hold hold = model.Hold();
        using IDisposable inference = no_grad();
        int[] lengths = [.. rows.Select(row => row.Ids.Length)];
        foreach (int[] group in ScoringBatch.Split([.. lengths.Select(length => length + PromptSize)], model.Device))
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            using TokenBatch batch = _classifier.Batch([.. group.Select(i => rows[i])]);
            int[] ofBatch = [.. group.Select(i => lengths[i])];
            var hooks = new ActivationHooks(model);
            foreach ((int layer, BlockHookPoints points) in model.Points.Blocks.Take(Layers).Index())
            {
                hooks.Add(
                    [points.Post],
                    (activations, _) =>
                    {
                        tell(group, layer, Read(activations, ofBatch));
                        return null;
                    }
                );
            }

            model.Encode(batch, hooks: hooks);
        }
    }

    /// <summary>A layer's activations at what the probe reads.</summary>
    private Tensor Read(Tensor activations, int[] lengths) =>
        Kind == NeuronProbeKind.Prompt && !IsCausal ? activations.narrow(1, 0, PromptSize) : ByLength(activations, lengths);

    /// <summary>Rows are sorted by length, so rows of one length are reduced together, without padding.</summary>
    private Tensor ByLength(Tensor activations, int[] lengths)
    {
        var runs = new List<Tensor>();
        for (int start = 0, end; start < lengths.Length; start = end)
        {
            for (end = start + 1; end < lengths.Length && lengths[end] == lengths[start]; end++) { }

            Tensor run = activations.narrow(0, start, end - start);
            runs.Add(
                Kind switch
                {
                    NeuronProbeKind.Prompt => run.narrow(1, lengths[start], PromptSize),
                    NeuronProbeKind.TextMax => Text().amax(1),
                    _ => Text().sum(dim: 1, type: ScalarType.Float64).Div_(lengths[start]),
                }
            );

            Tensor Text() => run.narrow(1, IsCausal ? 0 : PromptSize, lengths[start]);
        }

        return cat(runs);
    }
}

/// <summary>The positions at which a probe reads feed-forward neurons (methods, B.7).</summary>
public enum NeuronProbeKind
{
    /// <summary><c>acc</c>: at each slot of the soft prompt, the mask slot included.</summary>
    Prompt,

    /// <summary><c>acc_mean</c>: the mean over the row's own tokens, start and end tokens included and padding excluded.</summary>
    TextMean,

    /// <summary><c>acc_max</c>: the maximum over the same tokens.</summary>
    TextMax,
}

/// <summary>A feed-forward neuron and the slot of the soft prompt at which it is read.</summary>
/// <param name="Layer">Zero-based layer.</param>
/// <param name="Neuron">Zero-based neuron of that layer.</param>
/// <param name="Slot">Zero-based slot of the soft prompt, 0 being the mask slot (of a masked model); 0 as well where neurons are read over
/// the text.</param>
public sealed record NeuronPosition(int Layer, int Neuron, int Slot = 0);
