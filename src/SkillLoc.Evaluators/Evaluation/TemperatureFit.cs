namespace SkillLoc.Evaluators;

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

        double below = Math.Log(1 / highest), above = Math.Log(1 / lowest);
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
            double sum = 0, expected = 0;
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
