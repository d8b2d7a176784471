namespace SkillLoc.Trainers;

/// <summary>Which rows an epoch of fine-tuning sees.</summary>
public enum RowSampling
{
    /// <summary>Every row once, shuffled.</summary>
    Shuffled,

    /// <summary>
    /// As many rows as there are, of every label as many: those of rare labels several times, of frequent ones a part, which is another in
    /// each epoch. For labels only.
    /// </summary>
    Balanced,
}
