using System.Diagnostics;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The fine-tuning loop (methods, A.9), for one task or, in turns, for several over one backbone (methods, A.13).
/// </summary>
internal sealed class FineTuning : IDisposable
{
    /// <summary>A mean loss below this counts as no improvement (methods, C.2).</summary>
    private const double LeastLoss = 1e-7;

    private const string BestName = "best";
    private const string LastName = "last";
    private const string NumberedPrefix = "ckpt_";

    private readonly PromptFineTuneTrainer.Options _options;
    private readonly TextClassifier[] _classifiers;
    private readonly TextClassifier[] _passes;
    private readonly ComponentHost _host;
    private readonly IChannel _channel;
    private readonly int _seed;
    private readonly DropoutDraws _dropout;
    private readonly TrainedParameter[] _trained;

    /// <summary>
    /// Parameters with gradients (trained ones, or all for the norm), each with its counterparts in the passes other than the master
    /// itself: a copy of another type, and the views of other tasks on the same storage.
    /// </summary>
    private readonly (Parameter Master, Parameter[] Passes)[] _differentiated;

    /// <summary>Trained parameters, each with its first counterpart, whose storage the others share.</summary>
    private readonly (Parameter Master, Parameter Pass)[] _given;

    /// <summary>Parameters in the gradient norm.</summary>
    private readonly Parameter[] _clipped;

    /// <param name="options">The options, with a seed.</param>
    /// <param name="classifiers">The classifiers of the tasks; all share the storage of the first.</param>
    /// <param name="host">The trainer's.</param>
    /// <param name="channel">The trainer's.</param>
    public FineTuning(
        PromptFineTuneTrainer.Options options, IReadOnlyList<TextClassifier> classifiers, ComponentHost host, IChannel channel)
    {
        _options = options;
        _seed = options.Seed!.Value;
        _classifiers = [.. classifiers];
        TextClassifier classifier = _classifiers[0];
        _host = host;
        _channel = channel;
        foreach (TextClassifier each in _classifiers)
        {
            each.Backbone.Dropout = options.Dropout;
        }

        _trained = CoordinateMask.Apply(options, _classifiers);
        (string Name, Parameter Master)[] differentiated = [.. _trained.Select(parameter => (parameter.Name, parameter.Weight))];
        _clipped = [.. _trained.Select(parameter => parameter.Value)];
        if (options.ClipOverAllParameters)
        {
            var names = _trained.Select(parameter => parameter.Name).ToHashSet(StringComparer.Ordinal);
            (string, Parameter Weight)[] others =
                [.. classifier.Backbone.Parameters.Where(pair => !names.Contains(pair.Key)).Select(pair => (pair.Key, pair.Value))];
            differentiated = [.. differentiated, .. others];
            _clipped = [.. _clipped, .. others.Select(pair => pair.Weight)];
        }

        foreach (TrainedParameter parameter in _trained)
        {
            if (options.L1 > 0 && parameter.IsAnchored)
            {
                parameter.Anchor();
            }

            parameter.AddMoments(options.Optimizer);
        }

        // The classifiers' own weights are the float32 masters; a bfloat16 copy runs the passes.
        _passes = _classifiers;
        if (options.Precision == Precision.BFloat16)
        {
            TextClassifier copy = classifier.Clone(dtype: ScalarType.BFloat16);
            _passes = [copy, .. _classifiers.Skip(1).Select(each => copy.ForTask(each.Settings))];
        }

        ILookup<string, Parameter> passes = _passes.SelectMany(Named).ToLookup(pair => pair.Name, pair => pair.Value, StringComparer.Ordinal);
        _differentiated =
        [
            .. differentiated.Select(pair => (pair.Master, passes[pair.Name].Where(pass => !ReferenceEquals(pass, pair.Master)).ToArray())),
        ];
        _given = HasMasters ? [.. _trained.Select(parameter => (parameter.Weight, passes[parameter.Name].First()))] : [];
        _dropout = new(_passes.Select(pass => pass.Backbone));
        GiveWeights();
    }

    private bool HasMasters => !ReferenceEquals(_passes, _classifiers);

    public void Dispose()
    {
        _dropout.Dispose();
        foreach (TrainedParameter parameter in _trained)
        {
            parameter.Dispose();
        }

        if (HasMasters)
        {
            Array.ForEach(_passes, pass => pass.Dispose());
        }
    }

    /// <summary>Returns the names of the checkpoints that a policy writes into a folder; for numbered ones, those that already
    /// exist.</summary>
    public static IEnumerable<string> NamesOf(CheckpointPolicy policy, string folder)
    {
        if (policy.HasFlag(CheckpointPolicy.Best))
        {
            yield return BestName;
        }

        if (policy.HasFlag(CheckpointPolicy.Last))
        {
            yield return LastName;
        }

        if (policy.HasFlag(CheckpointPolicy.Every) && Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateDirectories(folder, NumberedPrefix + "*"))
            {
                yield return Path.GetFileName(path);
            }
        }
    }

    /// <summary>Trains from the start or a saved state, and leaves the kept state in the classifier.</summary>
    /// <param name="train">Each task's rows.</param>
    /// <param name="validation">The validation rows of each task, whose metrics are averaged; null for none.</param>
    /// <param name="stateFile">The state file; null for none.</param>
    /// <returns>The final state.</returns>
    public TrainingState Run(IReadOnlyList<EncodedDataset> train, IReadOnlyList<EncodedDataset>? validation, TrainingStateFile? stateFile)
    {
        int microBatches = train.Sum(rows => (rows.Count + _options.BatchSize - 1) / _options.BatchSize);
        int updatesPerEpoch = Math.Max(1, microBatches / _options.GradientAccumulationSteps);
        int steps = _options.MaxSteps ?? (_options.Epochs * updatesPerEpoch);
        if (_options.CartographyPath is not null && steps < updatesPerEpoch)
        {
            throw new InvalidOperationException(
                $"Options.CartographyPath is written after each complete epoch, and training ends after {steps} of the {updatesPerEpoch} updates of "
                + "the first. Train longer, or leave it out.");
        }

        using var outer = NewDisposeScope();
        TrainingState state = Resume(stateFile, steps);
        double secondsBefore = state.Seconds;
        if (state.Epochs.Count > 0)
        {
            // The file may be gone, or be ahead of the state.
            SaveCartography(state, train[0]);
        }

        foreach ((Parameter master, Parameter[] passes) in _differentiated)
        {
            master.requires_grad_(true);
            Array.ForEach(passes, pass => pass.requires_grad_(true));
        }

        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        using IProgressChannel progress = _host.StartProgressChannel("Fine-tuning");
        progress.SetHeader(new ProgressHeader(["loss", "metric"], ["updates"]), entry =>
        {
            entry.SetProgress(0, state.Step, steps);
            entry.SetMetric(0, state.Loss);
            entry.SetMetric(1, state.Metric ?? double.NaN);
        });
        var clock = Stopwatch.StartNew();
        (int Task, int[] Rows)[] batches = [];
        int shuffled = -1;
        try
        {
            while (state.Step < steps && !IsStale(state) && !cancellation.IsRequested)
            {
                int epoch = state.Step / updatesPerEpoch, update = state.Step % updatesPerEpoch;
                if (epoch != shuffled)
                {
                    batches = Shuffle(train, epoch);
                    shuffled = epoch;
                }

                (int Task, int[] Rows)[] group = [.. batches.Skip(update * _options.GradientAccumulationSteps).Take(_options.GradientAccumulationSteps)];
                state.Loss = Update(train, group, epoch, state.Step, steps);
                state.LossSum += state.Loss;
                state.Step++;
                state.Rows += group.Sum(part => part.Rows.Length);
                if (!double.IsFinite(state.Loss))
                {
                    throw new InvalidOperationException(
                        $"Training diverged: the loss of update {state.Step} is {state.Loss}. Lower the learning rate ({_options.LearningRate}).");
                }

                if (state.Step % _options.EvaluationInterval == 0 || state.Step == steps)
                {
                    Evaluate(state, steps, validation);
                }

                if (_options.CartographyPath is not null && state.Step % updatesPerEpoch == 0)
                {
                    Record(state, train[0]);
                    SaveCartography(state, train[0]);
                }

                state.Seconds = secondsBefore + clock.Elapsed.TotalSeconds;
                if (state.Step % _options.StateInterval == 0)
                {
                    SaveState(stateFile, state);
                }

                _options.Progress?.Report(new(state.Step, steps, state.Loss, state.Metric, state.Rows / state.Seconds));
                progress.Checkpoint(state.Loss, state.Metric, state.Step);
            }

            state.IsComplete = state.Step == steps || IsStale(state);
            if (!state.IsComplete)
            {
                SaveState(stateFile, state);
            }
        }
        finally
        {
            foreach ((Parameter master, Parameter[] passes) in _differentiated)
            {
                foreach (Parameter parameter in passes.Prepend(master))
                {
                    parameter.requires_grad_(false);
                    parameter.grad = null!;
                }
            }
        }

        if (_options.Checkpoints.HasFlag(CheckpointPolicy.Last))
        {
            SaveCheckpoint(LastName);
        }

        if (_options.Keep == KeptState.Best)
        {
            foreach (TrainedParameter parameter in _trained)
            {
                parameter.RestoreBest();
            }
        }

        return state;
    }

    private TrainingState Resume(TrainingStateFile? stateFile, int steps)
    {
        if (stateFile?.Load(_trained, steps) is not { } state)
        {
            return new();
        }

        GiveWeights();
        _channel.Info(MessageSensitivity.None, $"Going on after update {state.Step} of {steps}, from {_options.StateFile}.");
        return state;
    }

    /// <summary>
    /// Micro-batches of an epoch, each of one task. As for dropout, the randomness depends only on the seed and the step, so that a resumed
    /// run equals an uninterrupted one.
    /// </summary>
    private (int Task, int[] Rows)[] Shuffle(IReadOnlyList<EncodedDataset> train, int epoch)
    {
        var random = new Random((int)Derive(_seed, 1, epoch));
        (int Task, int[] Rows)[] batches = [.. train.SelectMany((rows, task) =>
        {
            int[] order = [.. Enumerable.Range(0, rows.Count)];
            random.Shuffle(order);
            order = _options.Sampling == RowSampling.Balanced ? Balance(order, rows, random) : order;
            return order.Chunk(_options.BatchSize).Select(part => (task, part));
        })];
        if (train.Count > 1)
        {
            random.Shuffle(batches);
        }

        return batches;
    }

    /// <summary>Balances shuffled rows by label; rows of rare labels are repeated.</summary>
    private static int[] Balance(int[] shuffled, EncodedDataset rows, Random random)
    {
        int[][] byLabel = [.. shuffled.GroupBy(row => rows.Targets[row].Label).OrderBy(group => group.Key).Select(group => group.ToArray())];
        random.Shuffle(byLabel);

        // The labels that are shuffled first get what the division leaves over.
        int[] drawn = [.. Enumerable.Range(0, shuffled.Length).Select(i => byLabel[i % byLabel.Length][i / byLabel.Length % byLabel[i % byLabel.Length].Length])];
        random.Shuffle(drawn);
        return drawn;
    }

    private void Evaluate(TrainingState state, int steps, IReadOnlyList<EncodedDataset>? validation)
    {
        if (validation is not null)
        {
            double metric = validation.Zip(_classifiers, (rows, classifier) => rows.Metric(classifier)).Average();
            state.Metric = metric;
            _channel.Info(MessageSensitivity.None, $"Update {state.Step} of {steps}: loss {state.Loss:F4}, validation {metric:F4}.");

            // Of equal metrics the later counts as better, as in the paper's code; a mean loss below LeastLoss as no improvement.
            bool isBest = state.Best is not { } best || metric >= best.Metric;
            int updates = state.Step - ((state.Step - 1) / _options.EvaluationInterval * _options.EvaluationInterval);
            state.Stale = isBest && state.LossSum / updates >= LeastLoss ? 0 : state.Stale + 1;
            state.LossSum = 0;
            if (isBest)
            {
                state.Best = (metric, state.Step);
                if (_options.Keep == KeptState.Best)
                {
                    foreach (TrainedParameter parameter in _trained)
                    {
                        parameter.KeepAsBest();
                    }
                }

                if (_options.Checkpoints.HasFlag(CheckpointPolicy.Best))
                {
                    SaveCheckpoint(BestName);
                }
            }
        }

        int evaluation = (state.Step + _options.EvaluationInterval - 1) / _options.EvaluationInterval;
        if (_options.Checkpoints.HasFlag(CheckpointPolicy.Every) && evaluation % _options.CheckpointInterval == 0)
        {
            SaveCheckpoint($"{NumberedPrefix}{state.Step}");
        }
    }

    /// <summary>Whether training stops early, since the validation metric has not improved.</summary>
    private bool IsStale(TrainingState state) => state.Stale >= _options.Patience;

    /// <summary>Scores the training rows after an epoch.</summary>
    private void Record(TrainingState state, EncodedDataset train)
    {
        TextClassifier classifier = _classifiers[0];
        var now = new EpochScores(classifier.Task.Confidence(classifier, train.Texts, train.Targets));
        if (now.Confidence.Any(float.IsNaN))
        {
            throw new InvalidOperationException(
                $"Training diverged: after update {state.Step} a row's scores are NaN. Lower the learning rate ({_options.LearningRate}).");
        }

        state.Epochs.Add(now);
    }

    /// <summary>Writes the training dynamics of all epochs.</summary>
    private void SaveCartography(TrainingState state, EncodedDataset train)
    {
        var dynamics = new TrainingDynamics();
        foreach (EpochScores epoch in state.Epochs)
        {
            for (int i = 0; i < train.Count; i++)
            {
                dynamics.Add(train.Numbers[i], epoch.Right[i], epoch.Confidence[i]);
            }
        }

        string path = Path.GetFullPath(_options.CartographyPath!);
        RunOutputs.Try(_channel, $"What became of the training rows ({path})", () =>
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            dynamics.Save(path);
        });
    }

    private void SaveState(TrainingStateFile? file, TrainingState state)
    {
        if (file is not null)
        {
            RunOutputs.Try(_channel, $"The state of the training ({_options.StateFile})", () => file.Save(state, _trained));
        }
    }

    private void SaveCheckpoint(string name)
    {
        if (_options.CheckpointFolder is { } folder)
        {
            string path = Path.Join(folder, name);
            RunOutputs.Try(_channel, $"The checkpoint ({path})", () =>
            {
                Directory.CreateDirectory(folder);
                _classifiers[0].Save(path);
            });
        }
    }

    /// <summary>
    /// One update. The rows of all its micro-batches of a task are regrouped by length and weighted 1 / (micro-batches x rows of their own
    /// micro-batch), which gives the same gradient as one pass per micro-batch with far less padding. In text-to-text tasks, all tokens
    /// have equal weight: 1 / (micro-batches x tokens of its micro-batch). One of several answers is drawn for each use of a row.
    /// </summary>
    /// <returns>The loss, including the penalty.</returns>
    private double Update(IReadOnlyList<EncodedDataset> train, (int Task, int[] Rows)[] group, int epoch, int step, int steps)
    {
        foreach ((Parameter master, _) in _differentiated)
        {
            master.grad = null!;
        }

        double loss = 0;
        _dropout.Run(Derive(_seed, 2, step), () =>
        {
            foreach (IGrouping<int, int[]> parts in group.GroupBy(part => part.Task, part => part.Rows))
            {
                int[] rows = [.. parts.SelectMany(part => part)];
                RowTarget[] targets = Targets(train[parts.Key], rows, _seed, epoch);
                float[] weights = Weights(train[parts.Key], parts, _options.GradientAccumulationSteps, targets);
                loss += Backward(_passes[parts.Key], train[parts.Key], rows, weights, _options.MaxTokensPerBatch, training: true, targets);
                TakeGradients();
            }
        });

        foreach (TrainedParameter parameter in _trained)
        {
            parameter.TakeGradient();
        }

        if (_options.L1 > 0)
        {
            loss += Anchor();
        }

        if (_options.MaxGradientNorm > 0)
        {
            nn.utils.clip_grad_norm_(_clipped, _options.MaxGradientNorm);
        }

        ParameterUpdate.Apply(
            _options.Optimizer, _trained, ParameterUpdate.Rate(_options, step, steps), _options.WeightDecay, step + 1);
        foreach (TrainedParameter parameter in _trained)
        {
            parameter.GiveValue();
        }

        GiveWeights();
        return loss;
    }

    /// <summary>The targets of rows in a pass over the data; of several answers one is drawn for each row.</summary>
    public static RowTarget[] Targets(EncodedDataset train, IReadOnlyList<int> rows, int seed, int pass) =>
        train.TargetsOf(rows, row => Derive((int)Derive(seed, 3, pass), 3, row));

    /// <summary>Returns the weights of an update's rows, in order; see <see cref="Update"/>.</summary>
    /// <param name="train">What the rows are of, which may weigh them too.</param>
    /// <param name="microBatches">The rows of micro-batches.</param>
    /// <param name="count">The number of micro-batches of the update.</param>
    /// <param name="targets">The result of <see cref="Targets"/> for the rows.</param>
    public static float[] Weights(EncodedDataset train, IEnumerable<int[]> microBatches, int count, RowTarget[] targets)
    {
        var weights = new List<float>();
        foreach (int[] part in microBatches)
        {
            int[] tokens = [.. part.Select((_, i) => Math.Max(1, train.Task.TokensOf(targets[weights.Count + i])))];
            float all = count * tokens.Sum();
            weights.AddRange(tokens.Select((number, i) => number / all * (train.Weights.Length > 0 ? train.Weights[part[i]] : 1)));
        }

        return [.. weights];
    }

    /// <summary>Adds the L1 penalty to the gradients, without a graph.</summary>
    /// <returns>The penalty term.</returns>
    private double Anchor()
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] sums = [.. _trained.Where(parameter => parameter.IsAnchored).Select(parameter => parameter.Pull(_options.L1))];
        return sums.Length == 0 ? 0 : _options.L1 * stack(sums).sum().item<float>();
    }

    /// <summary>Returns the parameters of a task by their training names.</summary>
    private static IEnumerable<(string Name, Parameter Value)> Named(TextClassifier classifier, int task)
    {
        IReadOnlyDictionary<string, Parameter> backbone = classifier.Backbone.Parameters, head = classifier.Head.Parameters;
        return backbone.Select(pair => (pair.Key, pair.Value))
            .Concat(head.Select(pair => (CoordinateMask.HeadName(pair.Key, task), pair.Value)))
            .Concat(classifier.TunedParameters
                .Where(pair => !backbone.ContainsKey(pair.Key) && !head.ContainsKey(pair.Key)).Select(pair => (pair.Key, pair.Value)));
    }

    /// <summary>Accumulates the gradients of the passes in the masters.</summary>
    private void TakeGradients()
    {
        using var scope = NewDisposeScope();
        foreach ((Parameter master, Parameter[] passes) in _differentiated)
        {
            foreach (Parameter pass in passes)
            {
                if (pass.grad is { } gradient)
                {
                    gradient = gradient.to(master.dtype);
                    if (master.grad is { } sum)
                    {
                        sum.Add_(gradient);
                    }
                    else
                    {
                        master.grad = gradient;
                    }

                    pass.grad = null!;
                }
            }
        }
    }

    /// <summary>Copies the masters to the weights of the passes, if these differ.</summary>
    private void GiveWeights()
    {
        using IDisposable noGradients = no_grad();
        foreach ((Parameter master, Parameter pass) in _given)
        {
            pass.copy_(master);
        }
    }

    /// <summary>Adds the gradients of a weighted sum of the rows' losses (<see cref="TextTask.Losses"/>) to the parameters.</summary>
    /// <param name="classifier">The model.</param>
    /// <param name="data">What the rows are of.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="weights">Their weights.</param>
    /// <param name="maxTokens">Padded tokens in one pass; null chooses a size that suits the device.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="targets">What the rows should be predicted as.</param>
    /// <returns>The weighted sum, in nats.</returns>
    public static double Backward(
        TextClassifier classifier, EncodedDataset data, int[] rows, float[] weights, int? maxTokens, bool training, RowTarget[] targets)
    {
        double loss = 0;
        Device device = classifier.Backbone.Device;
        int tokens = maxTokens ?? LengthBatches.SuitableTokens(device);
        foreach (int[] part in LengthBatches.Split([.. rows.Select((row, i) => classifier.TokensOf(data.Texts[row]) + data.Task.TokensOf(targets[i]))], tokens))
        {
            using var scope = NewDisposeScope();
            using TokenBatch batch = classifier.Batch([.. part.Select(i => data.Texts[rows[i]])]);
            Tensor weight = tensor(part.Select(i => weights[i]).ToArray(), device: device);
            Tensor losses = data.Task.Losses(classifier, batch, [.. part.Select(i => targets[i])], training);
            Tensor sum = (losses * weight).sum();
            sum.backward();
            loss += sum.item<float>();
        }

        return loss;
    }

    /// <summary>Derives a seed for each use and step, mixed by SplitMix64's finaliser.</summary>
    public static uint Derive(int seed, uint use, int place)
    {
        ulong mixed = (((ulong)(uint)seed << 32) | (uint)place) + (use * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return (uint)(mixed ^ (mixed >> 31));
    }
}
