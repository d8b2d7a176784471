using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;

namespace SkillLoc.Transforms;

/// <summary>
/// The checkpoints that a model's file holds. The file is ML.NET's own, an archive, with entries of ours beside ML.NET's: a list, and the
/// checkpoints' files as they are.
/// </summary>
/// <param name="temporary">A folder for checkpoints that lie in none yet; removed at the end.</param>
internal sealed class PackedCheckpoints(string temporary) : IDisposable
{
    private const string Root = "SkillLoc/";
    private const string ListName = Root + "checkpoints.json";

    // A file takes 150 bytes of it.
    private const int MaxListBytes = 4 << 20;

    private static readonly JsonSerializerOptions Json = new()
    {
        AllowDuplicateProperties = false,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private readonly OrderedDictionary<string, (PackedCheckpoint Checkpoint, string[] Paths)> _checkpoints = new(StringComparer.Ordinal);
    private int _written;

    /// <summary>Adds a checkpoint folder.</summary>
    /// <returns>Its <see cref="PackedCheckpoint.Content"/>.</returns>
    public string Add(string folder)
    {
        string[] paths;
        using (var checkpoint = CheckpointFolder.Open(folder))
        {
            paths = [.. checkpoint.Files.OrderBy(Path.GetFileName, StringComparer.Ordinal)];
        }

        var packed = new PackedCheckpoint([.. paths.Select(PackedFile.Of)]);
        packed.Check($"The checkpoint folder '{folder}'");
        _checkpoints.TryAdd(packed.Content, (packed, paths));
        return packed.Content;
    }

    /// <summary>Adds a checkpoint that is written for this.</summary>
    /// <param name="write">Writes it into the folder that it is given.</param>
    /// <returns>Its <see cref="PackedCheckpoint.Content"/>.</returns>
    public string AddWritten(Action<string> write)
    {
        Directory.CreateDirectory(temporary);
        string folder = Path.Join(temporary, $"{++_written}");
        write(folder);
        return Add(folder);
    }

    /// <summary>Writes ML.NET's file with the checkpoints.</summary>
    /// <param name="model">What ML.NET wrote.</param>
    /// <param name="output">Where it goes; need not be seekable.</param>
    public void Write(Stream model, Stream output)
    {
        using var from = new ZipArchive(model, ZipArchiveMode.Read, leaveOpen: true);
        using var to = new ZipArchive(output, ZipArchiveMode.Create, leaveOpen: true);
        foreach (ZipArchiveEntry entry in from.Entries)
        {
            using Stream read = entry.Open();
            Append(entry.FullName, read, CompressionLevel.Optimal);
        }

        if (_checkpoints.Count == 0)
        {
            return;
        }

        using (
            var list = new MemoryStream(
                JsonSerializer.SerializeToUtf8Bytes(_checkpoints.Values.Select(each => each.Checkpoint.Files), Json)
            )
        )
        {
            Append(ListName, list, CompressionLevel.Optimal);
        }

        foreach ((string content, (PackedCheckpoint checkpoint, string[] paths)) in _checkpoints)
        {
            foreach ((PackedFile file, string path) in checkpoint.Files.Zip(paths))
            {
                // Numbers of weights hardly shrink.
                using FileStream read = File.OpenRead(path);
                Append(
                    $"{Root}{content}/{file.Name}",
                    read,
                    file.Length > 1 << 24 ? CompressionLevel.NoCompression : CompressionLevel.Fastest
                );
            }
        }

        void Append(string name, Stream read, CompressionLevel level)
        {
            using Stream entry = to.CreateEntry(name, level).Open();
            read.CopyTo(entry);
        }
    }

    /// <summary>Unpacks the checkpoints of a model file that are not in the cache yet.</summary>
    /// <param name="model">The file's bytes, seekable.</param>
    /// <param name="source">What it is, for messages.</param>
    /// <param name="cacheFolder">Where they go; null for the usual place.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="IOException">The checkpoints could not be written.</exception>
    public static void Unpack(Stream model, string source, string? cacheFolder)
    {
        try
        {
            using var archive = new ZipArchive(model, ZipArchiveMode.Read, leaveOpen: true);
            if (archive.GetEntry(ListName) is not { } list)
            {
                return;
            }

            foreach (PackedCheckpoint checkpoint in Read(list, source))
            {
                string content = checkpoint.Content;
                CheckpointCache.Put(checkpoint, cacheFolder, source, name => archive.GetEntry($"{Root}{content}/{name}")?.Open());
            }
        }
        catch (InvalidDataException error) when (!error.Message.StartsWith(source, StringComparison.Ordinal))
        {
            throw new InvalidDataException($"{source} is damaged, or is no model that was saved: {error.Message}", error);
        }
    }

    /// <summary>Removes what was written on the way.</summary>
    public void Dispose()
    {
        if (Directory.Exists(temporary))
        {
            Directory.Delete(temporary, recursive: true);
        }
    }

    private static PackedCheckpoint[] Read(ZipArchiveEntry list, string source)
    {
        try
        {
            using Stream stream = list.Open();
            byte[] bytes = new byte[(int)Math.Min(list.Length, MaxListBytes) + 1];
            int length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length == bytes.Length)
            {
                throw new JsonException($"It is longer than the {Math.Min(list.Length, MaxListBytes)} bytes that it may have.");
            }

            ReadOnlySpan<byte> json = bytes.AsSpan(0, length);
            JsonText.CheckObjects(json, default);
            PackedFile?[]?[]? files = JsonSerializer.Deserialize<PackedFile?[]?[]>(json, Json);
            if (files is null || files.Any(each => each is null || each.Contains(null)))
            {
                throw new JsonException("It holds null.");
            }

            PackedCheckpoint[] checkpoints = [.. files.Select(each => new PackedCheckpoint(each!))];
            Array.ForEach(checkpoints, checkpoint => checkpoint.Check(source));
            return checkpoints;
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new InvalidDataException(
                $"{source} is damaged: its list of checkpoints cannot be read ({error.Message.TrimEnd('.')}).",
                error
            );
        }
    }
}

/// <summary>A checkpoint inside a model's file: what its files are called, and what they hold.</summary>
/// <param name="Files">The files, in the order of their names.</param>
internal sealed partial record PackedCheckpoint(IReadOnlyList<PackedFile> Files)
{
    /// <summary>The identity of the files' names and bytes: 64 lower-case hexadecimal digits.</summary>
    public string Content =>
        Convert.ToHexStringLower(
            SHA256.HashData(
                Encoding.UTF8.GetBytes(
                    string.Concat(Files.Select(file => FormattableString.Invariant($"{file.Name}\n{file.Length}\n{file.Sha256}\n")))
                )
            )
        );

    /// <summary>Throws unless the names are those of files in one folder, each once.</summary>
    /// <param name="source">What says so, for messages.</param>
    /// <exception cref="InvalidDataException">They are not.</exception>
    public void Check(string source)
    {
        if (Files.Count == 0)
        {
            throw new InvalidDataException($"{source} is damaged: a checkpoint in it has no files.");
        }

        // What leads out of the folder is refused with what merely looks odd.
        if (Files.FirstOrDefault(file => !FileName().IsMatch(file.Name)) is { } bad)
        {
            throw new InvalidDataException(
                $"{source} is damaged: a checkpoint in it has a file '{bad.Name}', which is no plain file name."
            );
        }

        if (Files.GroupBy(file => file.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidDataException($"{source} is damaged: a checkpoint in it has the file '{twice.Key}' twice.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9._-]*$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex FileName();
}

/// <summary>A file of a checkpoint.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Sha256">The SHA-256 of its bytes, in lower-case hexadecimal digits.</param>
internal sealed record PackedFile(string Name, long Length, string Sha256)
{
    /// <summary>Describes a file on the disk.</summary>
    public static PackedFile Of(string path)
    {
        using FileStream file = File.OpenRead(path);
        return new(Path.GetFileName(path), file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
    }
}

/// <summary>A transformer that names a checkpoint folder where it is saved.</summary>
internal interface INamesCheckpoint
{
    /// <summary>The built-in transformers that it is saved as where the file holds the checkpoint.</summary>
    /// <param name="packed">Takes the checkpoint.</param>
    ITransformer Carrier(PackedCheckpoints packed);
}
