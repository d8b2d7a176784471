using System.Reflection;

namespace SkillLoc.Studies;

/// <summary>Which program measured.</summary>
/// <param name="Version">The version, such as 0.1.0.</param>
/// <param name="Commit">The commit that it was built from; empty where nobody knows.</param>
public sealed record StudyBuild(string Version, string Commit)
{
    /// <summary>Reads an assembly's informational version, into which the SDK writes the commit of a git clone.</summary>
    /// <param name="assembly">The assembly that a study is in.</param>
    public static StudyBuild Of(Assembly assembly)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        string[] parts = (assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "").Split('+', 2);
        return new(parts[0], parts.Length > 1 ? parts[1] : "");
    }

    /// <inheritdoc/>
    public override string ToString() => Commit.Length == 0 ? Version : $"{Version}+{Commit}";
}
