using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The outputs of a run, all of which are checked before the first update, so that no training is lost to a path that cannot be written.
/// Later failures cause a warning and do not lose the model.
/// </summary>
internal sealed class RunOutputs
{
    private readonly List<Output> _all = [];

    /// <summary>Adds a file that is replaced.</summary>
    /// <param name="option">The name of the option.</param>
    /// <param name="path">The file; null for none.</param>
    /// <param name="bytes">Its approximate size.</param>
    public void AddFile(string option, string? path, long bytes) => Add(new(option, path!, Kind.File, bytes));

    /// <summary>Adds the file of training dynamics, which is replaced.</summary>
    public void AddCartography(string option, string? path) => Add(new(option, path!, Kind.Cartography, 0));

    /// <summary>Adds a log of runs, which is appended to.</summary>
    public void AddLog(string option, string? path) => Add(new(option, path!, Kind.Log, 0));

    /// <summary>Adds a checkpoint folder, which is replaced.</summary>
    public void AddCheckpoint(string option, string? path, long bytes) => Add(new(option, path!, Kind.Checkpoint, bytes));

    /// <summary>Adds a folder to which files are added.</summary>
    public void AddFolder(string option, string? path, long bytes) => Add(new(option, path!, Kind.Folder, bytes));

    /// <summary>Throws unless all can be written; creates their folders, and removes temporary files of killed writers.</summary>
    /// <param name="freeSpace">Returns the free bytes and the id of a folder's disk; null queries the system.</param>
    /// <exception cref="ArgumentException">Two options name the same place.</exception>
    /// <exception cref="IOException">An output cannot be written; the message names the option.</exception>
    public void Check(Func<string, (string Disk, long Free)>? freeSpace = null)
    {
        for (int i = 0; i < _all.Count; i++)
        {
            Output one = _all[i];
            if (
                _all.Take(i).FirstOrDefault(other => PathIdentity.Same(other.Path, one.Path)) is { } same
                && !(same.Kind == one.Kind && one.IsShared)
            )
            {
                throw new ArgumentException(
                    $"Options.{same.Option} and Options.{one.Option} are both '{one.Path}'; they must be different places."
                );
            }
        }

        foreach (Output output in _all)
        {
            try
            {
                CheckOne(output);
            }
            catch (Exception error)
                when (error is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException)
            {
                throw new IOException($"Options.{output.Option} cannot be written, so nothing was trained: {error.Message}", error);
            }
        }

        CheckSpace(freeSpace ?? Free);
    }

    /// <summary>Writes an output, and logs a warning if that fails.</summary>
    /// <param name="channel">The trainer's.</param>
    /// <param name="what">The output's name at the start of messages.</param>
    /// <param name="write">Writes it.</param>
    /// <returns>Whether it succeeded.</returns>
    public static bool Try(IChannel channel, string what, Action write)
    {
        try
        {
            write();
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            channel.Warning(MessageSensitivity.None, $"{what} was not written, and training continues without it: {error.Message}");
            return false;
        }
    }

    /// <summary>Returns the size of parameters in a file.</summary>
    public static long BytesOf(IEnumerable<Tensor> parameters) => parameters.Sum(parameter => parameter.numel() * parameter.element_size());

    private static (string Disk, long Free) Free(string folder)
    {
        var drive = new DriveInfo(folder);

        // On Linux a drive is called after whatever folder it is asked for.
        return ($"{drive.TotalSize} {drive.TotalFreeSpace}", drive.AvailableFreeSpace);
    }

    private void Add(Output output)
    {
        if (output.Path is not null)
        {
            _all.Add(output);
        }
    }

    private void CheckOne(Output output)
    {
        switch (output.Kind)
        {
            case Kind.Folder:
                AtomicFile.CheckWritable(Path.Join(output.Path, "output"));
                break;
            case Kind.Checkpoint:
                // What else this run writes may lie in it.
                CheckpointFolder.CheckWritable(output.Path, [.. _all.Where(other => other != output).Select(other => other.Path)]);
                break;
            case Kind.Log:
                RunRecord.CheckWritable(output.Path);
                break;
            default:
                AtomicFile.CheckWritable(output.Path);
                if (output.Kind == Kind.Cartography && new FileInfo(output.Path) is { Exists: true, Length: > 0 })
                {
                    TrainingDynamics.Load(output.Path);
                }

                break;
        }
    }

    private void CheckSpace(Func<string, (string Disk, long Free)> freeSpace)
    {
        IEnumerable<(Output Output, (string Disk, long Free) Disk)> disks = _all.Where(output => output.Bytes > 0)
            .Select(output => (Output: output, Disk: freeSpace(FolderOf(output))));
        foreach (
            IGrouping<string, (Output Output, (string Disk, long Free) Disk)> disk in disks.GroupBy(
                each => each.Disk.Disk,
                StringComparer.Ordinal
            )
        )
        {
            long needed = disk.Sum(each => each.Output.Bytes),
                free = disk.Min(each => each.Disk.Free);
            if (needed > free)
            {
                throw new IOException(
                    $"{string.Join(", ", disk.Select(each => $"Options.{each.Output.Option} ({each.Output.Path})"))} will take about "
                        + $"{needed >> 20} MiB, and the disk has {free >> 20} MiB left, so nothing was trained. Make room, or name "
                        + "another place."
                );
            }
        }
    }

    /// <summary>Returns an existing folder on the disk of an output.</summary>
    private static string FolderOf(Output output) =>
        Directory.Exists(output.Path)
            ? output.Path
            : Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(output.Path)))!;

    private enum Kind
    {
        File,
        Cartography,
        Log,
        Checkpoint,
        Folder,
    }

    private sealed record Output(string Option, string Path, Kind Kind, long Bytes)
    {
        /// <summary>Whether outputs may share a path: appended logs, and folders for several files.</summary>
        public bool IsShared => Kind is Kind.Log or Kind.Folder;
    }
}

/// <summary>The settings that affect the result of a run, by snake_case name.</summary>
internal sealed class RunDescription : Dictionary<string, string>
{
    /// <summary>Describes every number, flag and choice of an options class.</summary>
    /// <param name="options">The options, with public fields as in ML.NET.</param>
    /// <param name="except">Names of fields that do not affect the result.</param>
    public RunDescription(object options, params string[] except)
        : base(StringComparer.Ordinal)
    {
        foreach (FieldInfo field in options.GetType().GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            Type type = Nullable.GetUnderlyingType(field.FieldType) ?? field.FieldType;
            if ((type.IsPrimitive || type.IsEnum) && !except.Contains(field.Name))
            {
                Put(field.Name, field.GetValue(options));
            }
        }
    }

    /// <summary>Adds another value; null is omitted.</summary>
    public void Put(string name, object? value)
    {
        if (value is not null)
        {
            this[JsonNamingPolicy.SnakeCaseLower.ConvertName(name)] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
        }
    }
}

/// <summary>Hexadecimal SHA-256 fingerprints of what the result of a run depends on.</summary>
internal static class RunFingerprint
{
    /// <summary>Returns the fingerprint of a run description.</summary>
    public static string Of(IReadOnlyDictionary<string, string> run) =>
        Convert.ToHexStringLower(
            SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(run.OrderBy(pair => pair.Key, StringComparer.Ordinal)))
        );

    /// <summary>Returns the fingerprint of encoded rows and their labels.</summary>
    public static string Of(EncodedDataset data)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append<float>(hash, data.Weights);
        for (int i = 0; i < data.Count; i++)
        {
            EncodedText text = data.Texts[i];
            Append(hash, [text.Position]);
            Append(hash, [text.Ids.Length, .. text.Ids]);
            Append(hash, [text.TokenTypes?.Length ?? -1, .. text.TokenTypes ?? []]);
            RowTarget target = data.Targets[i];
            Append(hash, [target.Label]);
            Append<float>(hash, [target.Share, .. target.LabelSet]);
            foreach (int[] tokens in target.AnswerTokens)
            {
                Append(hash, [tokens.Length, .. tokens]);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
        where T : unmanaged => hash.AppendData(MemoryMarshal.AsBytes(values));
}
