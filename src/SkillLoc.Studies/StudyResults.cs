using System.Text.Json;

namespace SkillLoc.Studies;

/// <summary>What the runs of a study measured, by their names.</summary>
public sealed class StudyResults
{
    private readonly StudyFolder _folder;
    private readonly StudyBuild? _build;
    private readonly Dictionary<string, string> _ids;

    internal StudyResults(StudyFolder folder, StudyBuild? build, IEnumerable<KeyValuePair<string, string>> ids)
    {
        _folder = folder;
        _build = build;
        _ids = new(ids, StringComparer.Ordinal);
    }

    /// <summary>The names of the runs, in the study's order.</summary>
    public IReadOnlyList<string> Names => [.. _ids.Keys];

    /// <summary>What a run measured.</summary>
    /// <param name="name">The run's name.</param>
    /// <exception cref="InvalidDataException">It is not done, or its result is damaged or something else.</exception>
    public T Get<T>(string name)
    {
        string id = IdOf(name);
        RunRecord record =
            _folder.Read(id, _build)
            ?? throw new InvalidDataException($"The run '{name}' is not done: {_folder.ResultFile(id)} is missing.");
        try
        {
            return record.Result.Deserialize<T>(StudyJson.Options)
                ?? throw new InvalidDataException($"{_folder.ResultFile(id)} holds no result.");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{_folder.ResultFile(id)} is damaged: {error.Message}", error);
        }
    }

    /// <summary>The folder of what a run left, which may be missing where it left nothing.</summary>
    /// <param name="name">The run's name.</param>
    public string FilesOf(string name) => _folder.FilesOf(IdOf(name));

    /// <summary>A time, or what was computed from times, which a run kept; NaN where it has none of that name.</summary>
    /// <param name="name">The run's name.</param>
    /// <param name="what">What was timed.</param>
    public double Time(string name, string what)
    {
        string file = _folder.TimesFile(IdOf(name));
        return
            File.Exists(file) && StudyJson.Read<Dictionary<string, double>>(file, $"{file} is damaged").TryGetValue(what, out double time)
            ? time
            : double.NaN;
    }

    private string IdOf(string name) =>
        _ids.TryGetValue(name, out string? id) ? id : throw new ArgumentException($"The study has no run '{name}'.", nameof(name));
}
