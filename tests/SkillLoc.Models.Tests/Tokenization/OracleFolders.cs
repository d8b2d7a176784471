using System.Text.Json;

namespace SkillLoc.Models.Tests.Tokenization;

// The oracle checkpoints lie in shared/ beside the repository or its worktree's parent; tests that need them skip where it is absent.
internal static class OracleFolders
{
    public static string Of(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "shared", "oracles", name);
            if (Directory.Exists(path))
                return path;
        }
        Skip.If(true, $"shared/oracles/{name} is not on this machine.");
        return "";
    }

    public static IReadOnlyList<(string Text, int[] Ids)> Texts(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Of(name), "tokenization.json")).AsMemory());
        return [.. document.RootElement.EnumerateArray().Select(entry =>
            (entry.GetProperty("text").GetString()!, entry.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray()))];
    }
}
