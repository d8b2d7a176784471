using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>Trains the scores of a mask (methods, A.12, step 3): an update is an epoch, and the best epoch's rounded mask is
/// kept.</summary>
internal sealed class GraftScoreTraining : TrainingObjective
{
    private readonly GraftMask _mask;
    private readonly TextClassifier _classifier;
    private readonly EncodedDataset _train;
    private readonly EncodedDataset? _validation;
    private readonly GraftMaskEstimator.Options _options;
    private readonly int _seed;
    private readonly GraftMaskState? _stored;
    private readonly IReadOnlyDictionary<string, string> _identity;
    private readonly Func<GraftMaskState, bool> _write;
    private Random _draws = new(0);
    private IReadOnlyList<GraftPart> _parts;
    private GraftQuality? _judged;
    private double _score;
    private int _saved;

    /// <param name="mask">The mask, which starts from its base patch and drawn scores, or from stored ones.</param>
    /// <param name="classifier">The base model, which the mask changes.</param>
    /// <param name="train">The training rows.</param>
    /// <param name="validation">Rows that help choose the best epoch; null for none.</param>
    /// <param name="options">The options of training.</param>
    /// <param name="seed">The seed by which rows are drawn.</param>
    /// <param name="stored">The state to resume from; null to start anew.</param>
    /// <param name="identity">The description of everything that affects the result.</param>
    /// <param name="write">Writes a state and returns whether it was written.</param>
    public GraftScoreTraining(
        GraftMask mask,
        TextClassifier classifier,
        EncodedDataset train,
        EncodedDataset? validation,
        GraftMaskEstimator.Options options,
        int seed,
        GraftMaskState? stored,
        IReadOnlyDictionary<string, string> identity,
        Func<GraftMaskState, bool> write
    )
    {
        _mask = mask;
        _classifier = classifier;
        _train = train;
        _validation = validation;
        _options = options;
        _seed = seed;
        _stored = stored;
        _identity = identity;
        _write = write;
        _parts = mask.Parts();
        _score = stored?.Score ?? 0;
        _saved = stored?.Epoch ?? 0;
        Best = stored?.Best ?? _parts;
        Metrics = stored?.Metrics ?? new Dictionary<string, double>(StringComparer.Ordinal);
    }

    /// <summary>The best epoch's rounded mask.</summary>
    public IReadOnlyList<GraftPart> Best { get; private set; }

    /// <summary>The metrics of the best mask; empty if no epoch was evaluated.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; private set; }

    public override TrainingState? Resume() =>
        _stored is null
            ? null
            : new()
            {
                Step = _stored.Epoch,
                Metric = _stored.Score,
                Best = Metrics.Count > 0 ? (_stored.BestScore, (int)Metrics["epoch"]) : null,
            };

    public override double Step(TrainingState state)
    {
        _mask.ApplySoft();

        // Every epoch has random numbers of its own, so that a training can go on from any of them.
        _draws = Draws(_seed, state.Step + 1);
        int[][] batches = Draw(_draws, _train.Count, _options);
        int[] drawn = [.. batches.SelectMany(batch => batch)];
        RowTarget[] targets = _train.TargetsOf(drawn);
        float[] weights = BatchGradients.Weights(_train, batches, batches.Length, targets);
        double loss = BatchGradients.Add(_classifier, _train, drawn, weights, _options.MaxTokensPerBatch, training: false, targets);
        if (double.IsFinite(loss))
        {
            _mask.Step(_options.LearningRate, _options.Penalty, _options.PenaltyStrength);
        }

        state.Rows += drawn.Length;
        return loss;
    }

    public override string Diverged(TrainingState state) =>
        $"The loss of epoch {state.Step} is {state.Loss}: the weights or the scores are not finite.";

    public override double? Validate(TrainingState state)
    {
        IReadOnlyList<GraftPart> current = _mask.Parts();

        // Scores move for epochs before a coordinate crosses; an unchanged mask needs no second evaluation.
        if (Metrics.Count == 0 || !GraftPart.SameCoordinates(current, _parts))
        {
            _mask.ApplyRounded();
            _judged = new GraftQuality(
                _train.Metric(_classifier, [.. Draw(_draws, _train.Count, _options).SelectMany(batch => batch)]),
                _validation?.Metric(_classifier)
            );
            _score = _options.Criterion(_judged);
        }

        _parts = current;
        return _score;
    }

    public override void KeepBest(TrainingState state)
    {
        Best = _parts;
        Metrics = _judged!.Metrics(state.Step);
    }

    public override void Save(TrainingState state)
    {
        if (state.Step <= _saved)
        {
            return;
        }

        var stored = new GraftMaskState
        {
            Identity = _identity,
            Seed = _seed,
            Epoch = state.Step,
            Score = _score,
            BestScore = state.Best?.Metric ?? double.NegativeInfinity,
            Best = Best,
            Metrics = Metrics,
        };
        _saved = _write(stored) ? state.Step : _saved;
    }

    public override void Report(TrainingState state) =>
        _options.Progress?.Report(new(state.Step, _options.Epochs, state.Loss, _score, state.Rows / state.Seconds));

    /// <summary>The random generator of an epoch.</summary>
    public static Random Draws(int seed, int epoch) => new(unchecked((seed * 486187739) + epoch));

    /// <summary>At most <see cref="GraftMaskEstimator.Options.MaxBatchesPerEpoch"/> micro-batches of freshly shuffled rows.</summary>
    public static int[][] Draw(Random draws, int rows, GraftMaskEstimator.Options options)
    {
        int[] order = [.. Enumerable.Range(0, rows)];
        draws.Shuffle(order);
        return [.. order.Chunk(options.BatchSize).Take(options.MaxBatchesPerEpoch)];
    }
}
