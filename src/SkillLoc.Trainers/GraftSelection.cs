namespace SkillLoc.Trainers;

/// <summary>The criterion that selects the epoch whose rounded mask becomes the graft (methods, A.12).</summary>
public enum GraftSelection
{
    /// <summary>The sum of the metrics on training rows and on the validation set, as in the paper's code.</summary>
    TrainingAndValidation,

    /// <summary>The metric on the validation set only.</summary>
    Validation,

    /// <summary>The metric on training rows only.</summary>
    Training,
}
