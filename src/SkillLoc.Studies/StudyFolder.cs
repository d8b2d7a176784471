using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Studies;

/// <summary>
/// A study's folder: <c>study.json</c> and <c>plan.json</c>, what runs measured in <c>runs/ID</c> (complete or absent), their states in
/// <c>state/ID</c>, who works on them in <c>leases</c>, what failed in <c>failures</c>, and one line a run in <c>log.jsonl</c>.
/// </summary>
internal sealed class StudyFolder(string path)
{
    /// <summary>The version of all files' layout.</summary>
    public const int Schema = 1;

    public string Log { get; } = Path.Join(path, "log.jsonl");

    public string Leases { get; } = Path.Join(path, "leases");

    public string PlanFile { get; } = Path.Join(path, "plan.json");

    private string ManifestFile => Path.Join(path, "study.json");

    public string RunFolder(string id) => Path.Join(path, "runs", id);

    public string ResultFile(string id) => Path.Join(RunFolder(id), "result.json");

    public string TimesFile(string id) => Path.Join(RunFolder(id), "times.json");

    public string FilesOf(string id) => Path.Join(RunFolder(id), "files");

    public string StateOf(string id) => Path.Join(path, "state", id);

    public string FailureFile(string id) => Path.Join(path, "failures", id + ".json");

    /// <summary>Makes the folders.</summary>
    /// <exception cref="IOException">The folder cannot be written to.</exception>
    public void Create()
    {
        foreach (string folder in new[] { "runs", "state", "leases", "failures" })
        {
            Directory.CreateDirectory(Path.Join(path, folder));
        }
    }

    /// <summary>Says what the study is. One process at a time may do so.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public void Describe(StudyManifest manifest, StudyRequest? request)
    {
        WriteIfOther(ManifestFile, JsonSerializer.SerializeToUtf8Bytes(manifest, StudyJson.Options));
        if (request is not null && !PathIdentity.Same(request.Plan, PlanFile))
        {
            WriteIfOther(PlanFile, File.ReadAllBytes(request.Plan));
        }
    }

    /// <exception cref="FileNotFoundException">The folder is none of a study.</exception>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public StudyManifest ReadManifest()
    {
        if (!File.Exists(ManifestFile))
        {
            throw new FileNotFoundException($"{path} is no study's folder: it has no study.json.");
        }

        StudyManifest manifest = StudyJson.Read<StudyManifest>(ManifestFile, $"{ManifestFile} is damaged");
        return manifest.Schema == Schema
            ? manifest
            : throw new InvalidDataException($"{ManifestFile} has schema {manifest.Schema}; this program reads {Schema}.");
    }

    /// <summary>What a run measured; null where it is not done.</summary>
    /// <param name="id">The run.</param>
    /// <param name="build">Who may have measured; null for anybody.</param>
    /// <exception cref="InvalidDataException">The result is damaged, another run's, or of another build.</exception>
    public RunRecord? Read(string id, StudyBuild? build)
    {
        string file = ResultFile(id);
        if (!File.Exists(file))
        {
            return null;
        }

        RunRecord record = StudyJson.Read<RunRecord>(file, $"{file} is damaged; delete its folder to measure again");
        if (record.Id != id || record.Schema != Schema)
        {
            throw new InvalidDataException(
                $"{file} is the result of {record.Id} in schema {record.Schema}; delete its folder to measure again."
            );
        }

        return build is null || record.Build() == build
            ? record
            : throw new InvalidDataException(
                $"{file} was measured by {record.Build()}, and this is {build}: results of different programs are not mixed. Give "
                    + "another output folder, or --mix to take them."
            );
    }

    /// <summary>Gives a run's folder, complete, its name.</summary>
    /// <param name="id">The run.</param>
    /// <param name="made">The folder, in the same file system.</param>
    /// <exception cref="InvalidDataException">Somebody else has measured something else.</exception>
    public void Commit(string id, string made)
    {
        string target = RunFolder(id);
        if (!TryMove(made, target))
        {
            // Another worker took this one for dead and was done first; or its temporary files are wanted again.
            CheckSame(ResultFile(id), Path.Join(made, "result.json"));
            if (Directory.Exists(FilesOf(id)) || !Directory.Exists(Path.Join(made, "files")))
            {
                Directory.Delete(made, recursive: true);
            }
            else
            {
                Directory.Move(Path.Join(made, "files"), FilesOf(id));
            }
        }
    }

    /// <exception cref="InvalidDataException">Two results of one run differ.</exception>
    public static void CheckSame(string one, string other)
    {
        if (!File.ReadAllBytes(one).AsSpan().SequenceEqual(File.ReadAllBytes(other)))
        {
            throw new InvalidDataException(
                $"{one} and {other} are results of one run and differ: they were measured on machines or with numbers of threads that "
                    + "calculate differently. Keep one of them."
            );
        }
    }

    /// <summary>The marks of failed runs, whose content differs each time.</summary>
    public string? ReadFailure(string id) => File.Exists(FailureFile(id)) ? File.ReadAllText(FailureFile(id)) : null;

    private static bool TryMove(string from, string to)
    {
        try
        {
            Directory.Move(from, to);
            return true;
        }
        catch (IOException) when (Directory.Exists(to))
        {
            return false;
        }
    }

    private static void WriteIfOther(string file, byte[] content)
    {
        if (!File.Exists(file) || !File.ReadAllBytes(file).AsSpan().SequenceEqual(content))
        {
            AtomicFile.Write(file, stream => stream.Write(content));
        }
    }
}
