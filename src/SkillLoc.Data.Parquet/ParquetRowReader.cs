using Parquet.Schema;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Data.Parquet;

/// <summary>Reads labelled text from Parquet files, a group of rows at a time and of it the columns of the format only.</summary>
/// <remarks>SkillLoc.Models finds this type by its name.</remarks>
internal sealed class ParquetRowReader : ParquetRows
{
    public override IEnumerable<LabeledText> Read(string path, TaskFileFormat format, SameColumns same)
    {
        using var file = ParquetFile.Open(path);
        DataField text = file.Find(format.Text);
        DataField? pair = format.TextPair is { } second ? file.Find(second) : null;
        DataField label = file.Find(format.Label);
        CheckText(text);
        if (pair is not null)
        {
            CheckText(pair);
        }

        if (label.Equals(text))
        {
            throw new InvalidDataException($"{path}: the column '{label.Name}' cannot be both the text and the label.");
        }

        var labels = new LabelColumn(path, label, ClassLabels.Read(path, file.Metadata, label.Name));
        same.Check(path, $"the columns {text.Name}{(pair is null ? "" : $", {pair.Name}")} and {labels}");
        int before = 0;
        for (int group = 0; group < file.GroupCount; group++)
        {
            string[] texts = [.. Texts(file, group, text, before)];
            string[]? seconds = pair is null ? null : [.. Texts(file, group, pair, before)];
            string[] found = labels.Read(file, group, before);
            for (int i = 0; i < texts.Length; i++)
            {
                yield return new LabeledText(texts[i], seconds?[i], found[i], before + i + 1);
            }

            before += texts.Length;
        }

        void CheckText(DataField column)
        {
            if (column.ClrType != typeof(ReadOnlyMemory<byte>))
            {
                throw new InvalidDataException(
                    $"{path}: the column '{column.Name}' is {column.ClrType.Name}; a text was expected. The columns are {file.Columns}."
                );
            }
        }
    }

    private static IEnumerable<string> Texts(ParquetFile file, int group, DataField column, int before) =>
        file.Read(group, column, before)
            .Select(
                (value, i) =>
                    value as string
                    ?? throw new InvalidDataException(
                        $"{file.Path}, row {before + i + 1}: the column '{column.Name}' is null; a text was expected."
                    )
            );
}
