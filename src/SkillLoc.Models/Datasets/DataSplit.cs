namespace SkillLoc.Models.Datasets;

/// <summary>A part of a data set.</summary>
public enum DataSplit
{
    /// <summary>Training rows.</summary>
    Train,

    /// <summary>Development rows, by which the best state is selected.</summary>
    Dev,

    /// <summary>Test rows.</summary>
    Test,
}
