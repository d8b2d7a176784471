using System.Text;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Generation;

/// <summary>
/// The files of a text-to-text task, as Ye et al. (2021), CrossFit, and Qin et al. (2022), Exploring mode connectivity, publish them
/// (methods, C.1): a folder named after the task, with <c>{prefix}_train.tsv</c>, <c>{prefix}_dev.tsv</c> and <c>{prefix}_test.tsv</c> for
/// one prefix or more, such as draws of the same task. Each line has a text and one or more answers, separated by tabs, without header or
/// quoting.
/// </summary>
public sealed class TextToTextFolder
{
    private readonly Encoding _encoding;

    private TextToTextFolder(string path, IReadOnlyList<string> prefixes, Encoding encoding)
    {
        Path = path;
        Prefixes = prefixes;
        _encoding = encoding;
    }

    /// <summary>The letters used as answers of inference tasks in cartography, one token each: entailment a, neutral b, contradiction
    /// c.</summary>
    public static IReadOnlyDictionary<string, string> CartographyLetters { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["entailment"] = "a",
            ["neutral"] = "b",
            ["contradiction"] = "c",
        }.AsReadOnly();

    /// <summary>The folder's full path.</summary>
    public string Path { get; }

    /// <summary>The last component of the path, which is the task's name for <see cref="TextToTextTasks.Find"/>.</summary>
    public string TaskName => System.IO.Path.GetFileName(Path);

    /// <summary>The parts of the file names before the last underscore, in ordinal order; at least one.</summary>
    public IReadOnlyList<string> Prefixes { get; }

    /// <summary>Opens a folder without reading its files; other files are ignored.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="encoding">The encoding, UTF-8 by default. Invalid bytes are errors, never replaced.</param>
    /// <returns>The folder.</returns>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">The folder has no such files.</exception>
    public static TextToTextFolder Open(string folder, Encoding? encoding = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(folder));
        string[] endings = [.. Enum.GetValues<DataSplit>().Select(EndingOf)];
        string[] prefixes =
        [
            .. Directory
                .EnumerateFiles(path)
                .Select(file => System.IO.Path.GetFileName(file))
                .Where(name => endings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal)))
                .Order(StringComparer.Ordinal)
                .Select(name => name[..name.LastIndexOf('_')])
                .Distinct(StringComparer.Ordinal),
        ];
        return prefixes.Length > 0
            ? new(path, Array.AsReadOnly(prefixes), encoding ?? Encoding.UTF8)
            : throw new FileNotFoundException(
                $"'{path}' has no files of a text-to-text task, which are called {{prefix}}{string.Join(", {prefix}", endings)}."
            );
    }

    /// <summary>Reads and checks all rows of a file.</summary>
    /// <param name="prefix">One of <see cref="Prefixes"/>.</param>
    /// <param name="split">The split, which names the file.</param>
    /// <param name="maxRows">Maximum number of rows, from the start of the selected <paramref name="half"/>; null for all.</param>
    /// <param name="half">The part of the training file to read.</param>
    /// <param name="answerMap">Replacements of answers, such as <see cref="CartographyLetters"/>; unknown answers are errors. Null keeps
    /// answers.</param>
    /// <returns>The rows in the file's order. Answers are trimmed; texts are unchanged and may be empty. Empty lines are allowed only at
    /// the end.</returns>
    /// <exception cref="ArgumentException">The prefix is unknown, or a half of another file than the training file was
    /// requested.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is below 1, or the split or half is undefined.</exception>
    /// <exception cref="FileNotFoundException">The prefix has no file for the split.</exception>
    /// <exception cref="InvalidDataException">A line has no tab, or an answer that is empty or not in the map; a byte cannot be decoded; or
    /// no rows remain. The message names file and line.</exception>
    public IReadOnlyList<AnsweredText> Read(
        string prefix,
        DataSplit split,
        int? maxRows = null,
        TrainingHalf half = TrainingHalf.Both,
        IReadOnlyDictionary<string, string>? answerMap = null
    )
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (maxRows is { } most)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(most, 1, nameof(maxRows));
        }

        if (!Enum.IsDefined(half))
        {
            throw new ArgumentOutOfRangeException(nameof(half), half, "A training file has a first and a second half.");
        }

        if (half != TrainingHalf.Both && split != DataSplit.Train)
        {
            throw new ArgumentException($"Only the training file is halved, and the split is {split}.", nameof(half));
        }

        if (!Prefixes.Contains(prefix, StringComparer.Ordinal))
        {
            throw new ArgumentException(
                $"'{Path}' has no files of the prefix '{prefix}', only of {string.Join(", ", Prefixes)}.",
                nameof(prefix)
            );
        }

        string path = System.IO.Path.Combine(Path, prefix + EndingOf(split));
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no file '{path}', although the folder has another split of that prefix.", path);
        }

        AnsweredText[] rows = [.. StrictText.FullLines(path, _encoding).Select(line => Row(path, line.Number, line.Line, answerMap))];
        int middle = rows.Length / 2;
        Range taken = half switch
        {
            TrainingHalf.First => ..middle,
            TrainingHalf.Second => middle..,
            _ => ..,
        };
        rows = rows[taken];
        return rows.Length > 0
            ? Array.AsReadOnly(maxRows < rows.Length ? rows[..maxRows.Value] : rows)
            : throw new InvalidDataException($"{path} has no rows{(half == TrainingHalf.Both ? "" : " in that half")}.");
    }

    /// <summary>Writes a file of a task atomically, in UTF-8.</summary>
    /// <param name="folder">The folder, named after the task; created if missing.</param>
    /// <param name="prefix">The prefix of the file name, usually the task's name.</param>
    /// <param name="split">The split.</param>
    /// <param name="rows">At least one row; content that the format cannot represent is refused.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="ArgumentException">There are no rows; a row has no answers, or an empty one or one with white space at its ends; a
    /// text or an answer has a tab or a line break; or the prefix does not make a file's name. The message names the row, from
    /// 0.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The split is undefined.</exception>
    /// <exception cref="IOException">The file could not be written.</exception>
    public static string Write(string folder, string prefix, DataSplit split, IReadOnlyList<AnsweredText> rows)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentException.ThrowIfNullOrEmpty(prefix);
        ArgumentNullException.ThrowIfNull(rows);
        if (prefix.AsSpan().ContainsAny(System.IO.Path.GetInvalidFileNameChars()))
        {
            throw new ArgumentException($"The prefix '{prefix}' cannot begin a file's name.", nameof(prefix));
        }

        if (rows.Count == 0)
        {
            throw new ArgumentException("There are no rows to write.", nameof(rows));
        }

        string ending = EndingOf(split);
        for (int row = 0; row < rows.Count; row++)
        {
            CheckWritable(rows[row], row);
        }

        Directory.CreateDirectory(folder);
        string path = System.IO.Path.Combine(folder, prefix + ending);
        AtomicFile.Write(
            path,
            stream =>
            {
                using var writer = new StreamWriter(
                    stream,
                    new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true),
                    leaveOpen: true
                );
                foreach (AnsweredText row in rows)
                {
                    writer.Write($"{row.Text}\t{string.Join('\t', row.Answers)}\n");
                }
            }
        );
        return path;
    }

    private static string EndingOf(DataSplit split) =>
        split switch
        {
            DataSplit.Train => "_train.tsv",
            DataSplit.Dev => "_dev.tsv",
            DataSplit.Test => "_test.tsv",
            _ => throw new ArgumentOutOfRangeException(nameof(split), split, "There are the splits Train, Dev and Test."),
        };

    private static AnsweredText Row(string path, int number, string line, IReadOnlyDictionary<string, string>? answerMap)
    {
        string[] columns = line.Split('\t');
        if (columns.Length == 1)
        {
            throw new InvalidDataException(
                $"{path}, line {number}: a text, a tab and an answer were expected and '{StrictText.Shown(line)}' found."
            );
        }

        string[] answers = new string[columns.Length - 1];
        for (int i = 0; i < answers.Length; i++)
        {
            string answer = columns[i + 1].Trim();
            if (answer.Length == 0)
            {
                throw new InvalidDataException($"{path}, line {number}: answer {i + 1} of {answers.Length} is empty.");
            }

            answers[i] =
                answerMap is null ? answer
                : answerMap.TryGetValue(answer, out string? mapped) ? mapped
                : throw new InvalidDataException(
                    $"{path}, line {number}: the answer '{StrictText.Shown(answer)}' has no other in its place; known are "
                        + $"{string.Join(", ", answerMap.Keys)}."
                );
        }

        return new(columns[0], Array.AsReadOnly(answers), number);
    }

    private static void CheckWritable(AnsweredText row, int number)
    {
        if (row.Answers.Count == 0)
        {
            throw new ArgumentException($"Row {number} has no answers.", nameof(row));
        }

        foreach (string text in row.Answers.Prepend(row.Text))
        {
            if (text.AsSpan().ContainsAny("\t\r\n"))
            {
                throw new ArgumentException(
                    $"Row {number}: '{StrictText.Shown(text)}' has a tab or a line break, which part answers and rows; put a space there.",
                    nameof(row)
                );
            }
        }

        foreach (string answer in row.Answers)
        {
            if (answer.Length == 0 || char.IsWhiteSpace(answer[0]) || char.IsWhiteSpace(answer[^1]))
            {
                throw new ArgumentException(
                    $"Row {number}: the answer '{StrictText.Shown(answer)}' is empty or has white space at its ends.",
                    nameof(row)
                );
            }
        }
    }
}

/// <summary>A row of a text-to-text task.</summary>
/// <param name="Text">The text, before <see cref="TextToTextTask.InputOf"/>.</param>
/// <param name="Answers">The correct answers, at least one; the first is the label of the row.</param>
/// <param name="Line">The line of the row in its file, from 1; 0 without a file.</param>
public sealed record AnsweredText(string Text, IReadOnlyList<string> Answers, int Line = 0);

/// <summary>The rows of a training file to use, so that two models can be trained on different ones (methods, C.1).</summary>
public enum TrainingHalf
{
    /// <summary>All rows.</summary>
    Both,

    /// <summary>The first n / 2 of n rows, rounded down (<c>split1</c> of the paper's code).</summary>
    First,

    /// <summary>The remaining rows (<c>split2</c>).</summary>
    Second,
}
