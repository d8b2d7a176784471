using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Trains what lies between two ends (methods, C.8): one model walks there, and what trains tells it where to. All
/// randomness follows from the seed and the place in the run, so that a resumed run draws what an uninterrupted one would.
/// </summary>
internal abstract class PathTraining : TrainingObjective, IDisposable
{
    private readonly ConnectivityTrainerOptions _options;
    private readonly ComponentHost _host;
    private readonly int _seed;
    private readonly DropoutDraws _dropout;
    private readonly TrainedParameter[] _trained;
    private readonly Parameter[] _walked;
    private EncodedDataset? _train;
    private EncodedDataset? _validation;
    private TrainingStateFile? _stateFile;
    private IChannel? _channel;
    private int[] _order = [];
    private long _pass = -1;

    /// <param name="options">The options, with a seed.</param>
    /// <param name="host">The trainer's.</param>
    /// <param name="interpolated">The model; disposed with this.</param>
    /// <param name="walked">The names of its parameters that change.</param>
    /// <param name="trained">The trained values; disposed with this, including weights.</param>
    protected PathTraining(
        ConnectivityTrainerOptions options,
        ComponentHost host,
        TextClassifier interpolated,
        IReadOnlyList<string> walked,
        IEnumerable<(string Name, Tensor Value)> trained
    )
    {
        _options = options;
        _host = host;
        _seed = options.Seed!.Value;
        Interpolated = interpolated;
        _dropout = new([interpolated.Backbone]);
        interpolated.Backbone.Dropout = options.Dropout ?? interpolated.Backbone.Dropout;
        IReadOnlyDictionary<string, Parameter> parameters = interpolated.Parameters;
        _walked = [.. walked.Select(name => parameters[name])];
        _trained = [.. trained.Select(pair => Trained(pair.Name, pair.Value))];

        TrainedParameter Trained(string name, Tensor value)
        {
            var parameter = new Parameter(value.alias(), requires_grad: false);
            parameter.DetachFromDisposeScope();
            var trained = new TrainedParameter(name, parameter, null, null, decays: false);
            trained.AddMoments(options.Optimizer);
            return trained;
        }
    }

    /// <summary>The model at the current point of the path.</summary>
    protected TextClassifier Interpolated { get; }

    /// <summary>Its parameters that change.</summary>
    protected IReadOnlyList<Parameter> Walked => _walked;

    /// <summary>The trained values, which share the storage of the given tensors.</summary>
    protected IReadOnlyList<TrainedParameter> Values => _trained;

    public void Dispose()
    {
        foreach (TrainedParameter parameter in _trained)
        {
            parameter.Weight.Dispose();
            parameter.Dispose();
        }

        _dropout.Dispose();
        Interpolated.Dispose();
    }

    /// <summary>Trains from the start or a saved state, and keeps the best state.</summary>
    public void Run(IDataView trainData)
    {
        var outputs = new RunOutputs();
        outputs.AddFile(
            nameof(_options.StateFile),
            _options.StateFile,
            4 * RunOutputs.BytesOf(_trained.Select(parameter => parameter.Value))
        );
        outputs.Check();
        EncodedDataset train = _train = Read(trainData, "training data");
        _validation = _options.ValidationSet is null ? null : Read(_options.ValidationSet, "validation data");
        _stateFile = StateFile(train, _validation);
        using IChannel channel = _channel = _host.Start("Training");
        TrainingState state;
        try
        {
            Array.ForEach(_walked, parameter => parameter.requires_grad_(true));
            state = new TrainingLoop(_host, channel)
            {
                Name = GetType().Name,
                Steps = _options.MaxSteps,
                EvaluationInterval = _options.EvaluationInterval,
                StateInterval = _options.StateInterval,
                Cancellation = _options.CancellationToken,
            }.Run(this);
            Array.ForEach(_trained, parameter => parameter.RestoreBest());
            ValuesChanged();
        }
        finally
        {
            foreach (Parameter parameter in _walked)
            {
                parameter.requires_grad_(false);
                parameter.grad = null!;
            }

            ClearGradients();
        }

        if (state.IsComplete && _stateFile is not null)
        {
            RunOutputs.Try(channel, $"That the training is complete ({_options.StateFile})", _stateFile.Delete);
        }
    }

    public override TrainingState? Resume()
    {
        TrainingState? state = _stateFile?.Load(_trained, _options.MaxSteps);
        ValuesChanged();
        _channel!.Info(
            MessageSensitivity.None,
            $"Training on {_train!.Count} rows with seed {_seed}, from update {state?.Step ?? 0} of {_options.MaxSteps}."
        );
        return state;
    }

    /// <summary>Runs one update.</summary>
    /// <returns>The mean loss of its last micro-batch; where one is not finite, that, and nothing has changed.</returns>
    public override double Step(TrainingState state)
    {
        EncodedDataset train = _train!;
        var places = new Random((int)BatchGradients.Derive(_seed, 3, state.Step));
        double loss = 0;
        _dropout.Run(
            BatchGradients.Derive(_seed, 2, state.Step),
            () =>
            {
                for (int i = 0; i < _options.GradientAccumulationSteps && double.IsFinite(loss); i++)
                {
                    Move(places);
                    int[] rows = MicroBatch(train.Count, ((long)state.Step * _options.GradientAccumulationSteps) + i);
                    RowTarget[] targets = BatchGradients.Targets(train, rows, _seed, (int)_pass);
                    float[] weights = BatchGradients.Weights(train, [rows], _options.GradientAccumulationSteps, targets);
                    loss =
                        BatchGradients.Add(Interpolated, train, rows, weights, _options.MaxTokensPerBatch, training: true, targets)
                        * _options.GradientAccumulationSteps;
                    AccumulateGradients();
                    state.Rows += rows.Length;
                }
            }
        );
        if (double.IsFinite(loss))
        {
            ParameterUpdate.Apply(_options.Optimizer, _trained, _options.LearningRate, decay: 0, state.Step + 1);
            ClearGradients();
            ValuesChanged();
        }

        return loss;
    }

    public override string Diverged(TrainingState state) =>
        $"Training diverged: the loss of update {state.Step} is {state.Loss}. Lower the learning rate ({_options.LearningRate}).";

    public override double? Validate(TrainingState state) => _validation is null ? null : Judge(_validation);

    public override void KeepBest(TrainingState state) => Array.ForEach(_trained, parameter => parameter.KeepAsBest());

    public override void Save(TrainingState state)
    {
        if (_stateFile is not null)
        {
            RunOutputs.Try(_channel!, $"The state of the training ({_options.StateFile})", () => _stateFile.Save(state, _trained));
        }
    }

    /// <summary>Called when <see cref="Values"/> have changed.</summary>
    protected virtual void ValuesChanged() { }

    /// <summary>Called before each micro-batch: moves the model to the point of the loss.</summary>
    /// <param name="places">Generator of positions.</param>
    protected virtual void Move(Random places) { }

    /// <summary>Called after each micro-batch: maps the model's gradients to those of <see cref="Values"/>, and clears them.</summary>
    protected abstract void AccumulateGradients();

    /// <summary>Computes the metric for selecting the best state.</summary>
    protected abstract double Judge(EncodedDataset validation);

    private EncodedDataset Read(IDataView data, string role) =>
        EncodedDataset.Read(data, _options.TaskEnd.Columns, _options.LabelColumnName, _options.TaskEnd.Classifier, role);

    private TrainingStateFile? StateFile(EncodedDataset train, EncodedDataset? validation)
    {
        if (_options.StateFile is not { } path)
        {
            return null;
        }

        RunDescription run = _options.Describe();
        run.Put("trains", GetType().Name);
        run.Put("first", _options.First!.Classifier.Fingerprint());
        run.Put("second", _options.Second!.Classifier.Fingerprint());
        run.Put("settings", _options.TaskEnd.Classifier.Settings.ToJson());
        run.Put("training_data", RunFingerprint.Of(train));
        run.Put("validation_data", validation is null ? "none" : RunFingerprint.Of(validation));
        return new(path, run);
    }

    private void ClearGradients() => Array.ForEach(_trained, parameter => parameter.Value.grad = null!);

    /// <summary>Returns a micro-batch by its number; rows are shuffled for each epoch, and an incomplete micro-batch is used only if it is
    /// the only one.</summary>
    private int[] MicroBatch(int rows, long number)
    {
        int size = Math.Min(_options.BatchSize, rows),
            batches = rows / size;
        if (number / batches != _pass)
        {
            _pass = number / batches;
            _order = [.. Enumerable.Range(0, rows)];
            new Random((int)BatchGradients.Derive(_seed, 1, (int)_pass)).Shuffle(_order);
        }

        int start = (int)(number % batches) * size;
        return _order[start..(start + size)];
    }
}
