using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Localises a skill: finds the few parameters whose fine-tuned values, put into the pre-trained model, keep what fine-tuning learnt
/// (Panigrahi et al. 2023, section 3; grafting reference A.12).
/// </summary>
public sealed partial class GraftMaskEstimator : IEstimator<GraftTransformer>
{
    private readonly IHost _host;
    private readonly Options _options;
    private readonly TextScoringTransformer _fineTuned;
    private readonly string _base;

    internal GraftMaskEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = ((IHostEnvironment)catalog.Context).Register(nameof(GraftMaskEstimator));
        _options = options;
        _fineTuned = options.FineTuned!;
        _base = Path.GetFullPath(options.BaseCheckpoint ?? _fineTuned.BaseCheckpoint!);
    }

    /// <summary>Trains the mask.</summary>
    /// <param name="input">The training view, with the label column that fine-tuning had and the fine-tuned transformer's text columns.</param>
    /// <returns>A scoring transformer over the base model with the graft; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is none of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned model.</exception>
    public GraftTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        TextClassifier tuned = _fineTuned.Classifier;
        ParameterSelection selection = _options.Considered ?? tuned.Settings.Trained ?? new ParameterSelection();
        IReadOnlyList<string> considered = selection.Of(tuned.Backbone);
        var changes = new HashSet<string>(considered, StringComparer.Ordinal);
        if (changes.Count == 0)
        {
            throw new InvalidOperationException("No parameter is considered: Options.Considered fixes all of them.");
        }

        TextClassifier classifier = TextClassifier.Create(
            _base, tuned.Settings, tuned.Backbone.Device, tuned.Backbone.Dtype, twin: tuned, mayShare: name => !changes.Contains(name));
        try
        {
            LabeledTexts train = LabeledTexts.Read(input, _fineTuned.Columns, _options.LabelColumnName, tuned, "training data");
            LabeledTexts? validation = _options.ValidationSet is { } set
                ? LabeledTexts.Read(set, _fineTuned.Columns, _options.LabelColumnName, tuned, "validation data")
                : null;
            CopyHead(tuned, classifier);
            string fingerprint = classifier.Backbone.Fingerprint();
            using IChannel channel = _host.Start("Training");
            using var mask = new GraftMask(classifier.Backbone, tuned.Backbone, considered, _options.SigmoidBias);
            WarnOfOtherChanges(channel, tuned, classifier, changes);
            if (_options.BasePatch == BasePatchKind.HighestMovement)
            {
                mask.SetBasePatch(_options.Sparsity);
            }

            channel.Info(MessageSensitivity.None, $"Base patch of {mask.BaseCount} of {mask.Count} parameters; training on {train.Count} rows.");
            (IReadOnlyList<GraftPart> parts, Dictionary<string, double> metrics) = Train(mask, classifier, train, validation, channel);
            mask.Reset();
            var graft = new Graft
            {
                BaseFingerprint = fingerprint,
                Task = tuned.Settings.Task,
                Settings = tuned.Settings.ToJson(),
                Sparsity = _options.Sparsity,
                ConsideredCount = mask.Count,
                Metrics = metrics,
                Parts = parts,
                HeadParameters = classifier.Head.Parameters.ToDictionary(pair => pair.Key, pair => Values(pair.Value), StringComparer.Ordinal),
            };
            classifier.Apply(graft, fingerprint);
            return new(classifier, _fineTuned.Columns, graft, _base);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return ScoringSchema.Append(inputSchema, _fineTuned.Columns, _fineTuned.Labels);
    }

    /// <summary>Trains the scores (A.12, step 3) and gives the mask of the best epoch.</summary>
    private (IReadOnlyList<GraftPart> Parts, Dictionary<string, double> Metrics) Train(
        GraftMask mask, TextClassifier classifier, LabeledTexts train, LabeledTexts? validation, IChannel channel)
    {
        var shuffle = new Random(_options.Seed);
        mask.DrawScores(_options.Seed);
        IReadOnlyList<GraftPart> parts = mask.Parts(), bestParts = parts;
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        double best = 0, score = 0;
        int epoch = 0, rows = 0;
        using IProgressChannel progress = _host.StartProgressChannel("Grafting");
        progress.SetHeader(new ProgressHeader(["score"], ["epochs"]), entry =>
        {
            entry.SetProgress(0, epoch, _options.Epochs);
            entry.SetMetric(0, score);
        });
        var clock = Stopwatch.StartNew();
        mask.RequireGradients(true);
        try
        {
            while (epoch < _options.Epochs && !_options.CancellationToken.IsCancellationRequested)
            {
                mask.ApplySoft();
                int[][] batches = Draw(train, shuffle);
                float[] weights = [.. batches.SelectMany(batch => Enumerable.Repeat(1f / (batches.Length * batch.Length), batch.Length))];
                int[] drawn = [.. batches.SelectMany(batch => batch)];
                double loss = FineTuning.Backward(classifier, train, drawn, weights, _options.MaxTokensPerBatch, training: false);
                if (!double.IsFinite(loss))
                {
                    throw new InvalidOperationException($"The loss of epoch {epoch + 1} is {loss}: the weights or the scores are not finite.");
                }

                mask.Step(_options.LearningRate);
                epoch++;
                rows += drawn.Length;
                IReadOnlyList<GraftPart> current = mask.Parts();

                // Scores move for epochs before a coordinate crosses; an unchanged mask needs no second evaluation.
                if (epoch == 1 || !Same(current, parts))
                {
                    mask.ApplyRounded();
                    double training = train.Judge(classifier, [.. Draw(train, shuffle).SelectMany(batch => batch)]);
                    double? held = validation?.Judge(classifier);
                    score = Criterion(training, held);
                    if (score > best)
                    {
                        best = score;
                        bestParts = current;
                        metrics["epoch"] = epoch;
                        metrics["train"] = training;
                        if (held is not null)
                        {
                            metrics["validation"] = held.Value;
                        }
                    }
                }

                parts = current;
                channel.Info(
                    MessageSensitivity.None,
                    $"Epoch {epoch} of {_options.Epochs}: loss {loss:F4}, score {score:F4}, {parts.Sum(part => (long)part.Indices.Length)} parameters.");
                _options.Progress?.Report(new(epoch, _options.Epochs, loss, score, rows / clock.Elapsed.TotalSeconds));
                progress.Checkpoint(score, epoch);
            }
        }
        finally
        {
            mask.RequireGradients(false);
        }

        return (bestParts, metrics);
    }

    private double Criterion(double training, double? validation) => _options.Selection switch
    {
        GraftSelection.Training => training,
        GraftSelection.Validation => validation ?? training,
        _ => training + (validation ?? 0),
    };

    /// <summary>At most <see cref="Options.MaxBatchesPerEpoch"/> micro-batches of freshly shuffled rows.</summary>
    private int[][] Draw(LabeledTexts train, Random shuffle)
    {
        int[] order = [.. Enumerable.Range(0, train.Count)];
        shuffle.Shuffle(order);
        return [.. order.Chunk(_options.BatchSize).Take(_options.MaxBatchesPerEpoch)];
    }

    private static bool Same(IReadOnlyList<GraftPart> left, IReadOnlyList<GraftPart> right) =>
        left.Count == right.Count
        && left.Zip(right).All(pair => pair.First.Name == pair.Second.Name && pair.First.Indices.AsSpan().SequenceEqual(pair.Second.Indices));

    /// <summary>Base and graft use the head that fine-tuning trained.</summary>
    private static void CopyHead(TextClassifier from, TextClassifier to)
    {
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter value) in to.Head.Parameters)
        {
            value.copy_(from.Head.Parameters[name]);
        }
    }

    private static (long[] Shape, float[] Values) Values(Parameter parameter)
    {
        using var scope = NewDisposeScope();
        return (parameter.shape, parameter.detach().to(ScalarType.Float32).cpu().data<float>().ToArray());
    }

    private static void WarnOfOtherChanges(IChannel channel, TextClassifier tuned, TextClassifier pre, HashSet<string> considered)
    {
        string[] others =
        [
            .. pre.Backbone.Parameters.Where(pair => !considered.Contains(pair.Key) && !pair.Value.Equals(tuned.Backbone.Parameters[pair.Key]))
                .Select(pair => pair.Key),
        ];
        if (others.Length > 0)
        {
            channel.Warning(
                MessageSensitivity.None,
                $"Fine-tuning also changed {others.Length} parameters that the graft does not consider, such as {others[0]}; the graft keeps their pre-trained values.");
        }
    }
}
