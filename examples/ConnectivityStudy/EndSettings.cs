using SkillLoc.Models.Classification;
using SkillLoc.Models.Tuning;

namespace SkillLoc.ConnectivityStudy;

/// <summary>An end of paths, with everything that it depends on beside the data and what the whole plan says.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Method">The method's name.</param>
/// <param name="Tuning">The method; null for all of the model's own parameters.</param>
/// <param name="Head">What makes logits; null for what is usual of the model.</param>
/// <param name="LearningRate">The learning rate.</param>
/// <param name="Steps">Updates.</param>
/// <param name="BatchSize">Rows of an update.</param>
/// <param name="Seed">Seed of the order of the rows and of dropout.</param>
/// <param name="InitialisationSeed">Seed of what tuning adds, and of a fresh head.</param>
/// <param name="Rows">The training rows.</param>
/// <param name="PretrainingSteps">The base's updates of pre-training; null for a checkpoint.</param>
/// <param name="Checkpoint">The base; null for the plan's checkpoint.</param>
public sealed record EndSettings(
    string Task,
    string Method,
    TuningOptions? Tuning,
    HeadKind? Head,
    double LearningRate,
    int Steps,
    int BatchSize,
    int Seed,
    int InitialisationSeed,
    TrainingRows Rows,
    int? PretrainingSteps,
    string? Checkpoint
)
{
    /// <summary>Fills in what an end's plan leaves to its method and to the study's plan.</summary>
    /// <param name="end">An end with a task.</param>
    /// <param name="method">The name of one of the plan's methods.</param>
    /// <param name="plan">The plan.</param>
    public static EndSettings Of(EndPlan end, string method, StudyPlan plan)
    {
        MethodPlan tuning = plan.Methods[method];
        TrainingPlan usual = plan.Training;
        int seed = end.Seed ?? usual.Seed;
        return new(
            end.Task!,
            method,
            end.Tuning ?? tuning.Tuning,
            end.Head ?? usual.Head,
            tuning.LearningRate * (end.LearningRateFactor ?? 1),
            end.Steps ?? usual.Steps,
            end.BatchSize ?? usual.BatchSize,
            seed,
            end.InitialisationSeed ?? seed,
            end.Rows ?? TrainingRows.All,
            end.PretrainingSteps,
            end.Checkpoint
        );
    }
}
