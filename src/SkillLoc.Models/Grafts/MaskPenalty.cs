namespace SkillLoc.Models.Grafts;

/// <summary>What the training of a mask is charged beside its loss (He et al. 2025, Localize-and-Stitch; methods, E.7).</summary>
public enum MaskPenalty
{
    /// <summary>Nothing, as in the grafting paper.</summary>
    None,

    /// <summary>The size of the soft mask, its L1 norm, as in the paper of Localize-and-Stitch: coordinates leave that do not pay.</summary>
    Shrink,

    /// <summary>Nearness to 1/2, as in the code of Localize-and-Stitch: every coordinate moves to the side that it is on.</summary>
    Polarize,
}
