namespace SkillLoc.Evaluators.Tests;

public sealed class ConvexityGapTests
{
    private static InterpolationSet Set(params double[] losses) =>
        new()
        {
            Name = "Validation",
            Rows = [0],
            Scores = [],
            Points =
            [
                .. losses.Select(
                    (loss, i) =>
                        new InterpolationPoint
                        {
                            Set = "Validation",
                            X = i / (losses.Length - 1.0),
                            Loss = loss,
                            Metric = 0,
                            Accuracy = 0,
                            ExpectedCalibrationError = 0,
                            BrierScore = 0,
                            AgreementWithFirst = 1,
                            AgreementWithSecond = 1,
                            Right = 0,
                            Learnt = 0,
                            Forgotten = 0,
                        }
                ),
            ],
        };

    /// <summary>Between 0.4 at a quarter and 0.1 at three quarters the middle would be 0.25, and is 0.5; no point is above the line from 1
    /// to 0.</summary>
    [Fact]
    public void ItSeesAHumpOnASlope()
    {
        InterpolationSet set = Set(1, 0.4, 0.5, 0.1, 0);
        Assert.Equal(0, set.LossBarrier, 9);
        Assert.Equal(0.25, set.LossConvexityGap, 9);
    }

    [Fact]
    public void OfAConvexLossItIsNothing() => Assert.Equal(0, Set(1, 0.4, 0.1, 0.05, 0.04).LossConvexityGap);
}
