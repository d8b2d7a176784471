using SkillLoc.Evaluators;

namespace SkillLoc.Reports.Tests;

/// <summary>Planes with known numbers.</summary>
internal static class Planes
{
    /// <summary>Three models in a bowl that is steeper along the second axis.</summary>
    public static LossPlaneMetrics Through(int size = 21)
    {
        LossPlaneMetrics plane = Around(size);
        return plane with
        {
            Axes = LossPlaneAxes.Models,
            Seed = null,
            Marks = [new("first", -0.5, -0.5, 0.8, 0.7), new("second", 0.5, -0.5, 0.8, 0.7), new("third", 0.1, 0.5, 0.7, 0.75)],
        };
    }

    /// <summary>A model in the middle of a bowl.</summary>
    public static LossPlaneMetrics Around(int size = 21)
    {
        double[] places = [.. Enumerable.Range(0, size).Select(i => (2.0 * i / (size - 1)) - 1)];
        return new()
        {
            Task = "films",
            Metric = "ACC",
            Axes = LossPlaneAxes.Random,
            Seed = 7,
            Count = 200,
            X = places,
            Y = places,
            Points =
            [
                .. from y in places
                from x in places
                let loss = 0.3 + (x * x) + (2 * y * y)
                select new LossPlanePoint(x, y, loss, 1 / (1 + loss), 1 / (1 + loss)),
            ],
            Marks = [new("model", 0, 0, 0.3, 1 / 1.3)],
        };
    }
}
