namespace SkillLoc.Models.Prompts;

/// <summary>What a template does to a sentence's first letter.</summary>
public enum FirstLetter
{
    /// <summary><c>sent_i</c>: nothing.</summary>
    AsIs,

    /// <summary><c>sentl_i</c>: lower case.</summary>
    Lower,

    /// <summary><c>sentu_i</c>: upper case.</summary>
    Upper,
}
