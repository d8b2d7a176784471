namespace SkillLoc.Models.Tuning;

/// <summary>The activation of an adapter.</summary>
public enum AdapterActivation
{
    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x times the standard normal cumulative distribution function.</summary>
    Gelu,

    /// <summary>GELU in the tanh approximation of GPT-2.</summary>
    GeluNew,

    /// <summary>x times the logistic function of x (SiLU).</summary>
    Swish,
}
