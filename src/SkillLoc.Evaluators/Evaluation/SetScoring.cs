using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>A model and a set; everything that needs no scoring is checked on construction.</summary>
internal sealed class SetScoring
{
    private readonly IDataView _scored;
    private readonly DataViewSchema.Column _score;
    private readonly string[] _labels;
    private readonly int[] _slots;

    /// <exception cref="InvalidOperationException">The model cannot score the set, or does not know one of its labels.</exception>
    public SetScoring(string model, ITransformer transformer, LabeledSet set, string scoreColumn)
    {
        Model = model;
        Set = set.Name;
        try
        {
            _scored = transformer.Transform(set.Data);
            _score = Probabilities.Find(_scored.Schema, scoreColumn);
            _labels = Probabilities.Labels(_scored.Schema, _score);
            _slots = set.Slots(_labels);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw Located(error);
        }
    }

    public string Model { get; }

    public string Set { get; }

    /// <summary>Scores the set once.</summary>
    /// <exception cref="InvalidOperationException">A row cannot be scored, or its scores are not probabilities.</exception>
    public ScoredSet Score()
    {
        var rows = new List<MeasuredRow>(_slots.Length);
        try
        {
            // Labels are the set's own, as a model may map its label column by the keys that it was trained with.
            using DataViewRowCursor cursor = _scored.GetRowCursor([_score]);
            var probabilities = new Probabilities(cursor, _score);
            int row = 0;
            for (; cursor.MoveNext(); row++)
            {
                if (row < _slots.Length && _slots[row] >= 0)
                {
                    rows.Add(MeasuredRow.Of(_slots[row], probabilities.Read()));
                }
            }

            return row == _slots.Length
                ? new(_labels, [.. rows])
                : throw new InvalidOperationException($"The set has {_slots.Length} rows and the model gives {row}; it must score each row.");
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw Located(error);
        }
    }

    private InvalidOperationException Located(Exception error) => new($"Model '{Model}' on set '{Set}': {error.Message}", error);
}
