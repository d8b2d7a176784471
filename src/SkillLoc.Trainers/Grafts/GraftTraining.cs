using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The state shared by all sparsities (base model, encoded rows, and the mask with its ranking of movements) and the training of the mask
/// for each sparsity (methods, A.12).
/// </summary>
internal sealed class GraftTraining : IDisposable
{
    private static readonly Dictionary<string, string> NoIdentity = [];

    private readonly ComponentHost _host;
    private readonly CancellationWatch _cancellation;
    private readonly int _seed;
    private readonly IChannel _channel;
    private readonly GraftMaskEstimator.Options _options;
    private readonly string _base;
    private readonly TextClassifier _tuned;
    private readonly TextClassifier? _folded;
    private readonly TextClassifier _classifier;
    private readonly string _fingerprint;
    private readonly string[] _considered;
    private readonly EncodedDataset _train;
    private readonly EncodedDataset? _validation;
    private readonly GraftMask _mask;
    private Dictionary<string, string>? _identity;
    private RunRecord? _record;
    private bool _handedOver;

    /// <param name="host">The estimator's.</param>
    /// <param name="channel">The estimator's.</param>
    /// <param name="options">The options.</param>
    /// <param name="sparsities">All sparsities to be used, which share a seed.</param>
    /// <param name="input">The training view.</param>
    public GraftTraining(
        ComponentHost host,
        IChannel channel,
        GraftMaskEstimator.Options options,
        IReadOnlyList<double> sparsities,
        Microsoft.ML.IDataView input
    )
    {
        _host = host;
        _channel = channel;
        _options = options = options.WithSeed(host, sparsities);
        _seed = options.Seed!.Value;
        _base = host.Find(options.BaseCheckpoint ?? options.FineTuned!.BaseCheckpoint!, options.CancellationToken);
        _tuned = options.FineTuned!.Classifier;
        ParameterSelection selection = options.Considered ?? _tuned.Settings.Trained ?? new ParameterSelection();
        _considered = [.. selection.Of(_tuned.Backbone)];
        if (_considered.Length == 0)
        {
            throw new InvalidOperationException("No parameter is considered: Options.Considered fixes all of them.");
        }

        var outputs = new RunOutputs();
        outputs.AddFolder(
            nameof(options.StateFolder),
            options.StateFolder,
            RunOutputs.BytesOf(_considered.Select(name => _tuned.Backbone.Parameters[name]))
        );
        outputs.AddLog(nameof(options.RecordPath), options.RecordPath);
        outputs.Check();
        if (options.BasePatch == BasePatchKind.Layer && options.PatchLayer >= _tuned.Backbone.Config.Layers)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options),
                options.PatchLayer,
                $"Options.PatchLayer counts from 0; the model has {_tuned.Backbone.Config.Layers} layers."
            );
        }

        if (_tuned.Settings.Tuning is { } tuning)
        {
            // What LoRA learnt is a change of the weights that it works on; other methods add to the model what no weight could hold.
            _folded = _tuned.Folded();
            _tuned = _folded;
            if (_tuned.Settings.Tuning is not null)
            {
                _folded.Dispose();
                throw new NotSupportedException(
                    $"A graft is made of the model's own parameters, and {tuning.GetType().Name} trained others."
                );
            }
        }

        // Weights that change in place are not shared with the fine-tuned model.
        IReadOnlyList<Graft> earlier = options.BaseGrafts ?? [];
        var changes = new HashSet<string>(_considered, StringComparer.Ordinal);
        var own = new HashSet<string>(_considered.Concat(earlier.SelectMany(graft => graft.Changed)), StringComparer.Ordinal);
        try
        {
            _classifier = TextClassifier.Create(
                _base,
                _tuned.Settings,
                _tuned.Backbone.Device,
                _tuned.Backbone.Dtype,
                shareWeightsWith: _tuned,
                canShare: name => !own.Contains(name)
            );
            ScoringColumns columns = options.FineTuned.Columns;
            _train = options.Weighting.Read(input, columns, options.LabelColumnName, _tuned, "training data");
            _validation = options.ValidationSet is { } set
                ? EncodedDataset.Read(set, columns, options.LabelColumnName, _tuned, "validation data")
                : null;
            _classifier.Head.CopyFrom(_tuned.Head);
            _fingerprint = _classifier.Backbone.Fingerprint();
            foreach (Graft graft in earlier)
            {
                graft.MergeInto(_classifier.Backbone, _fingerprint);
            }

            CheckMovement();
            _mask = new(_classifier.Backbone, _tuned.Backbone, _considered, options.SigmoidBias, options.Outside, earlier);
            WarnOfOtherChanges(changes);
            _cancellation = host.Watch(options.CancellationToken);
        }
        catch
        {
            _mask?.Dispose();
            _classifier?.Dispose();
            _folded?.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _cancellation.Dispose();
        _mask.Dispose();
        _folded?.Dispose();
        if (!_handedOver)
        {
            _classifier.Dispose();
        }
    }

    /// <summary>Ranks movements once for the largest of several sparsities.</summary>
    public void Rank(double largestSparsity)
    {
        if (_options.BasePatch == BasePatchKind.HighestMovement)
        {
            _mask.RankMovement(largestSparsity);
        }
    }

    /// <summary>Trains the mask for a sparsity. The model has its base weights before and after.</summary>
    public Graft Find(double sparsity)
    {
        var clock = Stopwatch.StartNew();
        (IReadOnlyList<GraftPart> parts, IReadOnlyDictionary<string, double> metrics) = Train(sparsity);
        bool counted = _options.BasePatch is BasePatchKind.HighestMovement or BasePatchKind.Random or BasePatchKind.Empty;
        var graft = new Graft
        {
            BaseFingerprint = _fingerprint,
            Task = _tuned.Settings.Task,
            Settings = SettingsWith(parts).ToJson(),
            Sparsity = counted ? sparsity : (double)_mask.BaseCount / _mask.Count,
            ConsideredCount = _mask.Count,
            Metrics = metrics,
            Parts = parts,
            HeadParameters = _classifier.Head.Values(),
            Outside = _options.Outside,
            Considered = _options.Outside == GraftOutside.Zero ? _considered : [],
        };
        _record = Record(graft, sparsity, clock.Elapsed);
        if (_options.RecordPath is { } log && !_cancellation.IsRequested)
        {
            RunOutputs.Try(_channel, $"The graft's record ({log})", () => RunRecord.Append(log, _record));
        }

        return graft;
    }

    private RunRecord Record(Graft graft, double sparsity, TimeSpan time)
    {
        var run = new RunDescription(_options, nameof(_options.StateInterval));
        run.Put(nameof(_options.Sparsity), sparsity);
        run.Put(nameof(_options.PatchFile), _options.PatchFile);
        run.Put(nameof(_options.ExampleWeightColumnName), _options.ExampleWeightColumnName);
        run.Put(nameof(_options.ClassWeights), _options.ClassWeights);
        run.Put(
            nameof(_options.BaseGrafts),
            _options.BaseGrafts is { Count: > 0 } earlier ? Hash(earlier.Select(graft => graft.Fingerprint())) : null
        );
        return new()
        {
            Kind = "graft",
            Task = graft.Task,
            Checkpoint = _base,
            Fingerprint = _fingerprint,
            Rows = _train.Count,
            Steps = _options.Epochs,
            Seconds = time.TotalSeconds,
            Options = run,
            Metrics = new Dictionary<string, double>(graft.Metrics, StringComparer.Ordinal)
            {
                ["parameters"] = graft.Count,
                ["share"] = graft.Share,
            },
        };
    }

    /// <summary>Returns the model with a graft applied; no further grafts can be found.</summary>
    public GraftTransformer Finish(Graft graft)
    {
        _classifier.Apply(graft, _fingerprint);
        if (ClassifierSettings.FromJson(graft.Settings, "the graft").Thresholds is { } thresholds)
        {
            _classifier.SetThresholds(thresholds);
        }

        _handedOver = true;
        return new(_classifier, _options.FineTuned!.Columns, graft, _base, _options.BaseGrafts) { Host = _host, Record = _record };
    }

    /// <summary>The metrics of the base model, earlier grafts included, on the rows of <see cref="Measure(Graft)"/>.</summary>
    public GraftQuality MeasureBase() => Evaluate(_classifier);

    /// <summary>The metrics of the fine-tuned model.</summary>
    public GraftQuality MeasureFineTuned() => Evaluate(_tuned);

    /// <summary>The metrics of a graft: one epoch's number of training rows, always the same, and the whole validation set.</summary>
    public GraftQuality Measure(Graft graft)
    {
        // A mask that was not trained has been measured on these rows already.
        return graft.Metrics.GetValueOrDefault("epoch", -1) == 0
            ? new(graft.Metrics["train"], graft.Metrics.TryGetValue("validation", out double validation) ? validation : null)
            : MeasureApplied(graft);
    }

    private GraftQuality MeasureApplied(Graft graft)
    {
        using GraftSwitch applied = graft.Apply(_classifier.Backbone, _fingerprint);
        return Evaluate(_classifier);
    }

    /// <summary>The fine-tuned model's settings; the grafted model has thresholds of its own, chosen on the validation rows.</summary>
    private ClassifierSettings SettingsWith(IReadOnlyList<GraftPart> parts)
    {
        if (!_tuned.Settings.IsMultiLabel || _validation is null)
        {
            return _tuned.Settings;
        }

        using GraftSwitch applied = GraftOf(parts).Apply(_classifier.Backbone, _fingerprint);
        return _tuned.Settings with
        {
            Thresholds = LabelThresholds.Choose(
                _classifier.Score(_validation.Texts),
                [.. _validation.Targets.Select(target => target.LabelSet)]
            ),
        };
    }

    /// <summary>A graft of given coordinates, without anything else.</summary>
    private Graft GraftOf(IReadOnlyList<GraftPart> parts) =>
        new()
        {
            BaseFingerprint = _fingerprint,
            Parts = parts,
            Outside = _options.Outside,
            Considered = _considered,
        };

    private GraftQuality Evaluate(TextClassifier classifier) =>
        new(
            _train.Metric(
                classifier,
                [.. GraftScoreTraining.Draw(GraftScoreTraining.Draws(_seed, epoch: 0), _train.Count, _options).SelectMany(batch => batch)]
            ),
            _validation?.Metric(classifier)
        );

    private (IReadOnlyList<GraftPart> Parts, IReadOnlyDictionary<string, double> Metrics) Train(double sparsity)
    {
        _mask.Limit = _options.WithinSparsity ? (long)Math.Floor(sparsity * _mask.Count) : null;
        string? file = _options.StateFile(sparsity);
        GraftMaskState? stored = File.Exists(file) ? GraftMaskState.Load(file, _mask, Identity(sparsity)) : null;
        if (stored is null)
        {
            _mask.ClearScores();
            SetBasePatch(sparsity);
        }

        _channel.Info(
            MessageSensitivity.None,
            $"Base patch of {_mask.BaseCount} of {_mask.Count} parameters; training on {_train.Count} rows with seed {_seed}."
        );
        if (stored is not null && stored.Epoch >= _options.Epochs)
        {
            _channel.Info(MessageSensitivity.None, $"{file} has done {stored.Epoch} epochs; its best mask is taken.");
            return (stored.Best, stored.Metrics);
        }

        if (_options.Epochs == 0)
        {
            IReadOnlyList<GraftPart> patch = _mask.Parts();
            return (patch, MeasureApplied(GraftOf(patch)).Metrics(0));
        }

        if (stored is null)
        {
            _mask.DrawScores(_seed);
        }
        else
        {
            _channel.Info(MessageSensitivity.None, $"{file} has done {stored.Epoch} epochs; going on.");
        }

        return TrainScores(sparsity, file, stored);
    }

    private void SetBasePatch(double sparsity)
    {
        switch (_options.BasePatch)
        {
            case BasePatchKind.HighestMovement:
                _mask.SetBasePatch(sparsity);
                break;
            case BasePatchKind.Random:
                _mask.SetRandomBasePatch(sparsity, _seed);
                break;
            case BasePatchKind.Biases:
                _mask.SetBasePatch(name => name.EndsWith("bias", StringComparison.Ordinal));
                break;
            case BasePatchKind.Layer:
                _mask.SetBasePatch(name =>
                    ParameterPlace.Of(name) is { Region: ParameterRegion.Layer } place && place.Layer == _options.PatchLayer
                );
                break;
            case BasePatchKind.Loaded:
                _mask.ReadBasePatch(_options.PatchFile!, _fingerprint);
                break;
            default:
                _mask.SetBasePatch(_ => false);
                break;
        }

        if (_mask.BaseCount == 0 && _options.BasePatch is BasePatchKind.Biases or BasePatchKind.Layer)
        {
            throw new InvalidOperationException($"Options.BasePatch is {_options.BasePatch}, and none of its parameters is considered.");
        }
    }

    /// <summary>Trains the scores (methods, A.12, step 3) and returns the mask of the best epoch.</summary>
    private (IReadOnlyList<GraftPart> Parts, IReadOnlyDictionary<string, double> Metrics) TrainScores(
        double sparsity,
        string? file,
        GraftMaskState? stored
    )
    {
        var scores = new GraftScoreTraining(
            _mask,
            _classifier,
            _train,
            _validation,
            _options,
            _seed,
            stored,
            file is null ? NoIdentity : Identity(sparsity),
            Write
        );
        TrainingState state;
        _mask.RequireGradients(true);
        try
        {
            state = new TrainingLoop(_host, _channel)
            {
                Name = "Grafting",
                Unit = "epoch",
                Steps = _options.Epochs,
                StateInterval = _options.StateInterval,
                LaterWins = false,
                Cancellation = _options.CancellationToken,
            }.Run(scores);
            scores.Save(state);
        }
        finally
        {
            _mask.RequireGradients(false);
            _mask.Reset();
        }

        if (state.Best is not { Metric: > 0 })
        {
            _channel.Warning(
                MessageSensitivity.None,
                state.Best is { } best
                    ? $"The score never rose above 0: the best mask is that of epoch {best.Step}, with {best.Metric:F4}."
                    : "No epoch was evaluated, so the graft is the base patch, without metrics."
            );
        }

        return (scores.Best, scores.Metrics);

        bool Write(GraftMaskState written) =>
            file is not null
            && RunOutputs.Try(
                _channel,
                $"The state of the mask's training ({file})",
                () =>
                {
                    Directory.CreateDirectory(_options.StateFolder!);
                    written.Save(file, _mask);
                }
            );
    }

    /// <summary>Returns the fingerprints of everything that the training for a sparsity depends on.</summary>
    private Dictionary<string, string> Identity(double sparsity)
    {
        _identity ??= new(StringComparer.Ordinal)
        {
            ["base weights"] = Hash([_fingerprint, .. (_options.BaseGrafts ?? []).Select(graft => graft.Fingerprint())]),
            ["fine-tuned weights"] = _tuned.Fingerprint(),
            ["training rows"] = RunFingerprint.Of(_train),
            ["validation rows"] = _validation is null ? "none" : RunFingerprint.Of(_validation),
        };
        return new(_identity, StringComparer.Ordinal)
        {
            ["options"] = Hash([
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{sparsity:R} {_options.BasePatch} {_options.PatchLayer} {_options.Outside} {_options.LearningRate:R} "
                        + $"{_options.SigmoidBias:R} "
                        + $"{_options.BatchSize} {_options.MaxBatchesPerEpoch} {_options.Selection} {_options.WithinSparsity} {_seed}"
                ),
                _options.PatchFile is { } patch ? Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(patch))) : "",
                _tuned.Settings.ToJson(),
                .. _considered,
                .. _options.Penalty == MaskPenalty.None
                    ? Array.Empty<string>()
                    : [FormattableString.Invariant($"{_options.Penalty} {_options.PenaltyStrength:R}")],
            ]),
        };
    }

    private static string Hash(IEnumerable<string> parts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts))));

    /// <summary>Throws if base and fine-tuned model are equal, where every graft would be perfect.</summary>
    /// <exception cref="InvalidOperationException">No considered parameter differs from the base.</exception>
    private void CheckMovement()
    {
        if (_considered.All(name => _classifier.Backbone.Parameters[name].Equals(_tuned.Backbone.Parameters[name])))
        {
            throw new InvalidOperationException(
                $"The fine-tuned model has the very weights of its base {_base}, so there is nothing to localise: either nothing was "
                    + "trained, or "
                    + "the base was overwritten with the fine-tuned model. Name the checkpoint that fine-tuning started from in "
                    + "Options.BaseCheckpoint."
            );
        }
    }

    private void WarnOfOtherChanges(HashSet<string> considered)
    {
        string[] others =
        [
            .. _classifier
                .Backbone.Parameters.Where(pair =>
                    !considered.Contains(pair.Key) && !pair.Value.Equals(_tuned.Backbone.Parameters[pair.Key])
                )
                .Select(pair => pair.Key),
        ];
        if (others.Length > 0)
        {
            _channel.Warning(
                MessageSensitivity.None,
                $"Fine-tuning also changed {others.Length} parameters that the graft does not consider, such as {others[0]}; the "
                    + "graft keeps their pre-trained values."
            );
        }
    }
}
