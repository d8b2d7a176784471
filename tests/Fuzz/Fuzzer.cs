using System.Diagnostics;
using System.Globalization;
using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;

namespace SkillLoc.Fuzz;

/// <summary>
/// Reads mutants and checks that each is read or refused as it should be: by an exception that is meant for that and names the file,
/// within <see cref="LongestSeconds"/>, and with at most four times the file's bytes and 64 MB allocated. A mutant that is answered as none
/// before is kept to make others from.
/// </summary>
internal sealed class Fuzzer
{
    public const int LongestSeconds = 10;

    private const long BytesForAny = 64L << 20;
    private const int BytesForEach = 4;
    private const int MostKept = 200;
    private const string Accepted = "read";
    private const int InputBytes = 1 << 20;

    private readonly List<Run> _runs;
    private readonly string _findings;
    private readonly MemoryMappedViewAccessor _input;
    private readonly string _inputFile;
    private volatile Run? _current;
    private long _started;
    private long _watched;
    private TimeSpan _usedBefore;

    /// <param name="targets">What is read.</param>
    /// <param name="seed">Chooses the mutants.</param>
    /// <param name="findings">The folder where what is wrong is put.</param>
    public Fuzzer(IEnumerable<Target> targets, int seed, string findings)
    {
        _runs = [.. targets.Select(target => new Run(target, new Dice(seed, target.Name)))];
        _findings = findings;
        Directory.CreateDirectory(findings);

        // What is being read, for when the process dies of it.
        _inputFile = Path.Join(findings, $"running-{Environment.ProcessId}");
        _input = MemoryMappedFile.CreateFromFile(_inputFile, FileMode.Create, null, InputBytes).CreateViewAccessor();
    }

    public IReadOnlyList<Run> Runs => _runs;

    /// <summary>The bytes that may be allocated for a file.</summary>
    public static long Allowed(int fileBytes) => BytesForAny + ((long)BytesForEach * fileBytes);

    /// <summary>Whether an exception is one that a reader may throw over a file, and names it.</summary>
    public static bool IsMeant(Target target, Exception error) =>
        (error is InvalidDataException or NotSupportedException || (target.MayMiss && error is FileNotFoundException))
        && error.Message.Contains(target.Said, StringComparison.Ordinal);

    /// <summary>Reads mutants until the time is over.</summary>
    /// <param name="time">For all targets together, which take turns.</param>
    /// <param name="report">Called now and then.</param>
    public void Go(TimeSpan time, Action report)
    {
        var clock = Stopwatch.StartNew();
        var sinceReport = Stopwatch.StartNew();
        using var watch = new Timer(_ => Watch(), null, 1000, 1000);
        var turn = TimeSpan.FromMilliseconds(Math.Clamp(time.TotalMilliseconds / _runs.Count / 4, 20, 250));
        foreach (Run run in _runs)
        {
            foreach (byte[] seed in run.Target.Seeds)
            {
                Once(run, seed, isSeed: true);
            }
        }

        while (clock.Elapsed < time)
        {
            foreach (Run run in _runs)
            {
                long begin = Stopwatch.GetTimestamp();
                do
                {
                    Once(run, Mutator.Next(run.Target, run.Files, run.Dice), isSeed: false);
                } while (Stopwatch.GetElapsedTime(begin) < turn);
                run.Time += Stopwatch.GetElapsedTime(begin);
            }

            if (sinceReport.Elapsed > TimeSpan.FromMinutes(1))
            {
                report();
                sinceReport.Restart();
            }
        }

        report();
        _input.Dispose();
        File.Delete(_inputFile);
    }

    private void Once(Run run, byte[] file, bool isSeed)
    {
        Target target = run.Target;
        _input.Write(0, file.Length);
        _input.WriteArray(4, file, 0, Math.Min(file.Length, InputBytes - 4));
        string answer = Accepted;
        Exception? wrong = null;
        Volatile.Write(ref _started, Stopwatch.GetTimestamp());
        _current = run;
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target.Read(file);
            run.Read++;
        }
        catch (Exception error)
        {
            run.Refused++;
            answer = Skeleton(error.Message);
            if (isSeed || !IsMeant(target, error))
            {
                wrong = error;
            }
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        _current = null;
        run.MostAllocated = Math.Max(run.MostAllocated, allocated);
        run.Slowest = TimeSpan.FromTicks(Math.Max(run.Slowest.Ticks, Stopwatch.GetElapsedTime(Volatile.Read(ref _started)).Ticks));
        if (wrong is not null)
        {
            Report(run, file, $"{wrong.GetType()}: {wrong.Message}", $"{wrong}");
        }

        if (allocated > Allowed(file.Length))
        {
            Report(run, file, $"allocated {allocated} bytes for a file of {file.Length}", "");
        }

        if (isSeed || (run.Files.Count < MostKept && run.Answers.Add(answer)))
        {
            run.Files.Add(file);
        }
        else if (answer == Accepted)
        {
            // Of those that are read the latest stay, for steps beyond the first.
            run.Files[run.Dice.Next(run.Files.Count)] = file;
        }
    }

    /// <summary>A message without what quotes and numbers say.</summary>
    private static string Skeleton(string message)
    {
        Span<char> letters = stackalloc char[160];
        int count = 0;
        bool isQuoted = false;
        foreach (char letter in message)
        {
            isQuoted ^= letter is '\'' or '"';
            if (!isQuoted && !char.IsDigit(letter) && count < letters.Length)
            {
                letters[count++] = letter;
            }
        }

        return letters[..count].ToString();
    }

    /// <summary>Ends the process where one file takes too long. Counted is this process's own time, since others may take the
    /// processor's; what waits for nothing at all is given half an hour.</summary>
    private void Watch()
    {
        long started = Volatile.Read(ref _started);
        TimeSpan used = Environment.CpuUsage.TotalTime;
        if (_current is not { } run || started != _watched)
        {
            (_watched, _usedBefore) = (started, used);
            return;
        }

        if (used - _usedBefore > TimeSpan.FromSeconds(LongestSeconds) || Stopwatch.GetElapsedTime(started) > TimeSpan.FromMinutes(30))
        {
            byte[] file = new byte[Math.Min(_input.ReadInt32(0), InputBytes - 4)];
            _input.ReadArray(4, file, 0, file.Length);
            Report(run, file, $"took more than {LongestSeconds} s", "");
            Environment.Exit(3);
        }
    }

    private void Report(Run run, byte[] file, string what, string details)
    {
        // One of a kind is enough: where it was thrown.
        string kind = details
            .Split('\n')
            .FirstOrDefault(
                line => line.Contains("at SkillLoc", StringComparison.Ordinal) && !line.Contains("Fuzz", StringComparison.Ordinal),
                what
            )
            .Trim();
        if (!run.Kinds.Add(Skeleton(what)[..Math.Min(30, Skeleton(what).Length)] + kind))
        {
            return;
        }

        run.Findings++;
        string name = $"{run.Target.Name}-{Convert.ToHexStringLower(SHA256.HashData(file))[..12]}";
        File.WriteAllBytes(Path.Join(_findings, name), file);
        File.WriteAllText(Path.Join(_findings, name + ".txt"), $"{what}\n{details}\n");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"FINDING {name}: {what}\n  {kind}"));
    }
}

/// <summary>A target and what was done with it.</summary>
internal sealed class Run(Target target, Dice dice)
{
    public Target Target { get; } = target;

    public Dice Dice { get; } = dice;

    /// <summary>What mutants are made from.</summary>
    public List<byte[]> Files { get; } = [];

    public HashSet<string> Answers { get; } = [];

    public HashSet<string> Kinds { get; } = [];

    public long Read { get; set; }

    public long Refused { get; set; }

    public int Findings { get; set; }

    public TimeSpan Time { get; set; }

    public TimeSpan Slowest { get; set; }

    public long MostAllocated { get; set; }
}
