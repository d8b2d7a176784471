namespace SkillLoc.Trainers;

/// <summary>The states that are saved as checkpoints during fine-tuning (methods, A.9).</summary>
[Flags]
public enum CheckpointPolicy
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The best state so far on the validation set, as <c>best/</c>.</summary>
    Best = 1,

    /// <summary>The state after the last update, as <c>last/</c>.</summary>
    Last = 2,

    /// <summary>The state at evaluations, as <c>ckpt_{step}/</c>.</summary>
    Every = 4,
}
