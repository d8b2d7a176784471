namespace SkillLoc.Trainers;

/// <summary>The state that a fine-tuned transformer keeps.</summary>
public enum KeptState
{
    /// <summary>The best state on the validation set, with ties going to the later one; the last state without a validation set.</summary>
    Best,

    /// <summary>The state after the last update.</summary>
    Last,
}
