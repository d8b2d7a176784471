using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Runs;

/// <summary>
/// The record of a run: options, size of the data, and metrics. A log of runs is a file with one JSON record per line, to which any number
/// of processes append (methods, A.11).
/// </summary>
public sealed record RunRecord
{
    // What a short one takes, with what reading it leaves behind.
    private const int BytesOfRecord = 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private static readonly JsonSerializerOptions Json = new()
    {
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>Id of the run, shared by all its records, such as later test metrics.</summary>
    public string Id { get; init; } = Guid.NewGuid().ToString("N");

    /// <summary>Time of the record in UTC; ISO 8601 in the file.</summary>
    public DateTimeOffset Time { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>The kind of run, such as <c>fine-tune</c> or <c>graft</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The task's name; may be empty.</summary>
    public string Task { get; init; } = "";

    /// <summary>The initial checkpoint folder.</summary>
    public string Checkpoint { get; init; } = "";

    /// <summary>The fingerprint of the checkpoint's backbone; null if it was not computed, which reads every weight.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>Number of training rows.</summary>
    public int Rows { get; init; }

    /// <summary>Number of updates.</summary>
    public int Steps { get; init; }

    /// <summary>Wall time of the training, evaluations included, in seconds; summed over the parts of a resumed run.</summary>
    public double Seconds { get; init; }

    /// <summary>All options that affect the result, by name in snake_case.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Finite metrics by name, such as <c>loss</c>, <c>validation</c>, <c>test.accuracy</c>.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>(StringComparer.Ordinal);

    /// <summary>Appends a record to a log as one line, safely with concurrent processes.</summary>
    /// <param name="path">The log; created with its folder if missing.</param>
    /// <param name="record">The record.</param>
    /// <exception cref="ArgumentException">A metric is not finite.</exception>
    /// <exception cref="IOException">It could not be written, or another process kept the file locked for half a minute.</exception>
    public static void Append(string path, RunRecord record)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(record);
        foreach ((string name, double value) in record.Metrics)
        {
            if (!double.IsFinite(value))
            {
                throw new ArgumentException($"The metric '{name}' is {value}; a record holds finite numbers only.", nameof(record));
            }
        }

        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(record, Json), (byte)'\n'];
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using FileStream log = OpenAlone(path, Patience);
        if (log.Length > 0)
        {
            // A process that was killed while it wrote may have left half a line.
            log.Seek(-1, SeekOrigin.End);
            line = log.ReadByte() == '\n' ? line : [(byte)'\n', .. line];
        }

        log.Write(line);
        log.Flush(flushToDisk: true);
    }

    /// <summary>Throws unless <see cref="Append"/> could currently append to a log; creates its folder if missing.</summary>
    /// <param name="path">The log, which is not changed.</param>
    /// <exception cref="IOException">The log cannot be written, or is not a log.</exception>
    internal static void CheckWritable(string path)
    {
        AtomicFile.CheckWritable(path);
        if (!File.Exists(path))
        {
            return;
        }

        using FileStream log = OpenAlone(path, Patience);
        if (log.Length > 0 && log.ReadByte() is not '{' and not '\n')
        {
            throw new IOException($"'{Path.GetFullPath(path)}' is no log of runs: its lines are JSON objects. Name another file.");
        }
    }

    /// <summary>Reads a log.</summary>
    /// <param name="path">The log.</param>
    /// <returns>The records, in the order of the lines; incomplete lines of killed processes are skipped.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">A line is valid JSON but not a record; the message names it.</exception>
    public static IReadOnlyList<RunRecord> Read(string path)
    {
        var records = new List<RunRecord>();
        long length = 0;
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            length += line.Length;
            if (Parse(line, path, number) is { } record)
            {
                records.Add(record);
            }

            if (records.Count > FileMemory.MostObjects(length, BytesOfRecord))
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: {records.Count} records would take too much memory for their length."
                );
            }
        }

        return records;
    }

    private static RunRecord? Parse(string line, string path, int number)
    {
        byte[] json = Encoding.UTF8.GetBytes(line);
        try
        {
            var reader = new Utf8JsonReader(json);
            while (reader.Read()) { }
        }
        catch (JsonException)
        {
            return null;
        }

        try
        {
            JsonText.CheckObjects(json, default);
            return JsonSerializer.Deserialize<RunRecord>(json, Json) ?? throw new JsonException("It is null.");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path}, line {number} is no record of a run: {error.Message}", error);
        }
    }

    /// <summary>Opens the log exclusively, waiting for other processes.</summary>
    internal static FileStream OpenAlone(string path, TimeSpan patience)
    {
        long start = Environment.TickCount64;
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException error)
                when (error is not (DirectoryNotFoundException or PathTooLongException)
                    && Environment.TickCount64 - start < patience.TotalMilliseconds
                )
            {
                Thread.Sleep(Pause);
            }
        }
    }
}
