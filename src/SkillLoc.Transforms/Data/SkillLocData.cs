using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods that load and split labelled text.</summary>
public static class SkillLocData
{
    /// <summary>Loads a split of a task in <see cref="TaskFiles"/> from its folder.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="folder">The task's folder, such as <c>data/k-shot/SST-2/16-42</c>.</param>
    /// <param name="task">The task, such as <c>sst-2</c>; case is ignored.</param>
    /// <param name="split">The split.</param>
    /// <returns>The columns <c>Text</c>, for tasks on pairs <c>TextPair</c>, and <c>Label</c>: a text, or a float for a regression. The
    /// file is read and checked as a whole.</returns>
    /// <exception cref="ArgumentException">The task is unknown.</exception>
    /// <exception cref="FileNotFoundException">The folder has no file for the split.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="InvalidDataException">The file does not have the task's format; the message names its line.</exception>
    public static IDataView LoadTask(this DataCatalog catalog, string folder, string task, DataSplit split = DataSplit.Train)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var files = TaskFiles.Find(task);
        return catalog.LoadTaskFile(Path.Combine(folder, files.FileName(split)), files.Format);
    }

    /// <summary>Loads a file of labelled text.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The file.</param>
    /// <param name="format">The format of the file.</param>
    /// <param name="labelsPath">The file whose lines are the labels, for <see cref="TaskFileLayout.Lines"/> only.</param>
    /// <returns>The columns of <see cref="LoadTask"/>. The file is read and checked as a whole.</returns>
    /// <exception cref="ArgumentException">The format is inconsistent.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file does not have the format; the message names its line.</exception>
    public static IDataView LoadTaskFile(this DataCatalog catalog, string path, TaskFileFormat format, string? labelsPath = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return DataRow.Load(catalog.Context, [.. TaskFileReader.Read(path, format, labelsPath)], format.ScoreRange is not null);
    }

    /// <summary>Creates a view of rows in memory, for example from <see cref="TaskFileReader"/>, <see cref="KShotSampler"/> or
    /// <see cref="DataSplits"/>.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="rows">At least one row; all or none with a second sentence.</param>
    /// <param name="isRegression">Whether labels are scores, which become numbers.</param>
    /// <returns>The columns of <see cref="LoadTask"/>.</returns>
    /// <exception cref="ArgumentException">There are no rows, one is null or lacks text or label, only some have a second sentence, or a
    /// regression's label is not a finite number; the message names the row.</exception>
    public static IDataView LoadRows(this DataCatalog catalog, IReadOnlyList<LabeledText> rows, bool isRegression = false)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
        {
            throw new ArgumentException("There are no rows; a view needs one or more.", nameof(rows));
        }

        for (int i = 0; i < rows.Count; i++)
        {
            if (Problem(rows[i]) is { } problem)
            {
                throw new ArgumentException(
                    $"Row {i}{(rows[i] is { Line: > 0 } row ? $" (line {row.Line})" : "")} {problem}.",
                    nameof(rows)
                );
            }
        }

        string? Problem(LabeledText? row) =>
            row switch
            {
                null => "is null",
                { Text: null } => "has no text",
                { Label: null } => "has no label",
                _ when row.TextPair is null != rows[0].TextPair is null =>
                    "has a second sentence and others have not, or the other way round; a view needs rows that are alike",
                _ when isRegression
                        && !(
                            float.TryParse(row.Label, NumberStyles.Float, CultureInfo.InvariantCulture, out float score)
                            && float.IsFinite(score)
                        ) => $"has the label '{row.Label}', and a regression's is a finite number",
                _ => null,
            };

        return DataRow.Load(catalog.Context, rows, isRegression);
    }

    /// <summary>Loads a split of a text-to-text task from the folder of its files (<see cref="TextToTextFolder"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="folder">The task's folder, such as <c>data/glue-mnli</c>.</param>
    /// <param name="split">The split.</param>
    /// <param name="prefix">The prefix of the file name; null if the folder has only one.</param>
    /// <param name="maxRows">Maximum number of rows, from the start of the selected <paramref name="half"/>; null for all.</param>
    /// <param name="half">Which rows of the training file are taken.</param>
    /// <param name="answerMap">Replacements of answers, such as <see cref="TextToTextFolder.CartographyLetters"/>; unknown answers are
    /// errors. Null keeps answers.</param>
    /// <returns>The columns <c>Text</c>, <c>Answers</c> (texts, a vector of varying size) and <c>Label</c> (the first answer). For rows
    /// with several correct answers, use <c>Answers</c> as the label column, since <c>Label</c> has only one. The file is read and checked
    /// as a whole.</returns>
    /// <exception cref="ArgumentException">The prefix is unknown, or null with several prefixes, or a half of another file than the
    /// training file was requested.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is below 1, or the split or half is undefined.</exception>
    /// <exception cref="FileNotFoundException">The folder lacks the file.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is invalid, or has no rows; the message names its line.</exception>
    public static IDataView LoadTextToText(
        this DataCatalog catalog,
        string folder,
        DataSplit split = DataSplit.Train,
        string? prefix = null,
        int? maxRows = null,
        TrainingHalf half = TrainingHalf.Both,
        IReadOnlyDictionary<string, string>? answerMap = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        var files = TextToTextFolder.Open(folder);
        if (prefix is null && files.Prefixes.Count > 1)
        {
            throw new ArgumentException(
                $"'{files.Path}' has files of {string.Join(", ", files.Prefixes)}; name one of these prefixes.",
                nameof(prefix)
            );
        }

        return AnsweredRow.Load(catalog.Context, files.Read(prefix ?? files.Prefixes[0], split, maxRows, half, answerMap));
    }

    /// <summary>Creates a view of rows in memory, for example from <see cref="TextToTextFolder.Read"/>.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="rows">At least one row, each with at least one answer.</param>
    /// <returns>The columns of <see cref="LoadTextToText"/>.</returns>
    /// <exception cref="ArgumentException">There are no rows, or one has no answers.</exception>
    public static IDataView LoadTextToTextRows(this DataCatalog catalog, IReadOnlyList<AnsweredText> rows)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
        {
            throw new ArgumentException("There are no rows.", nameof(rows));
        }

        for (int row = 0; row < rows.Count; row++)
        {
            if (rows[row].Answers.Count == 0)
            {
                throw new ArgumentException($"Row {row} has no answers.", nameof(rows));
            }
        }

        return AnsweredRow.Load(catalog.Context, rows);
    }

    /// <summary>
    /// Draws k rows of each class for training and up to k more for development, like <see cref="KShotSampler"/>. The same data and seed
    /// give the same rows.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">The rows, with <c>Text</c>, <c>Label</c> (a text, before it becomes a key, or the float of a regression) and, for
    /// tasks on pairs, <c>TextPair</c>. Rows without a label are left out.</param>
    /// <param name="k">Number of training rows per class, 1 or more.</param>
    /// <param name="seed">The seed of NumPy's generator.</param>
    /// <param name="scoreBorder">For a regression, the score from which rows belong to the second of two groups.</param>
    /// <returns>Two views with these columns only.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, k is below 1, or a regression's score border
    /// is missing.</exception>
    /// <exception cref="InvalidDataException">There are no rows, or a class has at most k rows, which leaves none for
    /// development.</exception>
    public static (IDataView Train, IDataView Dev) SampleKShot(
        this DataCatalog catalog,
        IDataView data,
        int k,
        uint seed,
        float? scoreBorder = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        DataViewType? labelType = data.Schema.GetColumnOrNull(nameof(DataRow.Label))?.Type;
        bool isRegression = labelType == NumberDataViewType.Single;
        if (!isRegression && labelType is not TextDataViewType)
        {
            throw new ArgumentOutOfRangeException(
                nameof(data),
                $"The column 'Label' is {labelType?.ToString() ?? "missing"}; it must be a text (draw before MapValueToKey) or a float."
            );
        }

        if (isRegression != scoreBorder is not null)
        {
            throw new ArgumentOutOfRangeException(
                nameof(scoreBorder),
                isRegression ? "Labels are scores; a border must part them into two groups." : "Labels are classes, which no border parts."
            );
        }

        (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev) = KShotSampler.Sample(
            Read(data, isRegression),
            k,
            seed,
            scoreBorder
        );
        return (DataRow.Load(catalog.Context, train, isRegression), DataRow.Load(catalog.Context, dev, isRegression));
    }

    /// <summary>Splits a data set into training, development and test sets, as <see cref="DataSplits"/> documents.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="sources">One to three views with <c>Text</c>, <c>Label</c> (a text, before it becomes a key) and, for tasks on pairs,
    /// <c>TextPair</c>. Rows without a label are left out.</param>
    /// <param name="seed">The seed of NumPy's generator; the same in all programs that share the data.</param>
    /// <returns>Three views with these columns only.</returns>
    /// <exception cref="ArgumentException">There are no sources, or more than three.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidDataException">A split would be empty.</exception>
    public static (IDataView Train, IDataView Dev, IDataView Test) Split(
        this DataCatalog catalog,
        IReadOnlyList<IDataView> sources,
        uint seed = DataSplits.DefaultSeed
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(sources);
        (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev, IReadOnlyList<LabeledText> test) = DataSplits.Split(
            [.. sources.Select(ReadClasses)],
            seed
        );
        return (
            DataRow.Load(catalog.Context, train, false),
            DataRow.Load(catalog.Context, dev, false),
            DataRow.Load(catalog.Context, test, false)
        );
    }

    /// <summary>Answers a binary question for rows with three or four labels, and balances the answers
    /// (<see cref="BinaryTasks.Ask"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">The rows of one split, with <c>Text</c>, <c>Label</c> (a text, before it becomes a key) and, for tasks on pairs,
    /// <c>TextPair</c>. Rows without a label are left out.</param>
    /// <param name="labels">Their labels in order: negative, neutral, positive, or conflict, negative, neutral, positive.</param>
    /// <param name="question">The question.</param>
    /// <returns>A view with these columns, whose labels are <c>0</c> and <c>1</c>.</returns>
    /// <exception cref="ArgumentException">There are not three or four labels, or one occurs twice.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidDataException">A row has another label, or one of the answers has no rows.</exception>
    public static IDataView Binarize(
        this DataCatalog catalog,
        IDataView data,
        IReadOnlyList<string> labels,
        BinaryQuestion question = BinaryQuestion.PositiveNegative
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return DataRow.Load(catalog.Context, BinaryTasks.Ask(ReadClasses(data), labels, question), false);
    }

    /// <summary>Selects the rows of some labels, renamed to <c>0</c>, <c>1</c>, ... in the order given
    /// (<see cref="BinaryTasks.Subset"/>).</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">The rows, with <c>Text</c>, <c>Label</c> (a text, before it becomes a key) and, for tasks on pairs,
    /// <c>TextPair</c>.</param>
    /// <param name="labels">The labels to keep, at least two.</param>
    /// <returns>A view with these columns.</returns>
    /// <exception cref="ArgumentException">There are fewer than two labels, or one occurs twice.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidDataException">A label has no rows.</exception>
    public static IDataView SelectLabels(this DataCatalog catalog, IDataView data, IReadOnlyList<string> labels)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return DataRow.Load(catalog.Context, BinaryTasks.Subset(ReadClasses(data), labels), false);
    }

    private static List<LabeledText> ReadClasses(IDataView data)
    {
        ArgumentNullException.ThrowIfNull(data);
        DataViewType? type = data.Schema.GetColumnOrNull(nameof(DataRow.Label))?.Type;
        return type is TextDataViewType
            ? Read(data, isRegression: false)
            : throw new ArgumentOutOfRangeException(
                nameof(data),
                $"The column 'Label' is {type?.ToString() ?? "missing"}; it must be a text (before MapValueToKey)."
            );
    }

    private static List<LabeledText> Read(IDataView data, bool isRegression)
    {
        DataViewSchema.Column text =
            TextColumn(nameof(DataRow.Text)) ?? throw new ArgumentOutOfRangeException(nameof(data), "There is no column 'Text'.");
        DataViewSchema.Column? pair = TextColumn(nameof(DataRow.TextPair));
        DataViewSchema.Column label = data.Schema[nameof(DataRow.Label)];
        using DataViewRowCursor cursor = data.GetRowCursor(pair is null ? [text, label] : [text, pair.Value, label]);
        ValueGetter<ReadOnlyMemory<char>> textOf = cursor.GetGetter<ReadOnlyMemory<char>>(text);
        ValueGetter<ReadOnlyMemory<char>>? pairOf = pair is null ? null : cursor.GetGetter<ReadOnlyMemory<char>>(pair.Value);
        ValueGetter<float>? scoreOf = isRegression ? cursor.GetGetter<float>(label) : null;
        ValueGetter<ReadOnlyMemory<char>>? labelOf = isRegression ? null : cursor.GetGetter<ReadOnlyMemory<char>>(label);
        var rows = new List<LabeledText>();
        ReadOnlyMemory<char> first = default,
            second = default,
            name = default;
        float score = 0;
        while (cursor.MoveNext())
        {
            scoreOf?.Invoke(ref score);
            labelOf?.Invoke(ref name);
            if (isRegression ? float.IsNaN(score) : name.IsEmpty)
            {
                continue;
            }

            textOf(ref first);
            pairOf?.Invoke(ref second);
            rows.Add(
                new(
                    first.ToString(),
                    pair is null ? null : second.ToString(),
                    isRegression ? score.ToString("R", CultureInfo.InvariantCulture) : name.ToString()
                )
            );
        }

        return rows;

        DataViewSchema.Column? TextColumn(string column) =>
            data.Schema.GetColumnOrNull(column) switch
            {
                null => null,
                { Type: TextDataViewType } found => found,
                { } found => throw new ArgumentOutOfRangeException(
                    nameof(data),
                    $"The column '{column}' is {found.Type}; it must be a text."
                ),
            };
    }
}
