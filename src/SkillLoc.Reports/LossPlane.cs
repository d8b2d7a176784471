namespace SkillLoc.Reports;

/// <summary>
/// The loss over a plane through three models: u = theta_1 - theta_0, and v = theta_2 - theta_0 without its part along u (Garipov et al.
/// 2018, section 3), on axes in units of length.
/// </summary>
public sealed record LossPlane
{
    /// <summary>Places along u, ascending.</summary>
    public required IReadOnlyList<double> X { get; init; }

    /// <summary>Places along v, ascending.</summary>
    public required IReadOnlyList<double> Y { get; init; }

    /// <summary>The loss, a row for each place along v.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Loss { get; init; }

    /// <summary>The models to mark.</summary>
    public required IReadOnlyList<LossPlaneMark> Marks { get; init; }
}
