namespace SkillLoc.Models.Generation;

/// <summary>Which rows of a training file are taken, so that two models can learn from different ones (methods, C.1).</summary>
public enum TrainingHalf
{
    /// <summary>All rows.</summary>
    Both,

    /// <summary>The first n / 2 of n rows, rounded down (<c>split1</c> of the paper's code).</summary>
    First,

    /// <summary>The rows after those (<c>split2</c>).</summary>
    Second,
}
