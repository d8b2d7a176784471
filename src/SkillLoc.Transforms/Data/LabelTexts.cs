using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>The true or predicted labels of a view as text.</summary>
internal sealed class LabelTexts
{
    private readonly IDataView _data;
    private readonly DataViewSchema.Column _column;
    private readonly DataViewSchema.Column? _key;

    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or not a key, text or number.</exception>
    public LabelTexts(MLContext context, IDataView data, string name)
    {
        DataViewSchema.Column column = EvaluatedColumn.Find(data.Schema, name);
        if (column.Type is KeyDataViewType key)
        {
            if (key.RawType != typeof(uint))
            {
                throw EvaluatedColumn.WrongType(column, "a key over UInt32");
            }

            AreBareKeys = column.Annotations.Schema.GetColumnOrNull("KeyValues") is null;
            data = AreBareKeys ? data : context.Transforms.Conversion.MapKeyToValue(name).Fit(data).Transform(data);
            _key = data.Schema[column.Index];
        }
        else if (column.Type is not (TextDataViewType or NumberDataViewType or BooleanDataViewType))
        {
            throw EvaluatedColumn.WrongType(column, "a key, text, number or boolean");
        }

        if (!AreBareKeys && data.Schema[name].Type is not TextDataViewType)
        {
            data = context.Transforms.Conversion.ConvertType(name, outputKind: DataKind.String).Fit(data).Transform(data);
        }

        _data = data;
        _column = data.Schema[name];
    }

    /// <summary>The view, with the labels as text.</summary>
    public IDataView Data => _data;

    /// <summary>Whether the labels are keys without values.</summary>
    public bool AreBareKeys { get; }

    /// <summary>Pairs the predictions of both, row by row.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Only one has keys without values.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or their numbers differ.</exception>
    public static IEnumerable<(string First, string Second)> Pairs(LabelTexts first, LabelTexts second)
    {
        if (first.AreBareKeys != second.AreBareKeys)
        {
            throw EvaluatedColumn.WrongType(
                first.AreBareKeys ? first._column : second._column,
                "a key with values, as the other view's labels have them"
            );
        }

        string[] ones = [.. first.Read()],
            others = [.. second.Read()];
        if (ones.Length != others.Length)
        {
            throw new InvalidOperationException(
                $"The first view has {ones.Length} rows and the second {others.Length}; they must be predictions of the same rows."
            );
        }

        return ones.Length > 0 ? ones.Zip(others) : throw new InvalidOperationException("There are no rows.");
    }

    /// <summary>The label of each row; keys without values are numbers, with 0 for missing ones; other missing keys are empty.</summary>
    public IEnumerable<string> Read()
    {
        using DataViewRowCursor cursor = _data.GetRowCursor(_key is { } key && !AreBareKeys ? [key, _column] : [_column]);
        Func<string?> read = Reader(cursor);
        while (cursor.MoveNext())
        {
            yield return read() ?? (AreBareKeys ? "0" : "");
        }
    }

    /// <summary>A reader of the row's current label; null for a missing key and for empty text.</summary>
    /// <param name="cursor">A cursor over <see cref="Data"/>.</param>
    public Func<string?> Reader(DataViewRowCursor cursor)
    {
        ValueGetter<uint>? readKey = _key is null ? null : cursor.GetGetter<uint>(_key.Value);
        ValueGetter<ReadOnlyMemory<char>>? readText = AreBareKeys ? null : cursor.GetGetter<ReadOnlyMemory<char>>(_column);
        uint number = 0;
        ReadOnlyMemory<char> text = default;
        return () =>
        {
            // A missing key's value would be 0 where values are integers.
            readKey?.Invoke(ref number);
            if (readKey is not null && (number == 0 || readText is null))
            {
                return number == 0 ? null : number.ToString(CultureInfo.InvariantCulture);
            }

            readText!(ref text);
            return text.IsEmpty ? null : text.ToString();
        };
    }
}

/// <summary>Reads correct answers: a text, or a vector of texts.</summary>
internal static class AnswerTexts
{
    /// <summary>Returns a reader of the current row's answers; blank texts are ignored.</summary>
    /// <param name="row">The row, or a cursor over rows.</param>
    /// <param name="column">The column, a text or a vector of texts.</param>
    /// <returns>A function that returns the answers of the current row, possibly none.</returns>
    /// <exception cref="ArgumentException">The column is not active in the row.</exception>
    public static Func<string[]> Reader(DataViewRow row, DataViewSchema.Column column)
    {
        ArgumentNullException.ThrowIfNull(row);
        if (column.Type is TextDataViewType)
        {
            ValueGetter<ReadOnlyMemory<char>> readOne = row.GetGetter<ReadOnlyMemory<char>>(column);
            ReadOnlyMemory<char> one = default;
            return () =>
            {
                readOne(ref one);
                return Given([one]);
            };
        }

        ValueGetter<VBuffer<ReadOnlyMemory<char>>> readAll = row.GetGetter<VBuffer<ReadOnlyMemory<char>>>(column);
        VBuffer<ReadOnlyMemory<char>> all = default;
        return () =>
        {
            readAll(ref all);
            return Given(all.DenseValues());
        };
    }

    private static string[] Given(IEnumerable<ReadOnlyMemory<char>> texts) =>
        [.. texts.Select(text => text.ToString()).Where(text => !string.IsNullOrWhiteSpace(text))];
}
