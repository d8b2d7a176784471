using System.Security.Cryptography;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Transforms;

/// <summary>
/// The cache of checkpoints unpacked from model files. Each is in a folder named by the hash of its content, which models and programs
/// share and which never changes.
/// </summary>
internal static class CheckpointCache
{
    private const string Config = "config.json";

    private static readonly Lock Writing = new();
    private static readonly HashSet<string> Used = new(StringComparer.Ordinal);

    private static string Default
    {
        get
        {
            if (Environment.GetEnvironmentVariable(CheckpointStore.CacheVariable) is { Length: > 0 } folder)
            {
                return Path.GetFullPath(folder);
            }

            string local = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
            return Path.Join(local.Length > 0 ? local : Path.GetTempPath(), "SkillLoc", "checkpoints");
        }
    }

    /// <summary>The folder of an unpacked checkpoint; null if it is not in the cache.</summary>
    /// <param name="content">Its <see cref="PackedCheckpoint.Content"/>.</param>
    public static string? Find(string content)
    {
        lock (Writing)
        {
            return Used.Append(Default)
                .Select(root => Path.Join(root, content))
                .FirstOrDefault(folder => File.Exists(Path.Join(folder, Config)));
        }
    }

    /// <summary>Unpacks a checkpoint unless the cache contains the same bytes.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="cacheFolder">The cache folder; null for the default.</param>
    /// <param name="source">Name of the model file in messages.</param>
    /// <param name="open">Opens a file of the checkpoint; null if it does not exist.</param>
    /// <exception cref="InvalidDataException">A file differs from its description.</exception>
    /// <exception cref="IOException">The folder could not be written.</exception>
    public static void Put(PackedCheckpoint checkpoint, string? cacheFolder, string source, Func<string, Stream?> open)
    {
        string root = cacheFolder is null ? Default : Path.GetFullPath(cacheFolder);
        string folder = Path.Join(root, checkpoint.Content);
        lock (Writing)
        {
            if (!IsThere(checkpoint, folder))
            {
                try
                {
                    Directory.CreateDirectory(root);
                    AtomicFolder.Write(folder, Fill, isStale: _ => true, validBy: Config);
                }
                catch (Exception error) when (error is IOException or UnauthorizedAccessException)
                {
                    // Another process may have been quicker.
                    if (!IsThere(checkpoint, folder))
                    {
                        long bytes = checkpoint.Files.Sum(file => file.Length);
                        throw new IOException(
                            FormattableString.Invariant(
                                $"{source} holds a checkpoint of {bytes / 1e6:F1} MB, which could not be unpacked: "
                            )
                                + $"{error.Message.TrimEnd('.')}. Make room, or choose another folder with the argument cacheFolder "
                                + "or the environment "
                                + $"variable {CheckpointStore.CacheVariable}.",
                            error
                        );
                    }
                }
            }

            Used.Add(root);
        }

        void Fill(string stage)
        {
            foreach (PackedFile file in checkpoint.Files)
            {
                Copy(file, stage);
            }

            // What another process has put there meanwhile, and reads, stays.
            if (IsThere(checkpoint, folder))
            {
                throw new IOException("another program has written it");
            }
        }

        void Copy(PackedFile file, string stage)
        {
            using Stream read =
                open(file.Name)
                ?? throw new InvalidDataException(
                    $"{source} is damaged: it lacks the file '{file.Name}' of a checkpoint that it should hold."
                );
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            using FileStream written = File.Create(Path.Join(stage, file.Name));
            byte[] buffer = new byte[1 << 17];
            long length = 0;
            for (int count = read.Read(buffer); count > 0 && length <= file.Length; count = read.Read(buffer))
            {
                written.Write(buffer, 0, count);
                hash.AppendData(buffer, 0, count);
                length += count;
            }

            if (length != file.Length || Convert.ToHexStringLower(hash.GetHashAndReset()) != file.Sha256)
            {
                throw new InvalidDataException(
                    $"{source} is damaged: the file '{file.Name}' of a checkpoint in it is not what it was when it was saved."
                );
            }
        }
    }

    private static bool IsThere(PackedCheckpoint checkpoint, string folder)
    {
        try
        {
            return Directory.Exists(folder)
                && Directory
                    .EnumerateFiles(folder)
                    .Select(path => Path.GetFileName(path)!)
                    .Order(StringComparer.Ordinal)
                    .SequenceEqual(checkpoint.Files.Select(file => file.Name).Order(StringComparer.Ordinal))
                && checkpoint.Files.All(file => new FileInfo(Path.Join(folder, file.Name)).Length == file.Length)
                && checkpoint.Files.All(file => PackedFile.Of(Path.Join(folder, file.Name)) == file);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
