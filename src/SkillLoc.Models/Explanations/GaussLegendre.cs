namespace SkillLoc.Models.Explanations;

/// <summary>Gauss-Legendre quadrature on [0, 1], exact for polynomials of a degree below twice the number of its nodes.</summary>
internal static class GaussLegendre
{
    /// <summary>The nodes with their weights, which sum to 1.</summary>
    public static IReadOnlyList<(double Place, double Weight)> Nodes(int count)
    {
        var nodes = new (double Place, double Weight)[count];
        for (int i = 0; i < count; i++)
        {
            // Newton's method for a root of the Legendre polynomial on [-1, 1].
            double x = Math.Cos(Math.PI * (i + 0.75) / (count + 0.5)),
                slope = 0;
            for (int step = 0; step < 100; step++)
            {
                double value = 1,
                    before = 0;
                for (int degree = 1; degree <= count; degree++)
                {
                    (value, before) = ((((2 * degree) - 1) * x * value - ((degree - 1) * before)) / degree, value);
                }

                slope = count * ((x * value) - before) / ((x * x) - 1);
                double move = value / slope;
                x -= move;
                if (Math.Abs(move) < 1e-15)
                {
                    break;
                }
            }

            nodes[count - 1 - i] = ((x + 1) / 2, 1 / ((1 - (x * x)) * slope * slope));
        }

        return nodes;
    }
}
