using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Grafts;

/// <summary>Steps of a penalty alone, worked out by hand in gamma = sigmoid(s): s = 5 - S inside the base patch, S - 5 outside.</summary>
public sealed class MaskPenaltyTests
{
    private const double Bias = 5;
    private const double Strength = 10;

    [Theory]
    [InlineData(MaskPenalty.None)]
    [InlineData(MaskPenalty.Shrink)]
    [InlineData(MaskPenalty.Polarize)]
    public void AStepWithoutAGradientIsThePenaltys(MaskPenalty penalty)
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        using var tuned = LanguageModel.Load(Oracles.PathOf("tiny-roberta-finetuned"));
        string name = new ParameterSelection().Of(model)[0];
        using var mask = new GraftMask(model, tuned, [name], Bias);
        mask.SetBasePatch(0.5);
        HashSet<int> patch = [.. mask.Parts().Single().Indices];
        float[] scores = [.. Enumerable.Range(0, (int)mask.Count).Select(i => i % 13)];
        mask.SetScores(name, scores);
        mask.RequireGradients(true);
        using (Tensor none = model.Parameters[name].mul(0).sum())
        {
            none.backward();
        }

        mask.Step(1e7, penalty, Strength);
        float[] moved = [.. mask.Scores(name)];
        Assert.NotEmpty(patch);
        for (int i = 0; i < scores.Length; i++)
        {
            double inward = patch.Contains(i) ? -1 : 1,
                s = inward * (scores[i] - Bias),
                gamma = 1 / (1 + Math.Exp(-s)),
                change = penalty switch
                {
                    MaskPenalty.Shrink => -1,
                    MaskPenalty.Polarize => Math.Sign(s),
                    _ => 0,
                };
            Assert.Equal(scores[i] + (inward * Strength * change * gamma * (1 - gamma)), moved[i], 1e-5);
        }
    }
}
