using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds the feed-forward neurons of a fitted model that predict the label by themselves (Wang et al. 2022, section 3), and uses them as
/// features. Thresholds are computed on the training view, accuracies on the validation set. A task of more than two labels is split into
/// balanced subtasks of one label against the others (methods, B.8), all probed in the same passes.
/// </summary>
public sealed class SkillNeuronProbeEstimator : IEstimator<SkillNeuronProbeTransformer>
{
    private readonly ComponentHost _host;
    private readonly Options _options;

    internal SkillNeuronProbeEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(catalog.Context, nameof(SkillNeuronProbeEstimator));
        _options = options;
    }

    /// <summary>Probes the model.</summary>
    /// <param name="input">The training view, with a key-typed label column and the model's text columns.</param>
    /// <returns>A transformer that appends the skill neurons' activations; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, a label is unknown or has no rows, the model has no soft
    /// prompt, or the fraction selects no neurons.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public SkillNeuronProbeTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        TextScoringTransformer model = _options.Model!;
        TextClassifier classifier = model.Classifier;
        using TextClassifier? reduced =
            _options.Precision == Precision.Float32 ? null : classifier.Clone(dtype: _options.Precision.ToScalarType());
        var probe = new NeuronProbe(reduced ?? classifier, _options.Kind);
        if (SkillNeurons.CountOf(_options.Fraction, (int)probe.Shape[^1]) == 0)
        {
            throw new ArgumentException(
                $"Options.Fraction is {_options.Fraction}, less than one of the {probe.Shape[^1]} neurons of a layer; take a larger "
                    + "fraction."
            );
        }

        (EncodedText[] train, IReadOnlyList<ProbeTask> tasks) = Read(input, "training data");
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        cancellation.ThrowIfRequested();
        using IChannel channel = _host.Start("Probing");
        IReadOnlyList<NeuronValues> thresholds =
            tasks.Count == 1 ? [probe.Baseline(train, cancellation.Token)] : probe.Baselines(train, tasks, cancellation.Token);
        IReadOnlyList<NeuronValues>? Evaluate(IDataView? view, string role)
        {
            if (view is null)
            {
                return null;
            }

            (EncodedText[] rows, IReadOnlyList<ProbeTask> own) = Read(view, role);
            cancellation.ThrowIfRequested();
            return probe.Accuracies(rows, own, thresholds, cancellation.Token);
        }

        IReadOnlyList<NeuronValues>? accuracies = Evaluate(_options.ValidationSet, "validation data");
        if (accuracies is null)
        {
            channel.Warning(
                MessageSensitivity.None,
                "There is no validation set: neurons are evaluated on the rows that their thresholds were computed from."
            );
            accuracies = probe.Accuracies(train, tasks, thresholds, cancellation.Token);
        }

        var result = new NeuronProbeResult
        {
            Kind = _options.Kind,
            Tasks = [.. tasks.Select(task => task.Name)],
            Thresholds = thresholds,
            Accuracies = accuracies,
            TestAccuracies = Evaluate(_options.TestSet, "test data"),
        };
        NeuronSet chosen = result.Select(_options.Fraction);
        double best = 0.5 + result.Margins().Max(table => table.Values.ToArray().Max());
        channel.Info(
            MessageSensitivity.None,
            $"Chose {chosen.Count} neurons of {chosen.Members.Length}; the best single one predicts {best:P1}."
        );
        return new(model, result, chosen, _options.OutputColumnName) { Host = _host };
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) =>
        ScoringSchema.AppendVector(inputSchema, _options.Model!.Columns, _options.OutputColumnName);

    private (EncodedText[] Rows, IReadOnlyList<ProbeTask> Tasks) Read(IDataView view, string role)
    {
        TextScoringTransformer model = _options.Model!;
        var data = EncodedDataset.Read(view, model.Columns, _options.LabelColumnName, model.Classifier, role);
        try
        {
            if (model.IsMultiLabel)
            {
                return (data.Texts, [.. model.Labels.Select(OneAgainstRows)]);
            }

            int[] labels = [.. data.Targets.Select(target => target.Label)];
            return (
                data.Texts,
                model.Labels.Count == 2 ? [ProbeTask.Binary(labels, model.Labels[1])] : ProbeTask.OneVersusRest(labels, model.Labels)
            );
        }
        catch (ArgumentException error)
        {
            throw new ArgumentException($"The {role} cannot be probed: {error.Message}", error);
        }

        // Of several labels a row each is told from the rows without it.
        ProbeTask OneAgainstRows(string label, int index) =>
            ProbeTask.OneVersusRest([.. data.Targets.Select(target => (int)target.LabelSet[index])], ["others", label])[1];
    }

    /// <summary>Options for <see cref="SkillNeuronProbeEstimator"/> (methods, B.7, B.8).</summary>
    public sealed class Options
    {
        /// <summary>The fitted model to probe. It is not changed, and must not be disposed before Fit ends.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The positions at which neurons are read; by default the slots of a soft prompt, which the model must have.</summary>
        public NeuronProbeKind Kind = NeuronProbeKind.Prompt;

        /// <summary>The share of each layer's neurons to use as features, above 0 and at most 1; 0.01 by default.</summary>
        public double Fraction = 0.01;

        /// <summary>The key-typed label column.</summary>
        public string LabelColumnName = "Label";

        /// <summary>The output column; "Neurons" by default.</summary>
        public string OutputColumnName = "Neurons";

        /// <summary>Validation rows for the accuracies of neurons, with the columns of the training view. Null (default) uses the training
        /// rows, which is optimistic.</summary>
        public IDataView? ValidationSet;

        /// <summary>Test rows for additional accuracies; null (default) for none.</summary>
        public IDataView? TestSet;

        /// <summary>The arithmetic of the passes that measure thresholds and accuracies; float32 by default. The features of the
        /// transformer are always float32's.</summary>
        public Precision Precision;

        /// <summary>Cancels Fit with an <see cref="OperationCanceledException"/>, as does cancelling the context's execution.</summary>
        public CancellationToken CancellationToken;

        /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
        internal void Check()
        {
            if (Model is null)
            {
                throw new ArgumentException("Options.Model must be the transformer that PromptFineTune gave.");
            }

            if (Model.Labels.Count == 0)
            {
                throw new ArgumentException(
                    $"Neurons are evaluated by labels, and Options.Model {(Model.IsGenerative ? "generates free text" : "predicts a score")}."
                );
            }

            if (!(Fraction is > 0 and <= 1))
            {
                throw new ArgumentOutOfRangeException(nameof(Fraction), Fraction, "Options.Fraction must be above 0 and at most 1.");
            }

            _ = Precision.ToScalarType();
            ArgumentException.ThrowIfNullOrEmpty(OutputColumnName);
        }
    }
}
