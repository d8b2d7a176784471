namespace SkillLoc.Models.Merging;

/// <summary>Arithmetic of float32 vectors; sums are in double precision.</summary>
internal static class VectorMath
{
    public static double Dot(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        double sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            sum += (double)x[i] * y[i];
        }

        return sum;
    }

    public static double Norm(ReadOnlySpan<float> x) => Math.Sqrt(Dot(x, x));

    public static double L1(ReadOnlySpan<float> x)
    {
        double sum = 0;
        foreach (float value in x)
        {
            sum += Math.Abs(value);
        }

        return sum;
    }

    public static double Largest(ReadOnlySpan<float> x)
    {
        double largest = 0;
        foreach (float value in x)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        return largest;
    }

    public static void Add(ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> output)
    {
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = x[i] + y[i];
        }
    }

    public static void Subtract(ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> output)
    {
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = x[i] - y[i];
        }
    }

    public static void Multiply(ReadOnlySpan<float> x, float factor, Span<float> output)
    {
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = x[i] * factor;
        }
    }

    public static void Divide(ReadOnlySpan<float> x, float divisor, Span<float> output)
    {
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = x[i] / divisor;
        }
    }

    /// <summary>Adds factor times x to a sum.</summary>
    public static void AddTo(Span<float> sum, ReadOnlySpan<float> x, double factor)
    {
        for (int i = 0; i < sum.Length; i++)
        {
            sum[i] = (float)(sum[i] + (factor * x[i]));
        }
    }

    public static void Scale(Span<float> x, double factor)
    {
        foreach (ref float value in x)
        {
            value = (float)(value * factor);
        }
    }
}
