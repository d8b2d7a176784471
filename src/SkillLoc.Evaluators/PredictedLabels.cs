using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Evaluators;

/// <summary>A view's predictions as text.</summary>
internal sealed class PredictedLabels
{
    private readonly IDataView _data;
    private readonly DataViewSchema.Column _column;
    private readonly bool _areBareKeys;

    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or no key, text or number.</exception>
    public PredictedLabels(MLContext context, IDataView data, string name)
    {
        DataViewSchema.Column column = EvaluatedColumn.Find(data.Schema, name);
        if (column.Type is KeyDataViewType key)
        {
            _areBareKeys = column.Annotations.Schema.GetColumnOrNull("KeyValues") is null;
            if (_areBareKeys && key.RawType != typeof(uint))
            {
                throw EvaluatedColumn.WrongType(column, "a key over UInt32");
            }

            data = _areBareKeys ? data : context.Transforms.Conversion.MapKeyToValue(name).Fit(data).Transform(data);
        }
        else if (column.Type is not (TextDataViewType or NumberDataViewType or BooleanDataViewType))
        {
            throw EvaluatedColumn.WrongType(column, "a key, text, number or boolean");
        }

        if (!_areBareKeys && data.Schema[name].Type is not TextDataViewType)
        {
            data = context.Transforms.Conversion.ConvertType(name, outputKind: DataKind.String).Fit(data).Transform(data);
        }

        _data = data;
        _column = data.Schema[name];
    }

    /// <summary>The predictions of both, row by row.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One has labels and the other has keys without values.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or not as many in both.</exception>
    public static IEnumerable<(string First, string Second)> Pairs(PredictedLabels first, PredictedLabels second)
    {
        if (first._areBareKeys != second._areBareKeys)
        {
            throw EvaluatedColumn.WrongType(
                first._areBareKeys ? first._column : second._column, "a key with values, as the other view's labels have them");
        }

        string[] ones = [.. first.Read()], others = [.. second.Read()];
        if (ones.Length != others.Length)
        {
            throw new InvalidOperationException(
                $"The first view has {ones.Length} rows and the second {others.Length}; they must be predictions of the same rows.");
        }

        return ones.Length > 0 ? ones.Zip(others) : throw new InvalidOperationException("There are no rows.");
    }

    /// <summary>The values row by row; bare keys as numbers from 1, a missing one being 0, and a missing key with values being empty.</summary>
    public IEnumerable<string> Read()
    {
        using DataViewRowCursor cursor = _data.GetRowCursor([_column]);
        if (_areBareKeys)
        {
            ValueGetter<uint> readKey = cursor.GetGetter<uint>(_column);
            for (uint key = 0; cursor.MoveNext();)
            {
                readKey(ref key);
                yield return key.ToString(CultureInfo.InvariantCulture);
            }
        }
        else
        {
            ValueGetter<ReadOnlyMemory<char>> readText = cursor.GetGetter<ReadOnlyMemory<char>>(_column);
            for (ReadOnlyMemory<char> text = default; cursor.MoveNext();)
            {
                readText(ref text);
                yield return text.ToString();
            }
        }
    }
}
