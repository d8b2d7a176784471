using Microsoft.ML.Data;
using SkillLoc.Models.Classification;

namespace SkillLoc.Transforms;

/// <summary>The output of the scoring mappings of saved models.</summary>
public sealed class ScoredRow
{
    /// <summary>One probability per label; for a regression the predicted score alone.</summary>
    [ColumnName(CarrierColumns.Scores)]
    public float[] Scores { get; set; } = [];

    /// <summary>The most probable label; empty for a regression and for a multi-label task.</summary>
    [ColumnName(CarrierColumns.Label)]
    public string Label { get; set; } = "";

    /// <summary>The labels that are predicted of a multi-label task; none for others.</summary>
    [ColumnName(CarrierColumns.Labels)]
    public string[] Labels { get; set; } = [];

    /// <summary>Sets the outputs of a row.</summary>
    /// <param name="probabilities">One for each label.</param>
    /// <param name="settings">The task.</param>
    internal void Set(float[] probabilities, ScoringSettings settings)
    {
        var scores = new RowScores(probabilities, settings);
        (Scores, Label, Labels) = settings switch
        {
            { ScoreRange: { } range } => ([range.Predict(probabilities)], "", []),
            { IsMultiLabel: true } => (probabilities, "", Array.ConvertAll(scores.PredictedSet, label => settings.Labels[label])),
            _ => (probabilities, scores.Label, []),
        };
    }
}
