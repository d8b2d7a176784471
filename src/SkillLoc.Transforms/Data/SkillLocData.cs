using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Datasets;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Labelled text in SkillLoc's catalog.</summary>
public static class SkillLocData
{
    /// <summary>Loads a split of a task that <see cref="TaskFiles"/> knows, from the folder of its files.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="folder">The task's folder, such as <c>data/k-shot/SST-2/16-42</c>.</param>
    /// <param name="task">The task, such as <c>sst-2</c>; case does not matter.</param>
    /// <param name="split">The split.</param>
    /// <returns>The columns <c>Text</c>, for tasks on pairs <c>TextPair</c>, and <c>Label</c>: a text, or a float for a regression. The whole file
    /// is read, and all that is wrong with it found, at once.</returns>
    /// <exception cref="ArgumentException">The task's files are not known.</exception>
    /// <exception cref="FileNotFoundException">The folder lacks the split's file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">The file is not the task's; the message names its line.</exception>
    public static IDataView LoadTask(this SkillLocCatalog catalog, string folder, string task, DataSplit split = DataSplit.Train)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        TaskFiles files = TaskFiles.Find(task);
        return catalog.LoadTaskFile(Path.Combine(folder, files.FileName(split)), files.Format);
    }

    /// <summary>Loads a file of labelled text.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The file.</param>
    /// <param name="format">How it is laid out.</param>
    /// <param name="labelsPath">The file whose lines are the labels; given for <see cref="TaskFileLayout.Lines"/> and only for that.</param>
    /// <returns>The columns that <see cref="LoadTask"/> gives. The whole file is read, and all that is wrong with it found, at once.</returns>
    /// <exception cref="ArgumentException">The format contradicts itself.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not of that format; the message names its line.</exception>
    public static IDataView LoadTaskFile(this SkillLocCatalog catalog, string path, TaskFileFormat format, string? labelsPath = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return DataRow.Load(catalog.Context, [.. TaskFileReader.Read(path, format, labelsPath)], format.ScoreRange is not null);
    }

    /// <summary>
    /// Draws k rows of each class for training and up to k more for development, as <see cref="KShotSampler"/> does. Rows that were drawn from
    /// the same data with the same seed are the same.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="data">The rows, with <c>Text</c>, <c>Label</c> (a text, before it becomes a key, or the float of a regression) and, for tasks on
    /// pairs, <c>TextPair</c>. Rows without a label are left out.</param>
    /// <param name="k">Training rows of a class.</param>
    /// <param name="seed">The seed of NumPy's generator.</param>
    /// <param name="scoreBorder">For a regression the score that parts the two groups: below it, and from it on.</param>
    /// <returns>Two views with these columns; others are left out.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, k is below 1, or a regression's score border is
    /// missing.</exception>
    /// <exception cref="InvalidDataException">There are no rows, or a class has no more than k, so that none is left for development.</exception>
    public static (IDataView Train, IDataView Dev) SampleKShot(
        this SkillLocCatalog catalog, IDataView data, int k, uint seed, float? scoreBorder = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        DataViewType? labelType = data.Schema.GetColumnOrNull(nameof(DataRow.Label))?.Type;
        bool isRegression = labelType == NumberDataViewType.Single;
        if (!isRegression && labelType is not TextDataViewType)
        {
            throw new ArgumentOutOfRangeException(
                nameof(data), $"The column 'Label' is {labelType?.ToString() ?? "missing"}; it must be a text (draw before MapValueToKey) or a float.");
        }

        if (isRegression != scoreBorder is not null)
        {
            throw new ArgumentOutOfRangeException(
                nameof(scoreBorder), isRegression ? "Labels are scores; a border must part them into two groups." : "Labels are classes, which no border parts.");
        }

        (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev) = KShotSampler.Sample(Read(data, isRegression), k, seed, scoreBorder);
        return (DataRow.Load(catalog.Context, train, isRegression), DataRow.Load(catalog.Context, dev, isRegression));
    }

    private static List<LabeledText> Read(IDataView data, bool isRegression)
    {
        DataViewSchema.Column text = TextColumn(nameof(DataRow.Text)) ?? throw new ArgumentOutOfRangeException(nameof(data), "There is no column 'Text'.");
        DataViewSchema.Column? pair = TextColumn(nameof(DataRow.TextPair));
        DataViewSchema.Column label = data.Schema[nameof(DataRow.Label)];
        using DataViewRowCursor cursor = data.GetRowCursor(pair is null ? [text, label] : [text, pair.Value, label]);
        ValueGetter<ReadOnlyMemory<char>> textOf = cursor.GetGetter<ReadOnlyMemory<char>>(text);
        ValueGetter<ReadOnlyMemory<char>>? pairOf = pair is null ? null : cursor.GetGetter<ReadOnlyMemory<char>>(pair.Value);
        ValueGetter<float>? scoreOf = isRegression ? cursor.GetGetter<float>(label) : null;
        ValueGetter<ReadOnlyMemory<char>>? labelOf = isRegression ? null : cursor.GetGetter<ReadOnlyMemory<char>>(label);
        var rows = new List<LabeledText>();
        ReadOnlyMemory<char> first = default, second = default, name = default;
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
            rows.Add(new(
                first.ToString(), pair is null ? null : second.ToString(), isRegression ? score.ToString("R", CultureInfo.InvariantCulture) : name.ToString()));
        }

        return rows;

        DataViewSchema.Column? TextColumn(string column) => data.Schema.GetColumnOrNull(column) switch
        {
            null => null,
            { Type: TextDataViewType } found => found,
            { } found => throw new ArgumentOutOfRangeException(nameof(data), $"The column '{column}' is {found.Type}; it must be a text."),
        };
    }
}
