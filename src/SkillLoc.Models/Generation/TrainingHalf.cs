namespace SkillLoc.Models.Generation;

/// <summary>The rows of a training file to use, so that two models can be trained on different ones (methods, C.1).</summary>
public enum TrainingHalf
{
    /// <summary>All rows.</summary>
    Both,

    /// <summary>The first n / 2 of n rows, rounded down (<c>split1</c> of the paper's code).</summary>
    First,

    /// <summary>The remaining rows (<c>split2</c>).</summary>
    Second,
}
