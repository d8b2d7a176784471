using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Trainers.Tests.Curves;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>Trainings draw from generators of their own: they neither disturb each other nor whoever else draws in the process.</summary>
public sealed class ParallelFitTests
{
    [Fact]
    public void FitsSideBySideGiveTheBitsOfFitsInARow()
    {
        int[] seeds = [1, 2, 3, 4];
        string[] alone = Array.ConvertAll(seeds, Train);
        Assert.Equal(seeds.Length, alone.Distinct().Count());
        string[] together = new string[seeds.Length];
        Thread[] threads = [.. seeds.Select((seed, i) => new Thread(() => together[i] = Train(seed)))];
        Array.ForEach(threads, thread => thread.Start());

        // Whoever draws from libtorch's own generator does not disturb them either.
        while (threads.Any(thread => thread.IsAlive))
        {
            using Tensor drawn = rand(3);
        }

        Assert.Equal(alone, together);

        static string Train(int seed)
        {
            using TextScoringTransformer model = Trainings.Fit(
                Toy.Examples(24),
                options =>
                {
                    options.Seed = seed;
                    options.Dropout = 0.3;
                    options.BatchSize = 4;
                    options.MaxSteps = 25;
                }
            );
            return model.Classifier.Fingerprint();
        }
    }

    [Fact]
    public void LibtorchsGeneratorIsLeftAlone()
    {
        var ml = new MLContext(seed: 1);
        IDataView data = Toy.View(ml, Toy.Examples(12));
        Torch("fine-tuning", () => ml.SkillLoc().PromptFineTune(Toy.Options(Short)).Fit(data).Dispose());
        Torch(
            "several tasks",
            () =>
                ml.SkillLoc()
                    .Grafts.MultiTaskFineTune(
                        Toy.Options(options =>
                        {
                            Short(options);
                            options.Task = null;
                        }),
                        ToyTasks.Film,
                        ToyTasks.Plot
                    )
                    .Train(ToyTasks.Views(ml, [ToyTasks.Film, ToyTasks.Plot], 8))
                    .Dispose()
        );
        using TextScoringTransformer first = Ends.Model("model", 1),
            second = Ends.Model("model", 2);
        Torch(
            "a curve",
            () =>
                ml.SkillLoc()
                    .Connectivity.FindCurve(
                        new CurveTrainer.Options
                        {
                            First = first,
                            Second = second,
                            MaxSteps = 2,
                            Dropout = 0.1,
                        }
                    )
                    .Train(data)
                    .Dispose()
        );
        Torch(
            "a mixture",
            () =>
                ml.SkillLoc()
                    .Connectivity.FindMixture(
                        new MixtureTrainer.Options
                        {
                            First = first,
                            Second = second,
                            MaxSteps = 2,
                            Dropout = 0.1,
                        }
                    )
                    .Train(data)
        );
        using TextScoringTransformer tuned = ml.SkillLoc().PromptFineTune(Toy.Options(Short)).Fit(data);
        Torch(
            "a graft",
            () =>
                ml.SkillLoc()
                    .GraftMask(
                        new GraftMaskEstimator.Options
                        {
                            FineTuned = tuned,
                            BasePatch = BasePatchKind.Random,
                            Epochs = 2,
                        }
                    )
                    .Fit(data)
                    .Dispose()
        );

        static void Short(PromptFineTuneTrainer.Options options)
        {
            options.MaxSteps = 2;
            options.Dropout = 0.1;
        }

        static void Torch(string what, Action work)
        {
            using Tensor before = get_rng_state();
            work();
            using Tensor after = get_rng_state();
            Assert.True(before.Equals(after), what);
        }
    }
}
