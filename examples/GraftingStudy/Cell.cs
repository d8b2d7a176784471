using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.GraftingStudy;

/// <summary>One part of a study that is done or not: a file of its own, complete or absent, so that a study that was stopped goes on.</summary>
/// <param name="Fingerprint">Identifies everything that the measurements depend on.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Measurements">What was measured.</param>
public sealed record Cell(string Fingerprint, double Seconds, IReadOnlyList<Measurement> Measurements)
{
    /// <summary>The identity of a part: a hash of what it depends on.</summary>
    public static string FingerprintOf(params object[] parts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(parts, StudyPlan.Json))))[..16];

    /// <summary>Reads a part that was done; null when it was not.</summary>
    /// <exception cref="InvalidDataException">It was done by another plan, or the file is damaged.</exception>
    public static Cell? Load(string path, string fingerprint)
    {
        if (!File.Exists(path))
            return null;
        Cell cell;
        try
        {
            cell = JsonSerializer.Deserialize<Cell>(File.ReadAllText(path), StudyPlan.Json) ?? throw new JsonException("It holds null.");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path} is damaged ({error.Message}); delete it to measure again.", error);
        }

        return cell.Fingerprint == fingerprint ? cell : throw new InvalidDataException(
            $"{path} is of a study with fingerprint {cell.Fingerprint}, and this one's is {fingerprint}: the plan, the checkpoint or the data "
            + "changed since. Give another output folder, or delete that file to measure again.");
    }

    /// <summary>Writes the part.</summary>
    public void Save(string path) => AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, StudyPlan.Json));
}
