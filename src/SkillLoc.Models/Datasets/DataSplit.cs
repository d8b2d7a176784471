namespace SkillLoc.Models.Datasets;

/// <summary>A part of a data set.</summary>
public enum DataSplit
{
    /// <summary>What a model learns from.</summary>
    Train,

    /// <summary>What its best state is chosen by.</summary>
    Dev,

    /// <summary>What it is judged by.</summary>
    Test,
}
