namespace SkillLoc.Models.Prompts;

/// <summary>How a template changes the first letter of a sentence.</summary>
public enum FirstLetter
{
    /// <summary><c>sent_i</c>: unchanged.</summary>
    AsIs,

    /// <summary><c>sentl_i</c>: lower case.</summary>
    Lower,

    /// <summary><c>sentu_i</c>: upper case.</summary>
    Upper,
}
