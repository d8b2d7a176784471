using System.Numerics;

namespace SkillLoc.Models.Merging;

/// <summary>
/// Softmax and sums of rows in float32, with the order of operations of torch's portable kernels: eight partial sums, one for each lane of a
/// vector. Results that are mostly rounding are those of Python then, whatever instructions this processor has.
/// </summary>
internal static class Float32Rows
{
    private const int Lanes = 8;

    // Vectors that are summed side by side, and the levels of partial sums.
    private const int Columns = 4;
    private const int Levels = 4;
    private const int LeastLevelPower = 4;

    /// <summary>Writes the softmax of a row.</summary>
    public static void Softmax(ReadOnlySpan<float> row, Span<float> output)
    {
        float most = float.NegativeInfinity;
        foreach (float value in row)
        {
            most = MathF.Max(most, value);
        }

        for (int i = 0; i < row.Length; i++)
        {
            output[i] = MathF.Exp(row[i] - most);
        }

        float factor = 1 / LaneSum(output);
        foreach (ref float value in output)
        {
            value *= factor;
        }
    }

    /// <summary>Returns the sum of a row, in which partial sums are summed in levels so that rounding stays small.</summary>
    public static float Sum(ReadOnlySpan<float> row)
    {
        int vectors = row.Length / Lanes;
        Span<float> lanes = stackalloc float[Lanes];
        lanes.Clear();
        SumOfVectors(row, vectors, lanes);
        float sum = 0;
        foreach (float value in row[(vectors * Lanes)..])
        {
            sum += value;
        }

        foreach (float lane in lanes)
        {
            sum += lane;
        }

        return sum;
    }

    /// <summary>One running sum for each lane, then their sum.</summary>
    private static float LaneSum(ReadOnlySpan<float> row)
    {
        Span<float> lanes = stackalloc float[Lanes];
        lanes.Clear();
        for (int i = 0; i < row.Length; i++)
        {
            lanes[i % Lanes] = i < Lanes ? row[i] : lanes[i % Lanes] + row[i];
        }

        float sum = lanes[0];
        for (int lane = 1; lane < Math.Min(Lanes, row.Length); lane++)
        {
            sum += lanes[lane];
        }

        return sum;
    }

    private static void SumOfVectors(ReadOnlySpan<float> row, int vectors, Span<float> result)
    {
        const int Width = Columns * Lanes;
        int groups = vectors / Columns,
            power = Math.Max(LeastLevelPower, CeilingOfLog2(groups) / Levels),
            step = 1 << power;
        Span<float> sums = stackalloc float[Levels * Width];
        sums.Clear();
        int group = 0;
        while (group + step <= groups)
        {
            for (int end = group + step; group < end; group++)
            {
                AddTo(sums[..Width], row.Slice(group * Width, Width));
            }

            for (int level = 1; level < Levels; level++)
            {
                Span<float> below = sums.Slice((level - 1) * Width, Width);
                AddTo(sums.Slice(level * Width, Width), below);
                below.Clear();
                if ((group & ((long)(step - 1) << (level * power))) != 0)
                {
                    break;
                }
            }
        }

        for (; group < groups; group++)
        {
            AddTo(sums[..Width], row.Slice(group * Width, Width));
        }

        for (int level = 1; level < Levels; level++)
        {
            AddTo(sums[..Width], sums.Slice(level * Width, Width));
        }

        for (int vector = groups * Columns; vector < vectors; vector++)
        {
            AddTo(sums[..Lanes], row.Slice(vector * Lanes, Lanes));
        }

        for (int column = 1; column < Columns; column++)
        {
            AddTo(sums[..Lanes], sums.Slice(column * Lanes, Lanes));
        }

        sums[..Lanes].CopyTo(result);
    }

    private static void AddTo(Span<float> sum, ReadOnlySpan<float> x) => VectorMath.Add(sum, x, sum);

    private static int CeilingOfLog2(int value) => value <= 2 ? 1 : 32 - BitOperations.LeadingZeroCount((uint)(value - 1));
}
