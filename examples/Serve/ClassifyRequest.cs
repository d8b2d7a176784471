using System.Text.Json.Serialization;

namespace SkillLoc.Serve;

/// <summary>One text, or several.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ClassifyRequest
{
    /// <summary>The text, if it is one.</summary>
    /// <example>A gripping, beautifully acted film.</example>
    public string? Text { get; init; }

    /// <summary>The second text, of skills that score pairs.</summary>
    public string? TextPair { get; init; }

    /// <summary>The texts, if they are several.</summary>
    public IReadOnlyList<string?>? Texts { get; init; }

    /// <summary>The second text for each of the texts, of skills that score pairs.</summary>
    public IReadOnlyList<string?>? TextPairs { get; init; }
}
