using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Serve;

/// <summary>
/// Scores rows with any transformer that adds <c>PredictedLabel</c> and <c>Score</c>, which is where the runtimes meet: a fine-tuned model,
/// grafts on one base, a loaded pipeline, an ONNX file. For one thread.
/// </summary>
public sealed class SkillScorer : IDisposable
{
    private readonly ITransformer _model;
    private readonly IDataView _scored;
    private readonly Func<string, IReadOnlyList<string>> _labels;
    private IReadOnlyList<TextRow> _rows = [];

    /// <summary>Creates a scorer.</summary>
    /// <param name="ml">The context.</param>
    /// <param name="model">The model, which is disposed with the scorer.</param>
    /// <param name="labels">The labels of a skill, in the order of its scores; null for the slot names of <c>Score</c>.</param>
    /// <exception cref="ArgumentException">The model reads other columns than those of <see cref="TextRow"/>, or adds none that can be
    /// read.</exception>
    public SkillScorer(MLContext ml, ITransformer model, Func<string, IReadOnlyList<string>>? labels = null)
    {
        ArgumentNullException.ThrowIfNull(ml);
        ArgumentNullException.ThrowIfNull(model);
        _model = model;

        // One view for all batches: each cursor reads the rows of its batch.
        _scored = model.Transform(ml.Data.LoadFromEnumerable(Rows()));
        if (_scored.Schema.GetColumnOrNull("Score") is not { } score)
        {
            throw new ArgumentException("The model adds no column 'Score'.", nameof(model));
        }

        IReadOnlyList<string> slots = SlotNames(score);
        _labels = labels ?? (_ => slots);
    }

    /// <summary>The labels of a skill, in the order of its scores; none where it predicts a score.</summary>
    /// <param name="skill">The skill.</param>
    /// <returns>The labels.</returns>
    public IReadOnlyList<string> Labels(string skill) => _labels(skill);

    /// <summary>Scores rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <returns>A result for each row.</returns>
    public IReadOnlyList<Classification> Score(IReadOnlyList<TextRow> rows)
    {
        _rows = rows;
        var results = new List<Classification>(rows.Count);
        DataViewSchema schema = _scored.Schema;
        DataViewSchema.Column score = schema["Score"];
        DataViewSchema.Column? predicted = schema.GetColumnOrNull("PredictedLabel");
        using DataViewRowCursor cursor = _scored.GetRowCursor(predicted is { } column ? [score, column] : [score]);
        Func<Classification> scores = Scores(cursor, score, () => rows[results.Count].Skill);
        Func<string[]> labels = predicted is { } label ? PredictedLabels(cursor, label) : () => [];
        bool isSet = predicted?.Type is VectorDataViewType;
        while (cursor.MoveNext())
        {
            string[] names = labels();
            results.Add(scores() with { Label = isSet ? null : names.FirstOrDefault(), Labels = isSet ? names : null });
        }

        return results;
    }

    /// <summary>Releases the model.</summary>
    public void Dispose() => (_model as IDisposable)?.Dispose();

    private IEnumerable<TextRow> Rows()
    {
        foreach (TextRow row in _rows)
        {
            yield return row;
        }
    }

    private Func<Classification> Scores(DataViewRow row, DataViewSchema.Column column, Func<string> skill)
    {
        if (column.Type is not VectorDataViewType)
        {
            ValueGetter<float> value = row.GetGetter<float>(column);
            return () =>
            {
                float score = 0;
                value(ref score);
                return new() { Score = score };
            };
        }

        ValueGetter<VBuffer<float>> values = row.GetGetter<VBuffer<float>>(column);
        VBuffer<float> buffer = default;
        return () =>
        {
            values(ref buffer);
            return new()
            {
                Probabilities = new OrderedDictionary<string, float>(
                    Labels(skill()).Zip(buffer.DenseValues(), (label, probability) => KeyValuePair.Create(label, probability))
                ),
            };
        };
    }

    private static Func<string[]> PredictedLabels(DataViewRow row, DataViewSchema.Column column)
    {
        switch (column.Type)
        {
            case TextDataViewType:
                ValueGetter<ReadOnlyMemory<char>> text = row.GetGetter<ReadOnlyMemory<char>>(column);
                return () =>
                {
                    ReadOnlyMemory<char> value = default;
                    text(ref value);
                    return [value.ToString()];
                };
            case KeyDataViewType:
                string[] names = KeyValues(column);
                ValueGetter<uint> key = row.GetGetter<uint>(column);
                return () =>
                {
                    uint value = 0;
                    key(ref value);
                    return [names[value - 1]];
                };
            case VectorDataViewType { ItemType: KeyDataViewType }:
                string[] all = KeyValues(column);
                ValueGetter<VBuffer<uint>> keys = row.GetGetter<VBuffer<uint>>(column);
                return () =>
                {
                    VBuffer<uint> value = default;
                    keys(ref value);
                    return [.. value.DenseValues().Select(one => all[one - 1])];
                };
            default:
                throw new ArgumentException($"The column 'PredictedLabel' is {column.Type}; it must be a key, keys or text.");
        }
    }

    private static string[] KeyValues(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> values = default;
        column.GetKeyValues(ref values);
        return [.. values.DenseValues().Select(value => value.ToString())];
    }

    private static string[] SlotNames(DataViewSchema.Column column)
    {
        if (!column.HasSlotNames())
        {
            return [];
        }

        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }
}
