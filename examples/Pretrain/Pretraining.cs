using System.Diagnostics;
using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using Spectre.Console;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Pretrain;

/// <summary>Trains a masked language model (Devlin et al. 2019; without the next-sentence task, as Liu et al. 2019) on text
/// files.</summary>
public sealed class Pretraining : IDisposable
{
    // AdamW starts without moments, also after a resume: its first updates are held small.
    private const int StepsToGatherMoments = 50;
    private const double MaxGradientNorm = 1;

    // Always the same, so that trainings with different ones can be compared.
    private const double HeldOutMaskRate = 0.15;

    // RoBERTa's, for training from scratch.
    private const double Beta2 = 0.98;

    // RoBERTa's own, so that a new model can be trained on longer pieces later.
    private const int LeastPositions = 514;
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(30);

    private readonly PretrainOptions _options;
    private readonly IAnsiConsole _console;
    private readonly LanguageModel _model;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly string _log;
    private readonly Passages _passages;
    private readonly TrainedPart _part;
    private readonly double[]? _weights;
    private TrainingState _state;

    /// <summary>Reads the texts, and loads or makes the model.</summary>
    /// <param name="options">What the command line says.</param>
    /// <param name="console">Where progress is told.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public Pretraining(PretrainOptions options, IAnsiConsole console)
    {
        _options = options;
        _console = console;
        _log = Path.TrimEndingDirectorySeparator(options.Out) + ".log.tsv";
        var stored = TrainingState.Load(options.Out);
        if (stored is null && File.Exists(Path.Join(options.Out, "config.json")))
        {
            throw new IOException(
                $"'{options.Out}' holds a checkpoint that was not trained here; to go on from it name it with --from and write to "
                    + "another folder."
            );
        }

        CheckpointFolder.CheckWritable(options.Out);
        _state = stored ?? new(options.Seed);
        if (_state.Seed != options.Seed)
        {
            throw new ArgumentException(
                $"'{options.Out}' was trained with seed {_state.Seed}, not {options.Seed}; choose another folder or that seed."
            );
        }

        if (options.Device == "cuda" && !cuda.is_available())
        {
            throw new ArgumentException("This machine has no CUDA device that libtorch can use; leave --device away.");
        }

        TextSource[] sources = [.. options.Text.Select(TextSource.Parse)];
        if (stored is null && options.From is null)
        {
            MakeModel(options, sources);
        }

        string folder = stored is not null ? options.Out : options.From ?? options.Out;
        _tokenizer = CheckpointTokenizer.Load(folder);
        _model = LanguageModel.Load(folder, device: new Device(options.Device));
        _tokenizer.CheckVocabulary(_model.Config.VocabularySize);
        if (_model.PeftModule is { } adaptation)
        {
            throw new ArgumentException($"{folder} was tuned with {adaptation.Options}; pre-train the checkpoint that was tuned.");
        }

        if (options.LongestPiece > _model.MaxLength)
        {
            throw new ArgumentException(
                $"The model has {_model.MaxLength} positions; pieces of {options.LongestPiece} tokens are too long for it."
            );
        }

        _part = TrainedPart.Parse(options.Train, _model.Config.Layers);
        _passages = new Passages(
            sources.SelectMany(source => source.Passages()),
            options.LeaveOut.Select(TextSource.Parse).SelectMany(source => source.Passages()),
            _tokenizer,
            options.HeldOut
        );
        Tell(
            $"{_passages.Count:N0} passages of {_passages.Tokens:N0} tokens; {_passages.HeldOutCount:N0} held out; "
                + $"{_passages.LeftOut:N0} repetitions and left-out texts dropped"
        );
        _weights = _passages.MaskWeights(options.CommonShare, _model.Config.VocabularySize);
        string origin =
            stored is not null ? $"resuming after update {stored.Step}"
            : options.From is null ? "new"
            : $"from {options.From}";
        Tell(
            $"{_model.Config.Layers} layers, hidden {_model.Config.HiddenSize}: {_model.Parameters.Values.Sum(p => p.numel()):N0} "
                + $"parameters, {origin}"
        );
    }

    /// <summary>Trains until time or updates are up, and writes the checkpoint folder.</summary>
    /// <param name="stop">Ends the training after the next update, once the folder is written.</param>
    /// <returns>The held-out losses at the end.</returns>
    /// <exception cref="InvalidOperationException">The loss is no longer a number, or there is nothing to train on.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the next time it goes on from there.</exception>
    public IReadOnlyList<HeldOutResult> Run(CancellationToken stop = default)
    {
        if (_options.HeadStart && _state.Step == 0)
        {
            StartHead();
        }

        IReadOnlyList<HeldOutResult> results = Evaluate();
        if (Progress < 1)
        {
            Train(stop);
            results = Evaluate();
        }

        Save(_options.Half ? ScalarType.Float16 : null);
        return results;
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    /// <summary>The share of the training that is done.</summary>
    private double Progress =>
        _options.Steps is { } steps
            ? steps == 0
                ? 1
                : (double)_state.Step / steps
            : _state.Seconds / (60 * _options.Minutes);

    /// <summary>Writes an untrained model with a vocabulary of these texts.</summary>
    private static void MakeModel(PretrainOptions options, TextSource[] sources)
    {
        DirectoryInfo vocabulary = Directory.CreateTempSubdirectory("pretrain");
        try
        {
            var trainer = new ByteLevelBpeTrainer { VocabularySize = options.Vocabulary, WholeWords = options.Words };
            trainer.Train(sources.SelectMany(source => source.Passages()), vocabulary.FullName);
            var tokenizer = CheckpointTokenizer.Load(vocabulary.FullName);
            var config = ModelConfig.Roberta(
                options.Hidden,
                options.Layers,
                options.Heads,
                options.FeedForward,
                tokenizer.VocabularySize,
                Math.Max(LeastPositions, options.LongestPiece + 2),
                dropout: 0
            );
            using var model = LanguageModel.Create(config, options.Seed);
            Save(options.Out, model, tokenizer, new(options.Seed), storeAs: null);
        }
        finally
        {
            vocabulary.Delete(recursive: true);
        }
    }

    private void StartHead()
    {
        const int Tokens = 400_000;
        IEnumerable<int[][]> batches = _passages
            .Batches(0, ~_options.Seed, _options.ShortestPiece, _options.LongestPiece, _options.TokensPerBatch)
            .Take(Math.Max(1, Tokens / _options.TokensPerBatch));
        double loss = HeadStart.Set(
            _model,
            _tokenizer,
            batches,
            _options.MaskRate,
            _passages.Frequencies(_model.Config.VocabularySize),
            _options.Seed
        );
        Tell($"head set in closed form: loss {loss:F3} on the pieces it was made from");
    }

    private void Train(CancellationToken stop)
    {
        if (_passages.Count == 0)
        {
            throw new InvalidOperationException($"There is nothing to train on in {string.Join(", ", _options.Text)}.");
        }

        if (_part.Rank is { } rank)
        {
            _model.PeftModule = new LoraOptions
            {
                Rank = rank,
                Alpha = rank,
                Targets =
                    TargetModules.Query
                    | TargetModules.Key
                    | TargetModules.Value
                    | TargetModules.AttentionOutput
                    | TargetModules.Up
                    | TargetModules.Down,
            }.Create(_model, _options.Seed);
        }

        IEnumerable<KeyValuePair<string, Parameter>> added = _model.PeftModule is { } adaptation ? adaptation.Parameters : [];
        TrainedParameter[] parameters =
        [
            .. _model
                .Parameters.Where(pair => _part.Includes(pair.Key))
                .Concat(added)
                .Select(pair => new TrainedParameter(pair.Key, pair.Value, region: null, frozen: null)),
        ];
        foreach (TrainedParameter parameter in parameters)
        {
            parameter.AddMoments(OptimizerKind.AdamW);
            parameter.Value.requires_grad_(true);
        }

        try
        {
            Train(parameters, stop);
        }
        finally
        {
            foreach (TrainedParameter parameter in parameters)
            {
                parameter.Value.requires_grad_(false);
                parameter.Value.grad = null!;
                parameter.Dispose();
            }
        }

        _model.FoldAdaptation();
        Tell(
            $"trained: {_state.Step:N0} updates, {_state.Tokens:N0} tokens in {_state.Seconds / 60:F1} minutes, "
                + $"{_state.Tokens / _state.Seconds:N0} a second"
        );
    }

    private void Train(TrainedParameter[] parameters, CancellationToken stop)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan line = default,
            evaluated = default,
            saved = default;
        double losses = 0;
        int lossesCount = 0,
            stepsHere = 0;
        long tokensAtLine = _state.Tokens;
        while (Progress < 1)
        {
            foreach (
                int[][] batch in _passages
                    .Batches(_state.Pass, _options.Seed, _options.ShortestPiece, _options.LongestPiece, _options.TokensPerBatch)
                    .Skip(_state.BatchOfPass)
            )
            {
                TimeSpan before = clock.Elapsed;
                double rate = LearningRate(Progress) * Math.Min(1, (stepsHere + 1.0) / StepsToGatherMoments);
                // The process is this training's alone. Each update has its own seed, so that one that goes on draws what it would have.
                manual_seed(Passages.HashSeed(_options.Seed, _state.Step));
                stepsHere++;
                losses += Update(parameters, stepsHere, batch, rate);
                lossesCount++;
                _state = _state with
                {
                    Step = _state.Step + 1,
                    BatchOfPass = _state.BatchOfPass + 1,
                    Tokens = _state.Tokens + batch.Sum(piece => (long)piece.Length),
                    Seconds = _state.Seconds + (clock.Elapsed - before).TotalSeconds,
                };
                if (clock.Elapsed - line >= BetweenLines)
                {
                    double perSecond = (_state.Tokens - tokensAtLine) / (clock.Elapsed - line).TotalSeconds;
                    Tell(
                        $"{Progress, 6:P1}  update {_state.Step, 6}  pass {_state.Pass}  loss {losses / lossesCount:F3}  rate "
                            + $"{rate:0.0e-0}  {_state.Tokens:N0} tokens, {perSecond:N0} a second"
                    );
                    Log("loss", losses / lossesCount);
                    (line, tokensAtLine, losses, lossesCount) = (clock.Elapsed, _state.Tokens, 0, 0);
                }

                if (stop.IsCancellationRequested && Progress < 1)
                {
                    _model.FoldAdaptation();
                    Save();
                    Tell($"stopped after update {_state.Step}");
                    stop.ThrowIfCancellationRequested();
                }

                // Updates of low rank become part of the weights when they are saved, which they do once.
                if (_part.Rank is null && (clock.Elapsed - saved).TotalMinutes >= _options.CheckpointMinutes)
                {
                    Save();
                    saved = clock.Elapsed;
                }

                if ((clock.Elapsed - evaluated).TotalMinutes >= _options.EvaluationMinutes)
                {
                    Evaluate();
                    evaluated = clock.Elapsed;
                }

                if (Progress >= 1)
                {
                    break;
                }
            }

            if (Progress < 1)
            {
                _state = _state with { Pass = _state.Pass + 1, BatchOfPass = 0 };
            }
        }
    }

    private double Update(TrainedParameter[] parameters, int update, int[][] batch, double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (TrainedParameter parameter in parameters)
        {
            parameter.Value.grad = null!;
        }

        var random = new Random(Passages.HashSeed(~_options.Seed, _state.Step));
        using var masked = MaskedPieces.Create(batch, _options.MaskRate, _tokenizer, random, _model.Device, _weights);
        Tensor loss = F.cross_entropy(masked.Scores(_model, training: true), masked.Hidden);
        double value = loss.item<float>();
        if (!double.IsFinite(value))
        {
            throw new InvalidOperationException(
                $"The loss of update {_state.Step + 1} is {value}; lower the learning rate ({_options.LearningRate})."
            );
        }

        loss.backward();
        nn.utils.clip_grad_norm_(parameters.Select(parameter => parameter.Value), MaxGradientNorm);
        foreach (IGrouping<bool, TrainedParameter> group in parameters.GroupBy(parameter => TrainedPart.IsHead(parameter.Name)))
        {
            double rate = group.Key ? learningRate : learningRate * _options.BackboneRate;
            ParameterUpdate.AdamW([.. group], rate, _options.WeightDecay, update, Beta2);
        }

        return value;
    }

    private double LearningRate(double progress)
    {
        if (progress < _options.WarmUp)
        {
            return _options.LearningRate * progress / _options.WarmUp;
        }

        double rest = Math.Max(0, (1 - progress) / (1 - _options.WarmUp));
        return _options.LearningRate * (_options.Cosine ? 0.5 * (1 - Math.Cos(Math.PI * rest)) : rest);
    }

    private IReadOnlyList<HeldOutResult> Evaluate()
    {
        IReadOnlyList<HeldOutResult> results = HeldOutResult.Measure(
            _model,
            _tokenizer,
            _passages,
            _options.LongestPiece,
            HeldOutMaskRate,
            _options.TokensPerBatch
        );
        foreach (HeldOutResult result in results)
        {
            Log($"held-out loss {result.Length}", result.Loss);
            Log($"held-out accuracy {result.Length}", result.Accuracy);
            Tell(
                $"held out  length {result.Length, 3}  loss {result.Loss:F3}  right {result.Accuracy:P1}  of {result.Predicted:N0} tokens"
            );
        }

        return results;
    }

    private void Save(ScalarType? storeAs = null) => Save(_options.Out, _model, _tokenizer, _state, storeAs);

    private static void Save(string folder, LanguageModel model, CheckpointTokenizer tokenizer, TrainingState state, ScalarType? storeAs) =>
        CheckpointFolder.Save(
            folder,
            model.Config,
            model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)),
            tokenizer.Files,
            storeAs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [TrainingState.FileName] = state.ToJson() }
        );

    /// <summary>Adds a row to the log, which is tab-separated: update, tokens, seconds, what, value.</summary>
    private void Log(string what, double value) =>
        File.AppendAllText(
            _log,
            string.Create(CultureInfo.InvariantCulture, $"{_state.Step}\t{_state.Tokens}\t{_state.Seconds:F1}\t{what}\t{value:R}\n")
        );

    private void Tell(string line) => _console.WriteLine($"{DateTime.Now.ToString("HH:mm:ss", CultureInfo.InvariantCulture)}  {line}");
}
