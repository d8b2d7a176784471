using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>
/// Fits the temperature that maximises the likelihood of scored rows (Guo et al., 2017, On Calibration of Modern Neural Networks, section
/// 4.2). Fit it on rows that the model was not trained on.
/// </summary>
public sealed class TemperatureCalibrationEstimator : IEstimator<TemperatureTransformer>
{
    private const string Probability = "Probability";

    private readonly SkillLocCatalog _catalog;
    private readonly string _labelColumn;
    private readonly string _scoreColumn;
    private readonly ScoreForm _form;

    internal TemperatureCalibrationEstimator(SkillLocCatalog catalog, string labelColumn, string scoreColumn, ScoreForm form) =>
        (_catalog, _labelColumn, _scoreColumn, _form) = (catalog, labelColumn, scoreColumn, form);

    /// <summary>Fits the temperature, in double precision on the CPU.</summary>
    /// <param name="input">Scored validation rows. Rows without a label, or with a label that the scores lack, are skipped.</param>
    /// <returns>The transformer. Its temperature is from 0.01 to 100 (<see cref="TemperatureTransformer.LowestTemperature"/> and
    /// <see cref="TemperatureTransformer.HighestTemperature"/>): rows whose likelihood has no maximum within it give a bound and a warning
    /// in the log; scores that are equal in every row give 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type, or the scores are a regression's.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, none of their labels is among the names of the slots, or a
    /// row's scores are not finite, or not probabilities if they must be.</exception>
    public TemperatureTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        LabeledScores.CheckLabel(input.Schema, _labelColumn, _scoreColumn);
        DataViewSchema.Column score = Probabilities.FindAny(input.Schema, _scoreColumn, out bool isMargin);
        if (Probabilities.IsRegression(score))
        {
            throw EvaluatedColumn.WrongType(score, "a classifier's scores, and this is what a regression predicts");
        }

        var host = new ComponentHost(_catalog.Context, nameof(TemperatureCalibrationEstimator));
        using IChannel channel = host.Start("Fitting");
        using CancellationWatch cancellation = host.Watch();

        // A trainer's margin is none, even where all happen to be from 0 to 1.
        ScoreForm asked = _form == ScoreForm.Detected && isMargin && Probabilities.IsMarked(score) ? ScoreForm.Logits : _form;
        (List<(int Slot, float[] Scores)> rows, ScoreForm form) = Read(input, score, asked, cancellation);
        var fit = new TemperatureFit();
        long unknown = 0;
        foreach ((int slot, float[] scores) in rows)
        {
            double[] logits = Logits(scores, form, Probabilities.IsBinary(score));
            if (slot < logits.Length)
            {
                fit.Add(slot, logits);
            }
            else
            {
                unknown++;
            }
        }

        if (fit.Count == 0)
        {
            throw new InvalidOperationException(
                $"No label of column '{_labelColumn}' is that of a slot of '{score.Name}': its keys are above the number of scores."
            );
        }

        double best = fit.Best(TemperatureTransformer.LowestTemperature, TemperatureTransformer.HighestTemperature);
        var calibrated = new TemperatureTransformer(input, score.Name, isMargin ? Probability : score.Name, form, best)
        {
            Count = fit.Count,
            LogLossBefore = fit.LogLoss(1),
            LogLoss = fit.LogLoss(best),
        };
        channel.Info(
            MessageSensitivity.None,
            FormattableString.Invariant(
                $"Temperature {best:G6} on {fit.Count} rows: log-loss {calibrated.LogLossBefore:G6} to {calibrated.LogLoss:G6}."
            )
        );
        if (unknown > 0)
        {
            channel.Warning(MessageSensitivity.None, $"{unknown} rows have labels that the scores do not know; they are left out.");
        }

        if (best is TemperatureTransformer.LowestTemperature or TemperatureTransformer.HighestTemperature)
        {
            channel.Warning(
                MessageSensitivity.None,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The temperature is {best}, the bound of its range: these rows do not determine it. Fit it on more rows, of all "
                        + $"labels, "
                ) + "that the model was not trained on."
            );
        }

        return calibrated;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ScoringSchema.Find(inputSchema, _labelColumn);
        SchemaShape.Column score = ScoringSchema.Find(inputSchema, _scoreColumn);
        bool isMargin =
            score.Kind == SchemaShape.Column.VectorKind.Scalar
            && score.Name == "Score"
            && inputSchema.All(column => column.Name != Probability);
        return isMargin ? ScoringSchema.AppendSingle(inputSchema, Probability) : inputSchema;
    }

    private (List<(int Slot, float[] Scores)> Rows, ScoreForm Form) Read(
        IDataView input,
        DataViewSchema.Column score,
        ScoreForm asked,
        CancellationWatch cancellation
    )
    {
        var rows = new List<(int Slot, float[] Scores)>();
        bool isBinary = Probabilities.IsBinary(score),
            areProbabilities = true;
        foreach ((int Slot, float[] Scores) row in LabeledScores.Read(_catalog.Context, input, _labelColumn, score, Reader))
        {
            cancellation.ThrowIfRequested();
            rows.Add(row);
        }

        return (
            rows,
            asked != ScoreForm.Detected ? asked
            : areProbabilities ? ScoreForm.Probabilities
            : ScoreForm.Logits
        );

        Func<float[]> Reader(DataViewRowCursor cursor)
        {
            Func<float[]> read = isBinary ? Probabilities.One(cursor, score) : Probabilities.Several(cursor, score);
            return () =>
            {
                float[] scores = read();
                if (!Array.TrueForAll(scores, float.IsFinite))
                {
                    throw new InvalidOperationException(
                        $"Row {cursor.Position} of column '{score.Name}' is {(isBinary ? scores[0] : $"[{string.Join(", ", scores)}]")}; "
                            + "a temperature needs finite scores."
                    );
                }

                float[] all = isBinary ? [1 - scores[0], scores[0]] : scores;
                areProbabilities &= Probabilities.Are(all);
                return areProbabilities || asked == ScoreForm.Logits || (asked == ScoreForm.Detected && !Probabilities.IsProbability(score))
                    ? scores
                    : throw Probabilities.NoProbabilities(score, cursor.Position, all);
            };
        }
    }

    private static double[] Logits(float[] scores, ScoreForm form, bool isBinary) =>
        (form, isBinary) switch
        {
            (ScoreForm.Logits, true) => [0, scores[0]],
            (ScoreForm.Logits, false) => Array.ConvertAll(scores, score => (double)score),
            (_, true) => [0, TemperatureTransformer.Logit(scores[0])],
            _ => Array.ConvertAll(scores, score => Math.Log(Math.Max(score, TemperatureTransformer.Floor))),
        };
}

/// <summary>
/// The mean negative log-likelihood of labelled logits over the inverse temperature b = 1/T: the mean of log sum_k exp(b z_k) - b z_label.
/// It is convex in b, so bisection finds the zero of its increasing derivative, or that the range contains none.
/// </summary>
internal sealed class TemperatureFit
{
    /// <summary>Halves the range of log b from a width of 9.2 to 1e-14, below what a double tells apart there.</summary>
    private const int Halvings = 50;

    private readonly List<(double Label, double[] Logits)> _rows = [];

    /// <summary>The number of rows.</summary>
    public int Count => _rows.Count;

    /// <summary>Adds a row.</summary>
    /// <param name="slot">The label's slot.</param>
    /// <param name="logits">Finite numbers; they are shifted, so that the highest is 0 and no exponential overflows.</param>
    public void Add(int slot, double[] logits)
    {
        double highest = logits.Max();
        double[] shifted = Array.ConvertAll(logits, logit => logit - highest);
        _rows.Add((shifted[slot], shifted));
    }

    /// <summary>The temperature within a range that maximises the likelihood; 1 if all are equally good.</summary>
    public double Best(double lowest, double highest)
    {
        if (_rows.TrueForAll(row => Array.TrueForAll(row.Logits, logit => logit == 0)))
        {
            return 1;
        }

        double below = Math.Log(1 / highest),
            above = Math.Log(1 / lowest);
        if (Slope(1 / highest) >= 0)
        {
            return highest;
        }

        if (Slope(1 / lowest) <= 0)
        {
            return lowest;
        }

        for (int i = 0; i < Halvings; i++)
        {
            double middle = (below + above) / 2;
            (below, above) = Slope(Math.Exp(middle)) < 0 ? (middle, above) : (below, middle);
        }

        return Math.Exp(-(below + above) / 2);
    }

    /// <summary>The mean negative log-likelihood in nats.</summary>
    public double LogLoss(double temperature) =>
        _rows.Average(row => Math.Log(row.Logits.Sum(logit => Math.Exp(logit / temperature))) - (row.Label / temperature));

    /// <summary>The derivative: the mean of the expected logit minus the label's logit.</summary>
    private double Slope(double inverse)
    {
        double slope = 0;
        foreach ((double label, double[] logits) in _rows)
        {
            double sum = 0,
                expected = 0;
            foreach (double logit in logits)
            {
                double weight = Math.Exp(inverse * logit);
                sum += weight;
                expected += weight * logit;
            }

            slope += (expected / sum) - label;
        }

        return slope / _rows.Count;
    }
}
