using Microsoft.ML;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>
/// TorchSharp 0.107 lets the scalars that it makes of numbers go before native code has read them. Where a collection comes in between,
/// a call throws, computes with another number, or ends the process: with its own operations 14 runs of 15 failed here.
/// </summary>
public sealed class ConstantCollectionTests
{
    [Theory]
    [InlineData(OptimizerKind.AdamW)]
    [InlineData(OptimizerKind.Sgd)]
    [InlineData(OptimizerKind.Adafactor)]
    public void TrainingAndScoringAreTheSameBitForBitWhileGarbageIsCollected(OptimizerKind optimizer)
    {
        var ml = new MLContext(seed: 1);
        Toy.Row[] rows = Toy.Examples(16);
        float[] quiet = Run();
        using var collection = new ConstantCollection();
        float[] busy = Run();
        Assert.True(Trainings.SameBits(quiet, busy));

        float[] Run()
        {
            using TextScoringTransformer tuned = Trainings.Fit(
                rows,
                options =>
                {
                    options.Optimizer = optimizer;
                    options.LearningRate = 1e-3;
                    options.WeightDecay = 0.01;
                    options.L1 = 1e-4;
                    options.Epochs = 16;
                }
            );
            using GraftTransformer grafted = ml.SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        Sparsity = 0.01,
                        Epochs = 8,
                        Seed = 1,
                    }
                )
                .Fit(Toy.View(ml, rows));
            return [.. Scores(tuned), .. Scores(grafted)];
        }

        // Several engines over one model, each on a thread of its own.
        float[] Scores(ITransformer model)
        {
            float[][] scores = new float[4][];
            Parallel.For(
                0,
                scores.Length,
                thread =>
                {
                    using PredictionEngine<Toy.Row, Scored> engine = ml.Model.CreatePredictionEngine<Toy.Row, Scored>(
                        model,
                        new PredictionEngineOptions { OwnsTransformer = false }
                    );
                    scores[thread] = [.. Enumerable.Repeat(rows, 8).SelectMany(all => all).SelectMany(row => engine.Predict(row).Score)];
                }
            );
            return [.. scores.SelectMany(values => values)];
        }
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
