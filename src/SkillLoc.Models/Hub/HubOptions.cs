namespace SkillLoc.Models.Hub;

/// <summary>Where checkpoints are looked for by name, and whether they may be downloaded. What is left null comes from the environment
/// variables of Python's huggingface_hub, at each call.</summary>
public sealed class HubOptions
{
    /// <summary>Whether a checkpoint that is found nowhere is downloaded into the cache. False by default; <c>HF_HUB_OFFLINE</c>
    /// forbids it in any case.</summary>
    public bool AllowDownload { get; init; }

    /// <summary>The cache; null for <c>HF_HUB_CACHE</c>, else <c>hub</c> in <c>HF_HOME</c>, else <c>~/.cache/huggingface/hub</c>.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>The server; null for <c>HF_ENDPOINT</c>, else <c>https://huggingface.co</c>.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The access token; null for <c>HF_TOKEN</c>, else the file <c>token</c> in <c>HF_HOME</c>; an empty text for none. It is
    /// sent to the server alone, never to a host that the server redirects to.</summary>
    public string? Token { get; init; }

    /// <summary>Hears of a download at its begin, about every megabyte, and at its end; called from another thread. Null for
    /// nobody.</summary>
    public IProgress<HubProgress>? Progress { get; init; }

    /// <summary>How long to wait for a server that is silent; 10 seconds by default.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The pause before the second attempt; it doubles with each further one.</summary>
    internal TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The same options with another listener beside their own.</summary>
    internal HubOptions With(Action<HubProgress> listener)
    {
        IProgress<HubProgress>? own = Progress;
        return new()
        {
            AllowDownload = AllowDownload,
            CacheFolder = CacheFolder,
            Endpoint = Endpoint,
            Token = Token,
            Timeout = Timeout,
            RetryDelay = RetryDelay,
            Progress = new Listener(progress =>
            {
                own?.Report(progress);
                listener(progress);
            }),
        };
    }

    private sealed class Listener(Action<HubProgress> report) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => report(value);
    }
}

/// <summary>How far the download of a file is.</summary>
/// <param name="Repository">The repository, as it was named.</param>
/// <param name="File">The file's name in it.</param>
/// <param name="Bytes">How many bytes are there, those of an earlier attempt included.</param>
/// <param name="Length">How many there will be; null where the server does not tell.</param>
public sealed record HubProgress(string Repository, string File, long Bytes, long? Length);
