using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>Reads the label sets of a multi-label task: a vector of keys, or one slot per label.</summary>
internal static class LabelSets
{
    /// <summary>Describes the valid types of a multi-label column, for error messages.</summary>
    public const string Wanted =
        "a vector of keys with key values (mlContext.Transforms.Conversion.MapValueToKey makes it of a vector of text), or a vector "
        + "of Boolean or "
        + "Single with the labels as slot names";

    /// <summary>Returns the labels that a column names; null for other types.</summary>
    public static IReadOnlyList<string>? Names(DataViewSchema.Column column) =>
        column.Type switch
        {
            VectorDataViewType { ItemType: KeyDataViewType key } when key.RawType == typeof(uint) => Texts(column, "KeyValues"),
            VectorDataViewType { ItemType: BooleanDataViewType } => Texts(column, "SlotNames"),
            VectorDataViewType { ItemType: NumberDataViewType number } when number == NumberDataViewType.Single => Texts(
                column,
                "SlotNames"
            ),
            _ => null,
        };

    /// <summary>Returns a reader of the current row's labels.</summary>
    /// <param name="row">The row, or a cursor over rows.</param>
    /// <param name="column">The column.</param>
    /// <param name="labels">The labels to report.</param>
    /// <param name="role">The name of the rows in messages.</param>
    /// <returns>A function that returns 1 for each label of the row and 0 for others.</returns>
    /// <exception cref="ArgumentException">The column has another type, or an unknown label.</exception>
    public static Func<float[]> Reader(DataViewRow row, DataViewSchema.Column column, IReadOnlyList<string> labels, string role)
    {
        IReadOnlyList<string> names =
            Names(column)
            ?? throw new ArgumentException(
                $"The label column '{column.Name}' of the {role} is {column.Type}; of a multi-label task it must be {Wanted}."
            );
        int[] places = [.. names.Select(name => labels.ToList().IndexOf(name))];
        int unknown = Array.IndexOf(places, -1);
        if (unknown >= 0)
        {
            throw new ArgumentException(
                $"The label column '{column.Name}' of the {role} has the label '{names[unknown]}'; known are "
                    + $"{string.Join(", ", labels.Select(label => $"'{label}'"))}."
            );
        }

        return ((VectorDataViewType)column.Type).ItemType switch
        {
            KeyDataViewType => Keys(row.GetGetter<VBuffer<uint>>(column)),
            BooleanDataViewType => Slots(row.GetGetter<VBuffer<bool>>(column), (value, _) => value),
            _ => Slots(
                row.GetGetter<VBuffer<float>>(column),
                (value, slot) =>
                    value is 0 or 1
                        ? value == 1
                        : throw new InvalidOperationException(
                            string.Create(
                                CultureInfo.InvariantCulture,
                                $"Row {row.Position} of the {role} has {value} for the label '{names[slot]}' in '{column.Name}'; it "
                                    + $"must be 0 or 1."
                            )
                        )
            ),
        };

        Func<float[]> Keys(ValueGetter<VBuffer<uint>> getter)
        {
            VBuffer<uint> keys = default;
            return () =>
            {
                getter(ref keys);
                float[] set = new float[labels.Count];
                foreach (uint key in keys.DenseValues().Where(key => key > 0))
                {
                    set[places[key - 1]] = 1;
                }

                return set;
            };
        }

        Func<float[]> Slots<T>(ValueGetter<VBuffer<T>> getter, Func<T, int, bool> isThere)
        {
            VBuffer<T> slots = default;
            return () =>
            {
                getter(ref slots);
                float[] set = new float[labels.Count];
                foreach ((int slot, T value) in slots.Items(all: true))
                {
                    set[places[slot]] = isThere(value, slot) ? 1 : 0;
                }

                return set;
            };
        }
    }

    private static string[]? Texts(DataViewSchema.Column column, string annotation)
    {
        if (column.Annotations.Schema.GetColumnOrNull(annotation)?.Type is not VectorDataViewType { ItemType: TextDataViewType })
        {
            return null;
        }

        VBuffer<ReadOnlyMemory<char>> values = default;
        column.Annotations.GetValue(annotation, ref values);
        return [.. values.DenseValues().Select(value => value.ToString())];
    }
}
