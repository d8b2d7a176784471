namespace SkillLoc.Trainers;

/// <summary>What a fine-tuned transformer holds.</summary>
public enum KeptState
{
    /// <summary>The state that was best on the validation set, the later one of equals; the last where there is no validation set.</summary>
    Best,

    /// <summary>The state after the last update.</summary>
    Last,
}
