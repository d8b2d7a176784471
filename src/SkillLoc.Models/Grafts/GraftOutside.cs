namespace SkillLoc.Models.Grafts;

/// <summary>The values of considered parameters outside a graft's mask.</summary>
public enum GraftOutside
{
    /// <summary>Their pre-trained values.</summary>
    PreTrained,

    /// <summary>Zero, as in lottery tickets (the paper's baseline; methods, A.13).</summary>
    Zero,
}
