using System.Text.Json;

namespace SkillLoc.Models.Tests.Tokenization;

// The oracle checkpoints: some are copied into tests/oracles, the others lie in shared/ and are skipped where that is absent.
internal static class OracleFolders
{
    public static string Of(string name)
    {
        if (Oracles.PathOf(name) is var copied && Directory.Exists(copied))
        {
            return copied;
        }

        string shared = Oracles.SharedPathOf("oracles", name);
        Assert.SkipUnless(Directory.Exists(shared), $"{shared} is not on this machine.");
        return shared;
    }

    public static IReadOnlyList<(string Text, int[] Ids)> Texts(string name, string file = "tokenization.json")
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Of(name), file)).AsMemory());
        return
        [
            .. document
                .RootElement.EnumerateArray()
                .Select(entry =>
                    (
                        entry.GetProperty("text").GetString()!,
                        entry.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray()
                    )
                ),
        ];
    }
}
