namespace SkillLoc.Trainers;

/// <summary>The metrics of a model.</summary>
/// <param name="Training">The metric on as many training rows as an epoch of mask training uses, the same for every model.</param>
/// <param name="Validation">The metric on the validation set; null if there is none.</param>
public sealed record GraftQuality(double Training, double? Validation)
{
    /// <summary>The measures as a graft carries them.</summary>
    /// <param name="epoch">The epoch of the mask's training after which they were taken.</param>
    internal IReadOnlyDictionary<string, double> Metrics(int epoch)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["epoch"] = epoch, ["train"] = Training };
        if (Validation is { } validation)
        {
            metrics["validation"] = validation;
        }

        return metrics;
    }
}
