using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SkillLoc.Studies;

/// <summary>The right to work on a run: a file that its holder writes anew at every heartbeat.</summary>
internal sealed class RunLease : IDisposable
{
    // One block, written in one call, so that it is never read in parts.
    private const int Bytes = 512;

    private readonly string _path;
    private readonly Content _first;
    private readonly Timer _timer;
    private readonly CancellationTokenSource _lost = new();
    private readonly Lock _lock = new();
    private long _beat;
    private bool _isOver;

    private RunLease(string path, Content first, TimeSpan heartbeat)
    {
        _path = path;
        _first = first;
        _timer = new(_ => Beat(), null, heartbeat, heartbeat);
    }

    /// <summary>Tells this lease from all others.</summary>
    public string Token => _first.Token;

    /// <summary>Cancelled when somebody has taken the run over, as after a long sleep of this machine.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Makes the file, which must not exist; null where it does.</summary>
    public static RunLease? Create(string path, TimeSpan heartbeat)
    {
        var content = new Content(Worker.Self, Guid.NewGuid().ToString("N"), 0, DateTime.UtcNow);
        try
        {
            using FileStream stream = Open(path, FileMode.CreateNew, FileAccess.Write);
            stream.Write(content.ToBytes());
        }
        catch (IOException) when (File.Exists(path))
        {
            return null;
        }

        return new(path, content, heartbeat);
    }

    /// <summary>Reads who holds a lease and how often its heart beat; null where the file is gone or is just being made.</summary>
    public static Content? Read(string path)
    {
        try
        {
            using FileStream stream = Open(path, FileMode.Open, FileAccess.Read);
            using var reader = new StreamReader(stream);
            return JsonSerializer.Deserialize<Content>(reader.ReadToEnd(), StudyJson.Options);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Gives the run back.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isOver = true;
            _timer.Dispose();
            if (Read(_path)?.Token == Token)
            {
                File.Delete(_path);
            }
        }

        _lost.Dispose();
    }

    private static FileStream Open(string path, FileMode mode, FileAccess access) =>
        new(path, mode, access, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    private void Beat()
    {
        lock (_lock)
        {
            if (_isOver)
            {
                return;
            }

            try
            {
                if (!File.Exists(_path) || Read(_path) is { } now && now.Token != Token)
                {
                    _isOver = true;
                    _lost.Cancel();
                    return;
                }

                using FileStream stream = Open(_path, FileMode.Open, FileAccess.Write);
                stream.Write((_first with { Beat = ++_beat, Time = DateTime.UtcNow }).ToBytes());
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The next beat may succeed; whoever waits long enough in vain takes the run.
            }
        }
    }

    internal sealed record Content(Worker Worker, string Token, long Beat, DateTime Time)
    {
        /// <summary>For people.</summary>
        public override string ToString() =>
            string.Create(CultureInfo.InvariantCulture, $"{Worker.Host}, process {Worker.Process}, at {Time:yyyy-MM-dd HH:mm:ss} UTC");

        public byte[] ToBytes()
        {
            byte[] json = JsonSerializer.SerializeToUtf8Bytes(this, StudyJson.Options);
            byte[] block = Encoding.ASCII.GetBytes(new string(' ', Math.Max(Bytes, json.Length + 1)));
            json.CopyTo(block, 0);
            block[^1] = (byte)'\n';
            return block;
        }
    }
}
