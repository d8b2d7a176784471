namespace SkillLoc.Models.Classification;

/// <summary>How a causal model scores the options of an autoregressive prompt (methods, A.6).</summary>
public enum OptionScoring
{
    /// <summary><see cref="FirstToken"/> if the options' first tokens all differ, else <see cref="WholeOption"/>.</summary>
    Auto,

    /// <summary>The logit of the option's first token after the text; an error if two options start with the same token.</summary>
    FirstToken,

    /// <summary>The mean log-likelihood of the option's tokens after the text; each row runs once per option.</summary>
    WholeOption,
}
