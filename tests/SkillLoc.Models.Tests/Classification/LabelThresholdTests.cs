using SkillLoc.Models.Classification;

namespace SkillLoc.Models.Tests.Classification;

public sealed class LabelThresholdTests
{
    [Fact]
    public void TheBestF1OfEachLabelIsTaken()
    {
        float[][] scores =
        [
            [0.2f, 0.9f, 0.5f],
            [0.3f, 0.8f, 0.5f],
            [0.1f, 0.1f, 0.5f],
            [0.05f, 0.2f, 0.5f],
        ];
        float[][] sets =
        [
            [1, 0, 0],
            [1, 1, 0],
            [0, 0, 0],
            [0, 0, 0],
        ];
        float[] thresholds = LabelThresholds.Choose(scores, sets);

        // Half-way between 0.2 and 0.1; below 0.8, as both of 0.9 and 0.8 are needed to hit once; 0.5 where no row has the label.
        Assert.Equal([0.15f, 0.5f, 0.5f], thresholds);
        Assert.Equal(2 * 3.0 / (4 + 4 + 3), LabelThresholds.MicroF1(scores, sets, thresholds), 12);
        Assert.Equal(
            0,
            LabelThresholds.MicroF1(
                [
                    [0.1f],
                ],
                [
                    [0],
                ],
                [0.5f]
            )
        );
    }

    [Fact]
    public void NoOtherThresholdIsBetter()
    {
        var random = new Random(3);
        for (int round = 0; round < 200; round++)
        {
            int rows = random.Next(1, 12);
            float[][] scores = [.. Enumerable.Range(0, rows).Select(_ => new[] { MathF.Round(random.NextSingle(), 1) })];
            float[][] sets = [.. scores.Select(_ => new[] { (float)random.Next(2) })];
            float[] chosen = LabelThresholds.Choose(scores, sets);
            Assert.InRange(chosen[0], 0, 1);
            double best = Enumerable.Range(0, 201).Max(i => LabelThresholds.MicroF1(scores, sets, [i / 200f]));
            Assert.Equal(best, LabelThresholds.MicroF1(scores, sets, chosen), 12);
        }
    }

    [Fact]
    public void NeighbouringFloatsAreToldApart()
    {
        float low = 0.7f,
            high = MathF.BitIncrement(low);
        float[] chosen = LabelThresholds.Choose(
            [
                [low],
                [high],
            ],
            [
                [0],
                [1],
            ]
        );
        Assert.Equal(
            1,
            LabelThresholds.MicroF1(
                [
                    [low],
                    [high],
                ],
                [
                    [0],
                    [1],
                ],
                chosen
            )
        );
    }
}
