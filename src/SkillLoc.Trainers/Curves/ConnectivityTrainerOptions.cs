using Microsoft.ML;
using SkillLoc.Models.Interpolation;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>What the trainers of models between two ends can be told alike (methods, C.8).</summary>
public abstract class ConnectivityTrainerOptions
{
    /// <summary>The first model; it stays as it is and must live as long as what is trained.</summary>
    public TextScoringTransformer? First;

    /// <summary>The second model, of the same architecture, kind of tokenizer and tuning method; as the first.</summary>
    public TextScoringTransformer? Second;

    /// <summary>The end whose task is trained on; it matters where the ends have different labels (methods, C.9).</summary>
    public PathEnd Task;

    /// <summary>The label column, as fine-tuning had it: a key, for a regression a Single, for free answers (T5) text or a vector of
    /// text.</summary>
    public string LabelColumnName = "Label";

    /// <summary>Rows that choose the best state; null keeps the last.</summary>
    public IDataView? ValidationSet;

    /// <summary>Updates between two evaluations; there is always one after the last update.</summary>
    public int EvaluationInterval = 100;

    /// <summary>Updates.</summary>
    public int MaxSteps = 5000;

    /// <summary>Rows of a micro-batch.</summary>
    public int BatchSize = 16;

    /// <summary>Micro-batches of an update.</summary>
    public int GradientAccumulationSteps = 1;

    /// <summary>The optimiser; the default is the paper's. Whichever it is, there is neither decay nor clipping of gradients.</summary>
    public OptimizerKind Optimizer = OptimizerKind.Adafactor;

    /// <summary>The learning rate, which is constant.</summary>
    public double LearningRate = 1e-4;

    /// <summary>Dropout while training; null takes what the configuration says.</summary>
    public double? Dropout;

    /// <summary>Padded tokens in one forward pass; null takes what suits the device.</summary>
    public int? MaxTokensPerBatch;

    /// <summary>
    /// Seed of the start, the order of rows, places and dropout. Null takes the seed of the state that training goes on from, if there is
    /// one, or else one of the context's, as <see cref="PromptFineTuneTrainer.Options.Seed"/> does.
    /// </summary>
    public int? Seed;

    /// <summary>
    /// A file that holds the state of the training while it runs. When the program is ended, at whatever moment, the next Fit with the
    /// same options, ends and data finds it, goes on from there and, on the CPU, comes to the same result bit for bit. It is removed when
    /// training is complete. Null keeps no state.
    /// </summary>
    public string? StateFile;

    /// <summary>Updates between writes of <see cref="StateFile"/>, which is also written when training is cancelled.</summary>
    public int StateInterval = 100;

    /// <summary>Ends training with the best state so far, as does the end of the context's execution.</summary>
    public CancellationToken CancellationToken;

    private protected ConnectivityTrainerOptions()
    {
    }

    /// <summary>The end whose task it is.</summary>
    internal TextScoringTransformer TaskEnd => Task == PathEnd.First ? First! : Second!;

    /// <summary>The same options with a seed for certain: their own, that of a stored state, or one of the context's.</summary>
    internal ConnectivityTrainerOptions WithSeed(ComponentHost host)
    {
        var options = (ConnectivityTrainerOptions)MemberwiseClone();
        options.Seed ??= TrainingStateFile.SeedOf(StateFile) ?? host.DrawSeed();
        return options;
    }

    /// <summary>What bears on a run's result beside the ends and the data.</summary>
    internal virtual RunDescription Describe() => new(this, nameof(StateInterval));

    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    internal virtual void Check()
    {
        if (First is null || Second is null)
        {
            throw new ArgumentException($"Options.{nameof(First)} and Options.{nameof(Second)} must be given.");
        }

        Positive(EvaluationInterval, nameof(EvaluationInterval));
        Positive(MaxSteps, nameof(MaxSteps));
        Positive(BatchSize, nameof(BatchSize));
        Positive(GradientAccumulationSteps, nameof(GradientAccumulationSteps));
        Positive(LearningRate, nameof(LearningRate));
        Positive(StateInterval, nameof(StateInterval));
        Positive(MaxTokensPerBatch ?? 1, nameof(MaxTokensPerBatch));
        if (Dropout is not (null or (>= 0 and < 1)))
        {
            throw new ArgumentOutOfRangeException(nameof(Dropout), Dropout, $"Options.{nameof(Dropout)} must be in [0, 1), or null.");
        }
    }

    private protected static void Positive(double value, string option)
    {
        if (!(value > 0) || !double.IsFinite(value))
        {
            throw new ArgumentOutOfRangeException(option, value, $"Options.{option} must be above 0.");
        }
    }
}
