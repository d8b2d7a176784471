using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;

namespace SkillLoc.Models.Hub;

/// <summary>Downloads a checkpoint into the cache.</summary>
internal sealed class HubDownload
{
    private const string Config = "config.json";
    private const int BufferBytes = 1 << 17;
    private const int BytesBetweenReports = 1 << 20;
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(50);

    private readonly HubName _name;
    private readonly HubOptions _options;
    private readonly HubCache _cache;
    private readonly HubClient _client;
    private readonly CancellationToken _cancellation;

    private HubDownload(HubName name, HubOptions options, CancellationToken cancellation)
    {
        _name = name;
        _options = options;
        _cache = new(options);
        _client = new(name, options);
        _cancellation = cancellation;
    }

    /// <summary>Downloads what a checkpoint needs and the cache has not.</summary>
    /// <param name="name">The checkpoint.</param>
    /// <param name="options">Server, token and cache.</param>
    /// <param name="looked">Where it was looked for before, for the message that it does not exist.</param>
    /// <param name="cancellation">Ends the download.</param>
    /// <returns>The snapshot.</returns>
    public static HubSnapshot Run(HubName name, HubOptions options, string looked, CancellationToken cancellation)
    {
        try
        {
            // On a thread of the pool, where no context of a user interface waits for itself.
            return Task.Run(() => new HubDownload(name, options, cancellation).Run(), cancellation).GetAwaiter().GetResult();
        }
        catch (DirectoryNotFoundException e)
        {
            throw new DirectoryNotFoundException($"{looked} {e.Message}", e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || AtomicFolder.IsTooLarge(e))
        {
            throw new IOException(
                $"The cache '{new HubCache(options).Root}' cannot be written ({e.Message.TrimEnd('.')}); HF_HUB_CACHE names another place.",
                e
            );
        }
    }

    private async Task<HubSnapshot> Run()
    {
        (string commit, IReadOnlyList<string> files) = await _client.List(_cancellation).ConfigureAwait(false);
        if (!files.Contains(Config))
        {
            throw new InvalidDataException($"'{_name}' at {_client.Endpoint} has no {Config}: it is no checkpoint of transformers.");
        }

        // Before anything large, whether there is a use for it.
        LanguageModel.CheckArchitecture(ModelConfig.Load(await Fetch(commit, Config).ConfigureAwait(false)));
        string weights =
            Array.Find(CheckpointFolder.WeightFiles, files.Contains)
            ?? throw new InvalidDataException(
                $"'{_name}' at {_client.Endpoint} has no weights that can be read, none of "
                    + $"{string.Join(", ", CheckpointFolder.WeightFiles)}; it has {string.Join(", ", files.Order(StringComparer.Ordinal).Take(20))}."
            );
        string[] others = [.. CheckpointFolder.KnownTokenizerFiles, ClassifierSettings.FileName, CheckpointFolder.OwnTensors];
        foreach (string file in others.Where(files.Contains))
        {
            await Fetch(commit, file).ConfigureAwait(false);
        }

        if (files.Contains(SentenceModules.ListFile))
        {
            string list = await Fetch(commit, SentenceModules.ListFile).ConfigureAwait(false);
            foreach (string file in SentenceModules.NamesOf(list).Where(files.Contains))
            {
                await Fetch(commit, file).ConfigureAwait(false);
            }
        }

        string path = await Fetch(commit, weights).ConfigureAwait(false);
        if (weights.EndsWith(".index.json", StringComparison.Ordinal))
        {
            foreach (string shard in HubCache.Shards(path))
            {
                await Fetch(commit, shard).ConfigureAwait(false);
            }
        }

        // Last, so that a branch never stands for half a checkpoint.
        if (_name.RevisionOrMain != commit)
        {
            _cache.WriteRef(_name.Repository, _name.RevisionOrMain, commit);
        }

        return new(_name.Repository, commit, _cache.SnapshotOf(_name.Repository, commit));
    }

    /// <summary>Puts a file into the snapshot.</summary>
    /// <returns>Its path there.</returns>
    private async Task<string> Fetch(string commit, string name)
    {
        string path = Path.Join(_cache.SnapshotOf(_name.Repository, commit), name);
        if (HubCache.Exists(path))
        {
            return path;
        }

        HubFile file = await _client.Head(commit, name, _cancellation).ConfigureAwait(false);
        string blob = _cache.BlobOf(_name.Repository, file.Hash);
        string held = _cache.LockOf(_name.Repository, file.Hash);
        Directory.CreateDirectory(Path.GetDirectoryName(held)!);
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        using (await Enter(held).ConfigureAwait(false))
        {
            if (!File.Exists(blob) || file.Length is { } length && new FileInfo(blob).Length != length)
            {
                await Download(commit, file, blob).ConfigureAwait(false);
            }

            HubCache.Point(blob, path);
        }

        return path;
    }

    /// <summary>Waits for a lock between processes, which huggingface_hub takes as well. It ends with its holder.</summary>
    private async Task<FileStream> Enter(string path)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path))
            {
                await Task.Delay(LockPause, _cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Downloads a blob: into a file beside it, which has its name only when the hash is right.</summary>
    private async Task Download(string commit, HubFile file, string blob)
    {
        string incomplete = blob + ".incomplete";
        for (bool isSecond = false; ; isSecond = true)
        {
            string found;
            FileStream stream = Open(incomplete);
            await using (stream.ConfigureAwait(false))
            {
                CheckSpace(file, stream.Length, blob);
                await Fill(commit, file, stream).ConfigureAwait(false);
                stream.Flush(flushToDisk: true);
                found = await file.HashOf(stream, _cancellation).ConfigureAwait(false);
            }

            if (found == file.Hash)
            {
                File.Move(incomplete, blob, overwrite: true);
                return;
            }

            // The part of an earlier attempt may have been at fault.
            File.Delete(incomplete);
            if (isSecond)
            {
                throw new InvalidDataException(
                    $"{file.Name} of '{_name}' came from {_client.Endpoint} with the hash {found} instead of {file.Hash}, twice; nothing of "
                        + "it was kept. Something on the way changes it, or the server's file is damaged."
                );
            }
        }
    }

    /// <summary>Downloads what a file lacks, in as many attempts as it takes while there is progress.</summary>
    private async Task Fill(string commit, HubFile file, FileStream stream)
    {
        // Where the length is not known, nor is whether what is there is a beginning.
        if (file.Length is null || stream.Length > file.Length)
        {
            stream.SetLength(0);
        }

        stream.Seek(0, SeekOrigin.End);
        Report(file, stream.Length);
        long farthest = stream.Length;
        for (int attempt = 0; stream.Length != file.Length; attempt++)
        {
            try
            {
                if (await Append(commit, file, stream).ConfigureAwait(false))
                {
                    break;
                }
            }
            catch (Exception e) when (HubClient.IsTransient(e))
            {
                attempt = stream.Length > farthest ? 0 : attempt;
                farthest = Math.Max(farthest, stream.Length);
                if (attempt + 1 >= HubClient.Attempts)
                {
                    string there = stream.Length.ToString(CultureInfo.InvariantCulture);
                    throw _client.GiveUp(
                        $"{file.Name} of '{_name}' could not be downloaded beyond byte {there}, where the next call goes on,",
                        e
                    );
                }

                await _client.Pause(attempt, e, _cancellation).ConfigureAwait(false);
            }
        }

        Report(file, stream.Length);
    }

    /// <summary>Downloads until the connection ends.</summary>
    /// <returns>Whether the server sent all that it has.</returns>
    private async Task<bool> Append(string commit, HubFile file, FileStream stream)
    {
        using HttpResponseMessage response = await _client.Open(commit, file.Name, stream.Length, _cancellation).ConfigureAwait(false);
        bool goesOn = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == stream.Length;
        if (!goesOn && stream.Length > 0)
        {
            // It begins anew, or has another idea of the file than what is there.
            stream.SetLength(0);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                return false;
            }
        }

        using var silence = new Silence(_options.Timeout, _cancellation);
        using Stream content = await silence.Watch(token => response.Content.ReadAsStreamAsync(token)).ConfigureAwait(false);
        byte[] buffer = new byte[BufferBytes];
        long reported = stream.Length;
        while (true)
        {
            int read = await silence.Watch(token => Read(content, buffer, token)).ConfigureAwait(false);
            if (read == 0)
            {
                return stream.Length == (file.Length ?? stream.Length)
                    ? true
                    : throw new HttpRequestException("the connection ended early");
            }

            if (stream.Length + read > file.Length)
            {
                stream.SetLength(0);
                throw new InvalidDataException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{file.Name} of '{_name}' is longer than the {file.Length} bytes that {_client.Endpoint} tells of."
                    )
                );
            }

            await stream.WriteAsync(buffer.AsMemory(0, read), _cancellation).ConfigureAwait(false);
            if (stream.Length - reported >= BytesBetweenReports)
            {
                reported = stream.Length;
                Report(file, reported);
            }
        }

        static async Task<int> Read(Stream content, byte[] buffer, CancellationToken token)
        {
            try
            {
                return await content.ReadAsync(buffer, token).ConfigureAwait(false);
            }
            catch (IOException e) when (e is not HttpIOException)
            {
                throw new HttpRequestException(e.Message, e);
            }
        }
    }

    private void Report(HubFile file, long bytes) => _options.Progress?.Report(new(_name.Repository, file.Name, bytes, file.Length));

    private static FileStream Open(string incomplete) =>
        new(incomplete, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0, useAsync: false);

    /// <exception cref="IOException">The file will not fit.</exception>
    private static void CheckSpace(HubFile file, long there, string blob)
    {
        long free;
        try
        {
            free = new DriveInfo(Path.GetDirectoryName(blob)!).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Where nobody tells, writing will.
            return;
        }

        if (file.Length - there > free)
        {
            throw new IOException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{file.Name} takes {file.Length / 1e6:F1} MB, and the disk of '{Path.GetDirectoryName(blob)}' has {free / 1e6:F1} MB "
                ) + "left. HF_HUB_CACHE names another place."
            );
        }
    }
}

/// <summary>A file on a hub.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Hash">Its SHA-256, or, if it lies in git itself, the SHA-1 of git's blob.</param>
/// <param name="Length">Its length; null where the server does not tell.</param>
internal sealed record HubFile(string Name, string Hash, long? Length)
{
    /// <summary>Whether an ETag is a hash.</summary>
    public static bool IsHash(string etag) => etag.Length is 40 or 64 && etag.All(char.IsAsciiHexDigitLower);

    /// <summary>The hash of a content, of the same kind.</summary>
    public async Task<string> HashOf(FileStream content, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(Hash.Length == 64 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        if (Hash.Length == 40)
        {
            hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {content.Length}\0")));
        }

        byte[] buffer = new byte[1 << 20];
        content.Seek(0, SeekOrigin.Begin);
        for (int read; (read = await content.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0; )
        {
            hash.AppendData(buffer, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
