namespace SkillLoc.Models.Merging;

/// <summary>
/// What a recipe gives a parameter: one value for all tensors; a gradient over the depth of the model, which is linear between its values;
/// or values for tensors whose names contain a text.
/// </summary>
public sealed class MergeSetting
{
    private const string Any = "*";

    private readonly MergeValue[] _values;
    private readonly MergeEntry[] _filtered;

    private MergeSetting(MergeValue[] values, MergeEntry[] filtered)
    {
        _values = values;
        _filtered = filtered;
    }

    /// <summary>The line of the recipe's file, from 1; 0 outside of files.</summary>
    internal int Line { get; init; }

    /// <summary>The entries by name; empty for values.</summary>
    internal IReadOnlyList<MergeEntry> Entries => _filtered;

    /// <summary>All values, for checks.</summary>
    internal IEnumerable<MergeValue> Values => _values.Concat(_filtered.SelectMany(entry => entry.Value.Values));

    /// <summary>Creates a value for all tensors, or a gradient from the first layer (and what is before it) to the last.</summary>
    /// <param name="values">One value, or those of the gradient. Of words, the one at or before the depth is taken.</param>
    /// <returns>The setting.</returns>
    /// <exception cref="ArgumentException">There is no value.</exception>
    public static MergeSetting Of(params IReadOnlyList<MergeValue> values) => At(0, values);

    /// <summary>Creates values by the tensors' names.</summary>
    /// <param name="entries">What the names contain, and the value. The first entry that fits wins; null or <c>*</c> fits all.</param>
    /// <returns>The setting.</returns>
    /// <exception cref="ArgumentException">There is no entry.</exception>
    public static MergeSetting ByName(params IReadOnlyList<MergeEntry> entries) => ByNameAt(0, entries);

    /// <summary>Creates a value for all tensors.</summary>
    /// <param name="value">The value.</param>
    public static implicit operator MergeSetting(double value) => Of(new MergeValue(value));

    /// <summary>Creates a value for all tensors.</summary>
    /// <param name="value">The value.</param>
    public static implicit operator MergeSetting(bool value) => Of(new MergeValue(value));

    /// <summary>Creates a value for all tensors.</summary>
    /// <param name="value">The value.</param>
    public static implicit operator MergeSetting(string value) => Of(new MergeValue(value));

    /// <summary>Creates a gradient.</summary>
    /// <param name="values">Its values.</param>
    public static implicit operator MergeSetting(double[] values) => Of([.. values.Select(value => new MergeValue(value))]);

    internal static MergeSetting At(int line, IReadOnlyList<MergeValue> values) =>
        values.Count > 0 ? new([.. values], []) { Line = line } : throw new ArgumentException("A setting needs a value.", nameof(values));

    internal static MergeSetting ByNameAt(int line, IReadOnlyList<MergeEntry> entries) =>
        entries.Count > 0
            ? new([], [.. entries]) { Line = line }
            : throw new ArgumentException("A setting needs an entry.", nameof(entries));

    /// <summary>The value for a tensor.</summary>
    /// <param name="tensor">Its name.</param>
    /// <param name="depth">Its depth, from 0 to 1.</param>
    /// <returns>The value; null if no filter fits.</returns>
    internal MergeValue? For(string tensor, double depth)
    {
        if (_filtered.Length > 0)
        {
            foreach ((string? filter, MergeSetting value) in _filtered)
            {
                if (filter is null or Any || tensor.Contains(filter, StringComparison.Ordinal))
                {
                    return value.For(tensor, depth);
                }
            }

            return null;
        }

        if (_values.Length == 1)
        {
            return _values[0];
        }

        double place = depth * (_values.Length - 1);
        int before = (int)place,
            after = Math.Min(before + 1, _values.Length - 1);
        if (Array.Exists(_values, value => value.Text is not null || value.IsFlag))
        {
            return _values[before];
        }

        double share = place - before;
        return new(((1 - share) * _values[before].Number) + (share * _values[after].Number));
    }

    /// <inheritdoc/>
    public override string ToString() =>
        _filtered.Length > 0 ? string.Join(", ", _filtered.Select(entry => $"{entry.Filter ?? Any}: {entry.Value}"))
        : _values.Length == 1 ? $"{_values[0]}"
        : $"[{string.Join(", ", _values)}]";
}

/// <summary>A setting for tensors whose names contain a text.</summary>
/// <param name="Filter">The text; null or <c>*</c> for all tensors.</param>
/// <param name="Value">The setting.</param>
public sealed record MergeEntry(string? Filter, MergeSetting Value);
