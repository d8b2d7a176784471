using SkillLoc.Models.Datasets;

namespace SkillLoc.Studies;

/// <summary>A file of labelled rows.</summary>
public sealed record StudyFile
{
    /// <summary>The path under the plan's data folder.</summary>
    public required string Path { get; init; }

    /// <summary>For texts and labels in parallel files, the labels' path.</summary>
    public string? Labels { get; init; }

    /// <summary>How it is laid out.</summary>
    public TaskFileFormat Format { get; init; } = new();

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as the format says.</exception>
    public IReadOnlyList<LabeledText> Read(string folder) =>
        [
            .. TaskFileReader.Read(
                System.IO.Path.Combine(folder, Path),
                Format,
                Labels is null ? null : System.IO.Path.Combine(folder, Labels)
            ),
        ];
}
