namespace SkillLoc.GraftingStudy;

/// <summary>A task, a number of shots and a seed: what a model is fine-tuned for.</summary>
internal sealed record Cell(StudyTask Task, int Shots, int Seed)
{
    public string Name => $"{Task.Name}-{Shots}-{Seed}";

    /// <summary>The run that fine-tunes, whose model and measures others need.</summary>
    public string FineTuned => $"{Name} fine-tuned";
}
