using Microsoft.ML;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

public sealed class LocalizeAndStitchTests(GraftMaskEstimatorTests.FineTuned fixture) : IClassFixture<GraftMaskEstimatorTests.FineTuned>
{
    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void TheStitchedGraftIsTheMeanOfTheGraftsOfTheTasks()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(40));
        using TextScoringTransformer other = _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Seed = 6)).Fit(rows);
        GraftMaskEstimator.Options options = Options();
        StitchedGrafts found = _ml.SkillLoc().Merging.LocalizeAndStitch([new(fixture.Transformer, rows), new(other, rows)], options);
        Assert.Equal(2, found.Grafts.Count);
        options.FineTuned = other;
        using GraftTransformer alone = _ml.SkillLoc().GraftMask(options).Fit(rows);
        Assert.Equal(alone.Graft.Fingerprint(), found.Grafts[1].Fingerprint());
        Assert.Equal(Graft.Stitch(found.Grafts).Fingerprint(), found.Stitch().Fingerprint());
        Assert.Equal("", found.Stitch().Settings);
        Assert.Equal(found.Grafts[1].Settings, found.StitchFor(1).Settings);
        Assert.Throws<ArgumentOutOfRangeException>(() => found.StitchFor(2));
        Assert.Null(options.ValidationSet);
    }

    [Fact]
    public void APenaltyOnSizeFindsASmallerGraft()
    {
        Assert.True(Count(MaskPenalty.Shrink, 1e3) < Count(MaskPenalty.None, 1e3));

        long Count(MaskPenalty penalty, double strength)
        {
            GraftMaskEstimator.Options options = Options();
            options.Penalty = penalty;
            options.PenaltyStrength = strength;
            return _ml.SkillLoc()
                .Merging.LocalizeAndStitch([new(fixture.Transformer, Toy.View(_ml, Toy.Examples(40)))], options)
                .Stitch()
                .Count;
        }
    }

    [Fact]
    public void WhatCannotBeStitchedIsRefused()
    {
        IDataView rows = Toy.View(_ml, Toy.Examples(8));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Merging.LocalizeAndStitch([]));
        GraftMaskEstimator.Options options = Options();
        options.PenaltyStrength = -1;
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.SkillLoc().Merging.LocalizeAndStitch([new(fixture.Transformer, rows)], options)
        );
    }

    private static GraftMaskEstimator.Options Options()
    {
        var options = GraftMaskEstimator.Options.LocalizeAndStitch();
        options.Sparsity = 1e-2;
        options.Epochs = 3;
        options.LearningRate = 1e8;
        options.Seed = 4;
        return options;
    }
}
