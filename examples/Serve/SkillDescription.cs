using System.Text.Json.Serialization;

namespace SkillLoc.Serve;

/// <summary>A skill of the service.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Labels">Its labels; none where it predicts a score.</param>
/// <param name="IsPair">Whether it scores pairs of texts.</param>
/// <param name="Runtime">What runs it.</param>
public sealed record SkillDescription(string Name, IReadOnlyList<string> Labels, bool IsPair, string Runtime)
{
    /// <summary>How often it was right on test rows, by how sure it was.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Calibration? Calibration { get; init; }
}
