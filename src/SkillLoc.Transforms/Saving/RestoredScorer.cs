using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>The scorer of a loaded model, restored from the state in the first row. Thread-safe.</summary>
internal sealed class RestoredScorer
{
    private sealed record Current(ReadOnlyMemory<char> State, TextClassifier Classifier);

    private Current? _current;

    public void Score(ReadOnlyMemory<char> state, string text, string? pair, ScoredRow output)
    {
        TextClassifier classifier = Restore(state);
        float[] probabilities = classifier.Score([classifier.Encode(text, pair)])[0];
        ClassifierSettings settings = classifier.Settings;
        var scores = new RowScores(probabilities, settings);
        (output.Scores, output.Label, output.Labels) = settings switch
        {
            { ScoreRange: { } range } => ([range.Predict(probabilities)], "", []),
            { IsMultiLabel: true } => (probabilities, "", Array.ConvertAll(scores.PredictedSet, label => settings.Labels[label])),
            _ => (probabilities, scores.Label, []),
        };
    }

    public void Write(ReadOnlyMemory<char> state, string text, string? pair, WrittenRow output)
    {
        TextClassifier classifier = Restore(state);
        output.Text = classifier.Generate([classifier.Encode(text, pair)])[0];
    }

    private TextClassifier Restore(ReadOnlyMemory<char> state)
    {
        Current? current = _current;

        // The state is one constant in every row; where it also lies in one place, this compares nothing.
        if (current is null || !current.State.Span.SequenceEqual(state.Span))
        {
            current = new(state, SavedScorer.Restored.Get(state.ToString()));
            _current = current;
        }

        return current.Classifier;
    }
}
