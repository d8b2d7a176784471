namespace SkillLoc.Evaluators;

/// <summary>
/// Residuals y - f over confidences f, smoothed by a Gaussian that is reflected at 0 and 1. That kernel is 1 + 2 sum over k of
/// exp(-(pi k s)^2 / 2) cos(pi k t) cos(pi k f), so the cosine coefficients of the residuals serve for all bandwidths s.
/// </summary>
internal sealed class SmoothedResiduals
{
    /// <summary>Number of steps between the points of the curve.</summary>
    public const int CurveSteps = 64;

    /// <summary>The smallest bandwidth. Its factors are below 1e-8 at the last coefficient.</summary>
    public const double SmallestBandwidth = 1.0 / 512;

    // Confidences are shared between neighbouring points of a grid.
    private const int Steps = 1024,
        Integrated = Steps / 2,
        Period = 2 * Steps;
    private const double Precision = 1e-7,
        Negligible = 1e-10;

    private static readonly double[] Cosines = [.. Enumerable.Range(0, Period).Select(i => Math.Cos(Math.PI * i / Steps))];

    private readonly double[] _residuals = new double[Steps + 1],
        _masses = new double[Steps + 1];
    private readonly List<double> _residualCoefficients = [],
        _massCoefficients = [];

    private SmoothedResiduals() { }

    public SmoothedResiduals(double[] confidences, bool[] right)
    {
        for (int row = 0; row < confidences.Length; row++)
        {
            Add(confidences[row], right[row], 1.0 / confidences.Length);
        }
    }

    public static SmoothedResiduals Resample(double[] confidences, bool[] right, Random random)
    {
        var resample = new SmoothedResiduals();
        for (int i = 0; i < confidences.Length; i++)
        {
            int row = random.Next(confidences.Length);
            resample.Add(confidences[row], right[row], 1.0 / confidences.Length);
        }

        return resample;
    }

    /// <summary>The integral over t from 0 to 1 of |mean of K(t, f) (y - f)|.</summary>
    public double Error(double bandwidth)
    {
        double[] factors = Factors(bandwidth, _residuals, _residualCoefficients);
        double sum = 0;
        for (int i = 0; i < Integrated; i++)
        {
            sum += Math.Abs(Value(factors, (2 * i) + 1));
        }

        return sum / Integrated;
    }

    /// <summary>Finds the bandwidth that equals the error. The error falls as the bandwidth grows, so there is one: it is sought from a
    /// guess downwards, as small bandwidths need many coefficients, and then by the Illinois method between bounds.</summary>
    public double FindBandwidth(out double error, double guess = 0.125)
    {
        double high = 1,
            below = Error(high) - high,
            low = Math.Clamp(guess, SmallestBandwidth, 0.5),
            above;
        while (true)
        {
            error = Error(low);
            above = error - low;
            if (above > 0)
            {
                break;
            }

            if (low <= SmallestBandwidth)
            {
                return low;
            }

            (high, below, low) = (low, above, Math.Max(low / 2, SmallestBandwidth));
        }

        for (int i = 0; i < 60 && high - low > Precision; i++)
        {
            double middle = ((low * below) - (high * above)) / (below - above);
            error = Error(middle);
            double excess = error - middle;
            if (Math.Abs(excess) < Precision)
            {
                return middle;
            }

            if (excess > 0)
            {
                (low, above, below) = (middle, excess, below / 2);
            }
            else
            {
                (high, below, above) = (middle, excess, above / 2);
            }
        }

        return error;
    }

    /// <summary>The smoothed accuracy and density at the points of the curve.</summary>
    public double[] Curve(double bandwidth, out double[] densities)
    {
        double[] residuals = Factors(bandwidth, _residuals, _residualCoefficients),
            masses = Factors(bandwidth, _masses, _massCoefficients);
        double[] density = [.. Enumerable.Range(0, CurveSteps + 1).Select(i => Value(masses, i * (Steps / CurveSteps)))];
        densities = [.. density.Select(value => Math.Max(value, 0))];
        return
        [
            .. density.Select(
                (value, i) => value > 1e-6 ? ((double)i / CurveSteps) + (Value(residuals, i * (Steps / CurveSteps)) / value) : double.NaN
            ),
        ];
    }

    private void Add(double confidence, bool isRight, double weight)
    {
        double residual = weight * ((isRight ? 1 : 0) - confidence),
            place = Math.Clamp(confidence, 0, 1) * Steps;
        int lower = Math.Min((int)place, Steps - 1);
        double share = place - lower;
        _residuals[lower] += residual * (1 - share);
        _residuals[lower + 1] += residual * share;
        _masses[lower] += weight * (1 - share);
        _masses[lower + 1] += weight * share;
    }

    /// <summary>The coefficients times the kernel's factors, as far as those matter.</summary>
    private static double[] Factors(double bandwidth, double[] values, List<double> coefficients)
    {
        int count = Math.Min(Steps, (int)Math.Ceiling(Math.Sqrt(-2 * Math.Log(Negligible)) / (Math.PI * bandwidth)) + 1);
        for (int k = coefficients.Count; k < count; k++)
        {
            double sum = 0;
            for (int i = 0; i <= Steps; i++)
            {
                sum += values[i] * Cosines[k * i % Period];
            }

            coefficients.Add(sum);
        }

        double[] factors = new double[count];
        for (int k = 0; k < count; k++)
        {
            double width = Math.PI * k * bandwidth;
            factors[k] = (k == 0 ? 1 : 2) * Math.Exp(-width * width / 2) * coefficients[k];
        }

        return factors;
    }

    /// <summary>The value at place / <see cref="Steps"/>.</summary>
    private static double Value(double[] factors, int place)
    {
        double sum = 0;
        for (int k = 0, at = 0; k < factors.Length; k++, at = (at + place) % Period)
        {
            sum += factors[k] * Cosines[at];
        }

        return sum;
    }
}
