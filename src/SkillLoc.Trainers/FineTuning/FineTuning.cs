using Microsoft.ML.Runtime;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Fine-tuning (methods, A.9), for one task or, in turns, for several over one backbone (methods, A.13).
/// </summary>
internal sealed class FineTuning : TrainingObjective, IDisposable
{
    private const string BestName = "best";
    private const string LastName = "last";
    private const string NumberedPrefix = "ckpt_";

    private readonly PromptFineTuneTrainer.Options _options;
    private readonly TextClassifier[] _classifiers;
    private readonly ComponentHost _host;
    private readonly IChannel _channel;
    private readonly int _seed;
    private readonly DropoutDraws _dropout;
    private readonly TrainableParameters _parameters;
    private readonly IReadOnlyList<EncodedDataset> _train;
    private readonly IReadOnlyList<EncodedDataset>? _validation;
    private readonly TrainingStateFile? _stateFile;
    private readonly int _updatesPerEpoch;
    private readonly int _steps;
    private (int Task, int[] Rows)[] _batches = [];
    private int _epoch = -1;

    /// <param name="options">The options, with a seed.</param>
    /// <param name="classifiers">The classifiers of the tasks; all share the storage of the first.</param>
    /// <param name="train">Each task's rows.</param>
    /// <param name="validation">The validation rows of each task, whose metrics are averaged; null for none.</param>
    /// <param name="stateFile">The state file; null for none.</param>
    /// <param name="host">The trainer's.</param>
    /// <param name="channel">The trainer's.</param>
    /// <exception cref="InvalidOperationException">Training ends before the first epoch does, which cartography waits for.</exception>
    public FineTuning(
        PromptFineTuneTrainer.Options options,
        IReadOnlyList<TextClassifier> classifiers,
        IReadOnlyList<EncodedDataset> train,
        IReadOnlyList<EncodedDataset>? validation,
        TrainingStateFile? stateFile,
        ComponentHost host,
        IChannel channel
    )
    {
        _options = options;
        _seed = options.Seed!.Value;
        _classifiers = [.. classifiers];
        _train = train;
        _validation = validation;
        _stateFile = stateFile;
        _host = host;
        _channel = channel;
        int microBatches = train.Sum(rows => (rows.Count + options.BatchSize - 1) / options.BatchSize);
        _updatesPerEpoch = Math.Max(1, microBatches / options.GradientAccumulationSteps);
        _steps = options.MaxSteps ?? (options.Epochs * _updatesPerEpoch);
        if (options.CartographyPath is not null && _steps < _updatesPerEpoch)
        {
            throw new InvalidOperationException(
                $"Options.CartographyPath is written after each complete epoch, and training ends after {_steps} of the "
                    + $"{_updatesPerEpoch} updates of "
                    + "the first. Train longer, or leave it out."
            );
        }

        foreach (TextClassifier each in _classifiers)
        {
            each.Backbone.Dropout = options.Dropout;
        }

        _parameters = new(options, _classifiers);
        _dropout = new(_parameters.Passes.Select(pass => pass.Backbone));
    }

    public void Dispose()
    {
        _dropout.Dispose();
        _parameters.Dispose();
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
    /// <returns>The final state.</returns>
    public TrainingState Run()
    {
        using DisposeScope outer = NewDisposeScope();
        TrainingState state;
        try
        {
            _parameters.RequireGradients(true);
            state = new TrainingLoop(_host, _channel)
            {
                Name = "Fine-tuning",
                Steps = _steps,
                EvaluationInterval = _options.EvaluationInterval,
                StateInterval = _options.StateInterval,
                Patience = _options.Patience,
                Cancellation = _options.CancellationToken,
            }.Run(this);
        }
        finally
        {
            _parameters.RequireGradients(false);
        }

        if (_options.Checkpoints.HasFlag(CheckpointPolicy.Last))
        {
            SaveCheckpoint(LastName);
        }

        if (_options.Keep == FinalWeights.Best)
        {
            Array.ForEach(_parameters.Trained, parameter => parameter.RestoreBest());
        }

        return state;
    }

    public override TrainingState? Resume()
    {
        if (_stateFile?.Load(_parameters.Trained, _steps) is not { } state)
        {
            return null;
        }

        _parameters.SyncWeights();
        _channel.Info(MessageSensitivity.None, $"Going on after update {state.Step} of {_steps}, from {_options.StateFile}.");
        if (state.Epochs.Count > 0)
        {
            // The file may be gone, or be ahead of the state.
            SaveCartography(state, _train[0]);
        }

        return state;
    }

    /// <summary>
    /// One update. The rows of all its micro-batches of a task are regrouped by length, which gives the same gradient as one pass per
    /// micro-batch with far less padding. One of several answers is drawn for each use of a row.
    /// </summary>
    /// <returns>The loss, the L1 penalty included.</returns>
    public override double Step(TrainingState state)
    {
        int epoch = state.Step / _updatesPerEpoch,
            update = state.Step % _updatesPerEpoch;
        if (epoch != _epoch)
        {
            _batches = Shuffle(epoch);
            _epoch = epoch;
        }

        (int Task, int[] Rows)[] group =
        [
            .. _batches.Skip(update * _options.GradientAccumulationSteps).Take(_options.GradientAccumulationSteps),
        ];
        state.Rows += group.Sum(part => part.Rows.Length);
        _parameters.ClearGradients();
        double loss = 0;
        _dropout.Run(
            BatchGradients.Derive(_seed, 2, state.Step),
            () =>
            {
                foreach (IGrouping<int, int[]> parts in group.GroupBy(part => part.Task, part => part.Rows))
                {
                    EncodedDataset train = _train[parts.Key];
                    int[] rows = [.. parts.SelectMany(part => part)];
                    RowTarget[] targets = BatchGradients.Targets(train, rows, _seed, epoch);
                    float[] weights = BatchGradients.Weights(train, parts, _options.GradientAccumulationSteps, targets);
                    loss += BatchGradients.Add(
                        _parameters.Passes[parts.Key],
                        train,
                        rows,
                        weights,
                        _options.MaxTokensPerBatch,
                        training: true,
                        targets
                    );
                    _parameters.AccumulateGradients();
                }
            }
        );
        loss += _parameters.FinishGradients(_options.L1, _options.MaxGradientNorm);
        ParameterUpdate.Apply(
            _options.Optimizer,
            _parameters.Trained,
            ParameterUpdate.Rate(_options, state.Step, _steps),
            _options.WeightDecay,
            state.Step + 1
        );
        _parameters.WriteBack();
        return loss;
    }

    public override string Diverged(TrainingState state) =>
        $"Training diverged: the loss of update {state.Step} is {state.Loss}. Lower the learning rate ({_options.LearningRate}).";

    public override double? Validate(TrainingState state) =>
        _validation?.Zip(_classifiers, (rows, classifier) => rows.Metric(classifier)).Average();

    public override void KeepBest(TrainingState state)
    {
        if (_options.Keep == FinalWeights.Best)
        {
            Array.ForEach(_parameters.Trained, parameter => parameter.KeepAsBest());
        }

        if (_options.Checkpoints.HasFlag(CheckpointPolicy.Best))
        {
            SaveCheckpoint(BestName);
        }
    }

    public override void Evaluated(TrainingState state)
    {
        int evaluation = (state.Step + _options.EvaluationInterval - 1) / _options.EvaluationInterval;
        if (_options.Checkpoints.HasFlag(CheckpointPolicy.Every) && evaluation % _options.CheckpointInterval == 0)
        {
            SaveCheckpoint($"{NumberedPrefix}{state.Step}");
        }
    }

    public override void Updated(TrainingState state)
    {
        if (_options.CartographyPath is not null && state.Step % _updatesPerEpoch == 0)
        {
            Record(state, _train[0]);
            SaveCartography(state, _train[0]);
        }
    }

    public override void Save(TrainingState state)
    {
        if (_stateFile is not null)
        {
            RunOutputs.Try(
                _channel,
                $"The state of the training ({_options.StateFile})",
                () => _stateFile.Save(state, _parameters.Trained)
            );
        }
    }

    public override void Report(TrainingState state) =>
        _options.Progress?.Report(new(state.Step, _steps, state.Loss, state.Metric, state.Rows / state.Seconds));

    /// <summary>
    /// Micro-batches of an epoch, each of one task. As for dropout, the randomness depends only on the seed and the step, so that a resumed
    /// run equals an uninterrupted one.
    /// </summary>
    private (int Task, int[] Rows)[] Shuffle(int epoch)
    {
        var random = new Random((int)BatchGradients.Derive(_seed, 1, epoch));
        (int Task, int[] Rows)[] batches =
        [
            .. _train.SelectMany(
                (rows, task) =>
                {
                    int[] order = [.. Enumerable.Range(0, rows.Count)];
                    random.Shuffle(order);
                    order = _options.Sampling == RowSampling.Balanced ? Balance(order, rows, random) : order;
                    return order.Chunk(_options.BatchSize).Select(part => (task, part));
                }
            ),
        ];
        if (_train.Count > 1)
        {
            random.Shuffle(batches);
        }

        return batches;
    }

    /// <summary>Balances shuffled rows by label; rows of rare labels are repeated.</summary>
    private static int[] Balance(int[] shuffled, EncodedDataset rows, Random random)
    {
        int[][] byLabel =
        [
            .. shuffled.GroupBy(row => rows.Targets[row].Label).OrderBy(group => group.Key).Select(group => group.ToArray()),
        ];
        random.Shuffle(byLabel);

        // The labels that are shuffled first get what the division leaves over.
        int[] drawn =
        [
            .. Enumerable
                .Range(0, shuffled.Length)
                .Select(i => byLabel[i % byLabel.Length][i / byLabel.Length % byLabel[i % byLabel.Length].Length]),
        ];
        random.Shuffle(drawn);
        return drawn;
    }

    /// <summary>Scores the training rows after an epoch.</summary>
    private void Record(TrainingState state, EncodedDataset train)
    {
        TextClassifier classifier = _classifiers[0];
        var now = new EpochScores(classifier.Task.Confidence(classifier, train.Texts, train.Targets));
        if (now.Confidence.Any(float.IsNaN))
        {
            throw new InvalidOperationException(
                $"Training diverged: after update {state.Step} a row's scores are NaN. Lower the learning rate ({_options.LearningRate})."
            );
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
        RunOutputs.Try(
            _channel,
            $"What became of the training rows ({path})",
            () =>
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                dynamics.Save(path);
            }
        );
    }

    private void SaveCheckpoint(string name)
    {
        if (_options.CheckpointFolder is { } folder)
        {
            string path = Path.Join(folder, name);
            RunOutputs.Try(
                _channel,
                $"The checkpoint ({path})",
                () =>
                {
                    Directory.CreateDirectory(folder);
                    _classifiers[0].Save(path);
                }
            );
        }
    }
}
