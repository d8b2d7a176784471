using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>Common options of trainers of models between two endpoints (methods, C.8).</summary>
public abstract class ConnectivityTrainerOptions
{
    /// <summary>The first endpoint. It is not changed, and must outlive the result.</summary>
    public TextScoringTransformer? First;

    /// <summary>The second endpoint, with the same architecture, kind of tokenizer and tuning method; under the same conditions.</summary>
    public TextScoringTransformer? Second;

    /// <summary>The endpoint whose task is trained, if labels differ (methods, C.9); the first by default.</summary>
    public Endpoint Task;

    /// <summary>The label column, as fine-tuning had it: a key, for a regression a Single, for free answers (T5) text or a vector of
    /// text.</summary>
    public string LabelColumnName = "Label";

    /// <summary>Validation rows for selecting the best state; null (default) keeps the last.</summary>
    public IDataView? ValidationSet;

    /// <summary>Updates between evaluations, 1 or more; 100 by default. The last update is always evaluated.</summary>
    public int EvaluationInterval = 100;

    /// <summary>Number of updates, 1 or more; 5,000 by default.</summary>
    public int MaxSteps = 5000;

    /// <summary>Rows per micro-batch, 1 or more.</summary>
    public int BatchSize = 16;

    /// <summary>Micro-batches per update, 1 or more; 1 by default.</summary>
    public int GradientAccumulationSteps = 1;

    /// <summary>The optimiser; Adafactor by default, as in the paper. There is neither weight decay nor gradient clipping.</summary>
    public OptimizerKind Optimizer = OptimizerKind.Adafactor;

    /// <summary>The constant learning rate, above 0.</summary>
    public double LearningRate = 1e-4;

    /// <summary>Dropout during training, from 0 to below 1; null (default) uses the configuration's.</summary>
    public double? Dropout;

    /// <summary>Maximum number of padded tokens in a forward pass, 1 or more; null (default) chooses a size that suits the
    /// device.</summary>
    public int? MaxTokensPerBatch;

    /// <summary>
    /// Seed of initialisation, shuffles, positions and dropout. Null (default) uses the seed of the resumed state, or else draws one from
    /// the context, as <see cref="PromptFineTuneTrainer.Options.Seed"/> does.
    /// </summary>
    public int? Seed;

    /// <summary>
    /// File for the state of a running training. If the program is interrupted at any time, the next Fit with the same options, endpoints
    /// and data resumes from it; on the CPU, the result is the same bit for bit. It is removed when training completes. Null (default)
    /// saves no state.
    /// </summary>
    public string? StateFile;

    /// <summary>Updates between writes of <see cref="StateFile"/>, 1 or more; 100 by default. It is also written on cancellation.</summary>
    public int StateInterval = 100;

    /// <summary>Cancels training, which returns the best state so far, as does cancelling the context's execution.</summary>
    public CancellationToken CancellationToken;

    private protected ConnectivityTrainerOptions() { }

    /// <summary>The endpoint whose task is trained.</summary>
    internal TextScoringTransformer TaskEnd => Task == Endpoint.First ? First! : Second!;

    /// <summary>Returns the options with a seed: their own, that of a stored state, or one drawn from the context.</summary>
    internal ConnectivityTrainerOptions WithSeed(ComponentHost host)
    {
        var options = (ConnectivityTrainerOptions)MemberwiseClone();
        options.Seed ??= TrainingStateFile.SeedOf(StateFile) ?? host.DrawSeed();
        return options;
    }

    /// <summary>Describes everything that affects the result beside endpoints and data.</summary>
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
