namespace SkillLoc.Trainers;

/// <summary>How rows are sampled in an epoch of fine-tuning.</summary>
public enum RowSampling
{
    /// <summary>Every row once, shuffled.</summary>
    Shuffled,

    /// <summary>
    /// As many rows as in the data, equally many of each label: rows of rare labels are repeated, those of frequent ones subsampled anew in
    /// each epoch. For classifications only.
    /// </summary>
    Balanced,
}
