using System.Diagnostics;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Studies;

/// <summary>
/// The parts of a study that are done, each a file of its own that is complete or absent, so that a study that was stopped goes on.
/// </summary>
public sealed class StudyFolder
{
    private readonly string _path;
    private readonly CancellationToken _stop;

    /// <summary>Takes a folder, made where it is missing.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="stop">Ends the study before its next part.</param>
    /// <exception cref="IOException">It cannot be made or written to.</exception>
    public StudyFolder(string path, CancellationToken stop = default)
    {
        _path = path;
        _stop = stop;
        AtomicFile.CheckWritable(Path.Combine(path, "part.json"));
    }

    /// <summary>Reads a part that was done before, or measures it.</summary>
    /// <param name="name">The file's name, without its extension.</param>
    /// <param name="fingerprint">What <see cref="StudyJson.FingerprintOf"/> gave.</param>
    /// <param name="measure">Measures; given a folder for states of trainings, and for what they gave, which is removed when the part is
    /// done. What is in it was made by the same plan.</param>
    /// <returns>What was measured.</returns>
    /// <exception cref="InvalidDataException">The part was done by another plan, or its file is damaged.</exception>
    /// <exception cref="OperationCanceledException">The study was stopped; states of trainings stay for the next time.</exception>
    public T Get<T>(string name, string fingerprint, Func<string, T> measure)
    {
        string path = Path.Combine(_path, name + ".json");
        if (File.Exists(path))
        {
            T done = Read<T>(path, fingerprint);
            Console.WriteLine($"{name}: done before");
            return done;
        }

        _stop.ThrowIfCancellationRequested();
        var clock = Stopwatch.StartNew();
        string states = Path.Combine(_path, name + ".state"),
            state = Path.Combine(states, fingerprint);
        Directory.CreateDirectory(state);
        T measured = measure(state);
        var part = new Part<T>(fingerprint, clock.Elapsed.TotalSeconds, measured);
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, part, StudyJson.Options));
        Directory.Delete(states, recursive: true);
        Console.WriteLine($"{name}: {part.Seconds:F0} s");
        return measured;
    }

    private static T Read<T>(string path, string fingerprint)
    {
        Part<T> part = StudyJson.Read<Part<T>>(path, $"{path} is damaged; delete it to measure again");
        return part.Fingerprint == fingerprint
            ? part.Measurements
            : throw new InvalidDataException(
                $"{path} is of a study with fingerprint {part.Fingerprint}, and this one's is {fingerprint}: the plan, the checkpoint "
                    + "or the data "
                    + "changed since. Give another output folder, or delete that file to measure again."
            );
    }

    private sealed record Part<T>(string Fingerprint, double Seconds, T Measurements);
}
