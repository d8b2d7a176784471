namespace SkillLoc.Evaluators;

/// <summary>The labelled rows of a set with the scores of a model.</summary>
/// <param name="Labels">The model's labels, by slot.</param>
/// <param name="Rows">At least one row.</param>
internal sealed record ScoredSet(string[] Labels, MeasuredRow[] Rows)
{
    public IEnumerable<string> Predictions => Rows.Select(row => Labels[row.Predicted]);

    /// <summary>
    /// The mean of the labels' F1, 2 TP / (2 TP + FP + FN), over the labels that some row has or is predicted to have.
    /// </summary>
    public double MacroF1()
    {
        var right = new double[Labels.Length];
        var occurring = new double[Labels.Length];
        foreach (MeasuredRow row in Rows)
        {
            right[row.Label] += row.IsRight ? 1 : 0;
            occurring[row.Label]++;
            occurring[row.Predicted]++;
        }

        return right.Zip(occurring).Where(label => label.Second > 0).Average(label => 2 * label.First / label.Second);
    }
}
