using SkillLoc.Models.Runs;

namespace SkillLoc.Trainers;

/// <summary>The state of a fine-tuning, except its parameters.</summary>
internal sealed record TrainingState
{
    /// <summary>Number of completed updates, which determines the position in the data.</summary>
    public int Step { get; set; }

    /// <summary>Whether training is complete, instead of cancelled.</summary>
    public bool IsComplete { get; set; }

    /// <summary>Number of training rows processed.</summary>
    public long Rows { get; set; }

    /// <summary>Wall time, over all parts of a resumed run.</summary>
    public double Seconds { get; set; }

    /// <summary>The loss of the last update.</summary>
    public double Loss { get; set; } = double.NaN;

    /// <summary>The latest value of the validation metric.</summary>
    public double? Metric { get; set; }

    /// <summary>The best validation metric and its update.</summary>
    public (double Metric, int Step)? Best { get; set; }

    /// <summary>The sum of the losses of the updates since the last validation.</summary>
    public double LossSum { get; set; }

    /// <summary>Number of consecutive validations without improvement.</summary>
    public int Stale { get; set; }

    /// <summary>The training dynamics after each epoch, if requested.</summary>
    public List<EpochScores> Epochs { get; init; } = [];

    /// <summary>Returns its metrics for a log of runs (methods, A.11).</summary>
    public RunRecord ToRecord(
        string kind, string task, string checkpoint, string? fingerprint, int trainingRows, IReadOnlyDictionary<string, string> options)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        if (Step > 0)
        {
            metrics["loss"] = Loss;
        }

        if (Metric is { } last)
        {
            metrics["last_validation"] = last;
        }

        if (Best is { } best)
        {
            metrics["validation"] = best.Metric;
            metrics["best_step"] = best.Step;
        }

        return new()
        {
            Kind = kind,
            Task = task,
            Checkpoint = Path.GetFullPath(checkpoint),
            Fingerprint = fingerprint,
            Rows = trainingRows,
            Steps = Step,
            Seconds = Seconds,
            Options = options,
            Metrics = metrics,
        };
    }
}

/// <summary>Correctness and confidence of the training rows after an epoch (methods, C.6).</summary>
/// <param name="Right">Whether each row is predicted correctly.</param>
/// <param name="Confidence">The probability of each row's true label.</param>
internal sealed record EpochScores(bool[] Right, float[] Confidence)
{
    /// <summary>Creates the scores from the task's result.</summary>
    public EpochScores((bool[] Right, float[] Confidence) scores)
        : this(scores.Right, scores.Confidence)
    {
    }
}
