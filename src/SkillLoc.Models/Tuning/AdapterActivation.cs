namespace SkillLoc.Models.Tuning;

/// <summary>The non-linearity within an adapter.</summary>
public enum AdapterActivation
{
    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x times the normal distribution's cumulative function.</summary>
    Gelu,

    /// <summary>The same, approximated by a hyperbolic tangent, as GPT-2 does.</summary>
    GeluNew,

    /// <summary>x times its logistic function.</summary>
    Swish,
}
