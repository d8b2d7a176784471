using SkillLoc.Models.Runs;

namespace SkillLoc.Trainers;

/// <summary>How far a fine-tuning is and what it found, beside its parameters.</summary>
internal sealed record TrainingState
{
    /// <summary>Updates done; epoch and place in it follow from it.</summary>
    public int Step { get; set; }

    /// <summary>Whether all updates are done, rather than a part of them before it was cancelled.</summary>
    public bool IsComplete { get; set; }

    /// <summary>Training rows seen.</summary>
    public long Rows { get; set; }

    /// <summary>Wall time, over all parts of a resumed run.</summary>
    public double Seconds { get; set; }

    /// <summary>The loss of the last update.</summary>
    public double Loss { get; set; } = double.NaN;

    /// <summary>The latest value of the validation metric.</summary>
    public double? Metric { get; set; }

    /// <summary>The best value of it, and the update after which it was measured.</summary>
    public (double Metric, int Step)? Best { get; set; }

    /// <summary>The sum of the losses of the updates since the last validation.</summary>
    public double LossSum { get; set; }

    /// <summary>Validations in a row that did not improve.</summary>
    public int Stale { get; set; }

    /// <summary>The training rows after each epoch, where that is asked for.</summary>
    public List<EpochScores> Epochs { get; init; } = [];

    /// <summary>What a log of runs says of it (methods, A.11).</summary>
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
