using System.Globalization;
using System.Text;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Datasets;

/// <summary>
/// Draws k rows of each class for training and k more for development, like <c>generate_k_shot_data</c> of Gao et al. (2021), Making
/// pre-trained language models better few-shot learners (methods, A.7): the same seed gives the same rows, file for file.
/// </summary>
public static class KShotSampler
{
    private const float ScoreBorder = 2.5f;
    private const int TenfoldDev = 10;

    /// <summary>The seeds of the published splits, in the order in which they were drawn.</summary>
    public static IReadOnlyList<uint> DefaultSeeds { get; } = Array.AsReadOnly<uint>([100, 13, 21, 42, 87]);

    /// <summary>The tasks of the published splits, by their folders.</summary>
    public static IReadOnlyList<string> DefaultTasks { get; } =
        Array.AsReadOnly([
            "SST-2",
            "sst-5",
            "mr",
            "cr",
            "mpqa",
            "subj",
            "trec",
            "CoLA",
            "MRPC",
            "QQP",
            "STS-B",
            "MNLI",
            "SNLI",
            "QNLI",
            "RTE",
        ]);

    /// <summary>Samples rows in memory: shuffles them, groups them by label in the order of first appearance, and takes the first rows of
    /// each group.</summary>
    /// <param name="rows">The rows; they are not changed.</param>
    /// <param name="k">Number of training rows per class, 1 or more.</param>
    /// <param name="seed">The seed of NumPy's generator.</param>
    /// <param name="scoreBorder">For a regression, the score from which rows belong to the second of two groups. Null groups by
    /// label.</param>
    /// <returns>The first k rows of each class, and up to k following rows.</returns>
    /// <exception cref="InvalidDataException">There are no rows, or a class has at most k rows, which leaves none for
    /// development.</exception>
    /// <exception cref="FormatException">A score border is given and a label is not a number.</exception>
    public static (IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Dev) Sample(
        IReadOnlyList<LabeledText> rows,
        int k,
        uint seed,
        float? scoreBorder = null
    )
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        LabeledText[] shuffled = rows.ToArray();
        new NumpyRandom(seed).Shuffle<LabeledText>(shuffled);
        return Split(shuffled, row => scoreBorder is { } border ? Bin(row.ToScore(), border) : row.Label, k, k, _ => true, "The data");
    }

    /// <summary>
    /// Samples the files of tasks: from <c>{input}/{task}</c>, with the files of <see cref="TaskFiles"/>, it creates
    /// <c>{output}/k-shot/{task}/{k}-{seed}</c> with a training, a development and a test file. The test file is the original's development
    /// file, or its test file for comma-separated tasks, whose development rows are not published.
    /// </summary>
    /// <param name="input">The folder of the original data.</param>
    /// <param name="output">The output folder; created if missing.</param>
    /// <param name="k">Number of training rows per class, 1 or more.</param>
    /// <param name="seeds">The seeds; <see cref="DefaultSeeds"/> by default. Their order matters only for CoLA, whose rows are shuffled
    /// starting from the order of the previous seed: the published CoLA splits need the usual seeds up to their own.</param>
    /// <param name="tasks">The folders of the tasks; <see cref="DefaultTasks"/> by default. Case matters only for the folder.</param>
    /// <param name="tenfoldDev">Whether to use ten times as many development rows, in a folder <c>k-shot-10x</c>.</param>
    /// <returns>The folders written, each atomically.</returns>
    /// <remarks>
    /// Rows of tab-separated files are copied byte for byte. Broken rows of QQP, which the reader skips, are kept as in the original,
    /// grouped by their last column.
    /// </remarks>
    /// <exception cref="ArgumentException">A task is not one of <see cref="DefaultTasks"/>, or no seed or task is given.</exception>
    /// <exception cref="FileNotFoundException">A file of a task is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder of a task is missing.</exception>
    /// <exception cref="InvalidDataException">A class has no more than k rows, or a row's label is unknown.</exception>
    /// <exception cref="IOException">A file could not be read or written.</exception>
    public static IReadOnlyList<string> Write(
        string input,
        string output,
        int k = 16,
        IReadOnlyList<uint>? seeds = null,
        IReadOnlyList<string>? tasks = null,
        bool tenfoldDev = false
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(input);
        ArgumentException.ThrowIfNullOrEmpty(output);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        seeds ??= DefaultSeeds;
        tasks ??= DefaultTasks;
        if (seeds.Count == 0 || tasks.Count == 0)
        {
            throw new ArgumentException("There must be at least one seed and one task.", seeds.Count == 0 ? nameof(seeds) : nameof(tasks));
        }

        if (tasks.FirstOrDefault(task => !DefaultTasks.Contains(task, StringComparer.OrdinalIgnoreCase)) is { } unknown)
        {
            throw new ArgumentException(
                $"There are no published splits of '{unknown}', only of {string.Join(", ", DefaultTasks)}; "
                    + $"read its rows and use {nameof(Sample)}.",
                nameof(tasks)
            );
        }

        var written = new List<string>();
        int dev = tenfoldDev ? TenfoldDev * k : k;
        foreach (string task in tasks)
        {
            var files = TaskFiles.Find(task);
            string source = Path.Combine(input, task);
            string target = Path.Combine(output, tenfoldDev ? "k-shot-10x" : "k-shot", task);
            Directory.CreateDirectory(target);
            Func<uint, Action<string>> write =
                files.Format.Layout == TaskFileLayout.Csv
                    ? CsvSplits(source, task, files, k, dev)
                    : LineSplits(source, task, files, k, dev);
            foreach (uint seed in seeds)
            {
                string folder = Path.Combine(target, string.Create(CultureInfo.InvariantCulture, $"{k}-{seed}"));
                AtomicFolder.Write(folder, write(seed));
                written.Add(folder);
            }
        }
        return written;
    }

    /// <summary>Returns the writer of a seed's folder, for rows that are lines of bytes.</summary>
    private static Func<uint, Action<string>> LineSplits(string source, string task, TaskFiles files, int k, int dev)
    {
        string path = Path.Combine(source, files.FileName(DataSplit.Train));
        ReadOnlyMemory<byte> bytes = File.ReadAllBytes(path);
        ReadOnlyMemory<byte> header = files.Format.HasHeader ? TakeLine(ref bytes) : default;
        var rows = new List<Line>();
        for (int number = files.Format.HasHeader ? 2 : 1; !bytes.IsEmpty; number++)
        {
            rows.Add(LabelledLine(TakeLine(ref bytes), files.Format, path, number));
        }

        Line[] lines = rows.ToArray();
        string[] devs =
        [
            files.FileName(DataSplit.Dev),
            .. files.Name == "mnli" ? [TaskFiles.Find("mnli-mm").FileName(DataSplit.Dev)] : Array.Empty<string>(),
        ];
        (string Name, byte[] Bytes)[] tests = Array.ConvertAll(
            devs,
            name => (Name: name.Replace("dev", "test", StringComparison.Ordinal), Bytes: File.ReadAllBytes(Path.Combine(source, name)))
        );

        return seed =>
        {
            // The original shuffles rows without a header (CoLA's) where they are, and a copy of the others.
            Line[] shuffled = files.Format.HasHeader ? lines[..] : lines;
            new NumpyRandom(seed).Shuffle<Line>(shuffled);
            (IReadOnlyList<Line>? trainRows, IReadOnlyList<Line>? devRows) = Split(
                shuffled,
                line => line.Label,
                k,
                dev,
                label => files.Format.Labels?.Contains(label) ?? true,
                $"{task}: {path}"
            );
            return folder =>
            {
                WriteLines(Path.Combine(folder, files.FileName(DataSplit.Train)), header, trainRows);
                WriteLines(Path.Combine(folder, files.FileName(DataSplit.Dev)), header, devRows);
                foreach ((string Name, byte[] Bytes) test in tests)
                {
                    File.WriteAllBytes(Path.Combine(folder, test.Name), test.Bytes);
                }
            };
        };
    }

    /// <summary>Returns the writer of a seed's folder, for comma-separated rows.</summary>
    private static Func<uint, Action<string>> CsvSplits(string source, string task, TaskFiles files, int k, int dev)
    {
        string path = Path.Combine(source, files.FileName(DataSplit.Train));
        (string[] Columns, string Label)[] rows = CsvRows
            .Read(path, files.Format.Encoding)
            .Select(row => (row.Columns, Label: Known(row.Columns[0], files.Format, path, row.Line)))
            .ToArray();
        string test = files.FileName(DataSplit.Test);
        string[][] testRows = CsvRows.Read(Path.Combine(source, test), files.Format.Encoding).Select(row => row.Columns).ToArray();

        return seed =>
        {
            (string[] Columns, string Label)[] shuffled = rows[..];
            new NumpyRandom(seed).Shuffle(shuffled.AsSpan());
            (IReadOnlyList<(string[] Columns, string Label)>? trainRows, IReadOnlyList<(string[] Columns, string Label)>? devRows) = Split(
                shuffled,
                row => row.Label,
                k,
                dev,
                _ => true,
                $"{task}: {path}"
            );
            return folder =>
            {
                WriteRows(folder, DataSplit.Train, trainRows.Select(row => row.Columns));
                WriteRows(folder, DataSplit.Dev, devRows.Select(row => row.Columns));
                WriteRows(folder, DataSplit.Test, testRows);
            };
        };

        void WriteRows(string folder, DataSplit split, IEnumerable<string[]> rows)
        {
            using FileStream file = File.Create(Path.Combine(folder, files.FileName(split)));
            CsvRows.Write(file, rows);
        }
    }

    private static (IReadOnlyList<T> Train, IReadOnlyList<T> Dev) Split<T>(
        IReadOnlyList<T> shuffled,
        Func<T, string> labelOf,
        int k,
        int devRows,
        Predicate<string> isClass,
        string what
    )
    {
        var groups = new OrderedDictionary<string, List<T>>(StringComparer.Ordinal);
        foreach (T? row in shuffled)
        {
            string label = labelOf(row);
            if (!groups.TryGetValue(label, out List<T>? group))
            {
                groups.Add(label, group = []);
            }

            group.Add(row);
        }
        if (groups.Count == 0)
        {
            throw new InvalidDataException($"{what} has no rows.");
        }

        foreach ((string? label, List<T>? group) in groups)
        {
            if (group.Count <= k && isClass(label))
            {
                throw new InvalidDataException(
                    $"{what} has {group.Count} rows of class '{label}'; k = {k} needs at least {k + 1}, {k} to train and one for "
                        + "development."
                );
            }
        }
        return ([.. groups.Values.SelectMany(group => group.Take(k))], [.. groups.Values.SelectMany(group => group.Skip(k).Take(devRows))]);
    }

    /// <summary>Removes the first line, including its end, and returns it.</summary>
    private static ReadOnlyMemory<byte> TakeLine(ref ReadOnlyMemory<byte> bytes)
    {
        int end = bytes.Span.IndexOf((byte)'\n');
        ReadOnlyMemory<byte> line = end < 0 ? bytes : bytes[..(end + 1)];
        bytes = bytes[line.Length..];
        return line;
    }

    private static Line LabelledLine(ReadOnlyMemory<byte> bytes, TaskFileFormat format, string path, int number)
    {
        // Labels are ASCII: the rest of the row need not be decoded.
        string[] columns = Encoding.Latin1.GetString(bytes.Span).Trim(' ', '\t', '\r', '\n').Split('\t');
        int place = format.Label.Place.GetOffset(columns.Length);
        if (place < columns.Length)
        {
            return new Line(bytes, Known(columns[place], format, path, number));
        }

        return format.SkipsShortRows
            ? new Line(bytes, columns[^1])
            : throw new InvalidDataException(
                $"{path}, line {number}: there are {columns.Length} columns and the label is expected in column {format.Label}."
            );
    }

    /// <summary>Returns the group of a label.</summary>
    private static string Known(string label, TaskFileFormat format, string path, int line)
    {
        if (format.ScoreRange is not null)
        {
            return float.TryParse(label, NumberStyles.Float, CultureInfo.InvariantCulture, out float score)
                ? Bin(score, ScoreBorder)
                : throw new InvalidDataException($"{path}, line {line}: a score was expected and '{label}' found.");
        }
        return format.Labels!.Contains(label)
            ? label
            : throw new InvalidDataException(
                $"{path}, line {line}: the label '{label}' is unknown; known are {string.Join(", ", format.Labels!)}."
            );
    }

    private static string Bin(float score, float border) => score < border ? "0" : "1";

    private static void WriteLines(string path, ReadOnlyMemory<byte> header, IEnumerable<Line> lines)
    {
        using FileStream file = File.Create(path);
        file.Write(header.Span);
        foreach (Line line in lines)
        {
            file.Write(line.Bytes.Span);
            // The file's last line may lack its end, and need not be the last here.
            if (!line.Bytes.Span.EndsWith("\n"u8))
            {
                file.WriteByte((byte)'\n');
            }
        }
    }

    private readonly record struct Line(ReadOnlyMemory<byte> Bytes, string Label);
}
