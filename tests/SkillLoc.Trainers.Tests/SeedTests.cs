using SkillLoc.Models.Classification;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Runs may share how they start and differ in the order of the rows, or the other way round (methods, C.2).</summary>
public sealed class SeedTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void FreshParametersHaveASeedOfTheirOwn(bool lora)
    {
        string usual = Fingerprint(7, null);
        Assert.Equal(usual, Fingerprint(1, 7));
        Assert.Equal(usual, Fingerprint(2, 7));
        Assert.NotEqual(usual, Fingerprint(7, 1));

        // From the same start, what follows differs by the other seed.
        Assert.NotEqual(Fingerprint(1, 7, steps: 2), Fingerprint(2, 7, steps: 2));
        Assert.Equal(Fingerprint(7, null, steps: 2), Fingerprint(7, 7, steps: 2));

        string Fingerprint(int seed, int? initialisation, int steps = 0) =>
            SeedTests.Fingerprint(options =>
            {
                options.Head = HeadKind.SequenceClassification;
                options.Tuning = lora ? new LoraOptions() : null;
                options.Seed = seed;
                options.InitialisationSeed = initialisation;
                Steps(options, steps);
            });
    }

    [Fact]
    public void TheOrderOfTheRowsDoesNotFollowIt()
    {
        // Label words are not fresh, so that nothing but order and dropout is random.
        Assert.Equal(Fingerprint(5, 1), Fingerprint(5, 2));
        Assert.NotEqual(Fingerprint(5, 1), Fingerprint(6, 1));

        static string Fingerprint(int seed, int initialisation) =>
            SeedTests.Fingerprint(options =>
            {
                options.Seed = seed;
                options.InitialisationSeed = initialisation;
                options.Dropout = 0.1;
                Steps(options, 2);
            });
    }

    [Fact]
    public void HeadsOfSeveralTasksFollowIt()
    {
        string first = Fingerprint(1, 7);
        Assert.Equal(first, Fingerprint(2, 7));
        Assert.NotEqual(first, Fingerprint(1, 8));

        static string Fingerprint(int seed, int initialisation)
        {
            var ml = new Microsoft.ML.MLContext(seed: 1);
            using MultiTaskModel model = ml.SkillLoc()
                .Grafts.MultiTaskFineTune(
                    Toy.Options(options =>
                    {
                        options.Task = null;
                        options.Head = HeadKind.SequenceClassification;
                        options.Seed = seed;
                        options.InitialisationSeed = initialisation;
                        options.Epochs = 0;
                    }),
                    ToyTasks.Film,
                    ToyTasks.Plot
                )
                .Train(ToyTasks.Views(ml, [ToyTasks.Film, ToyTasks.Plot], 4));
            return model.Tasks["plot"].Classifier.Fingerprint();
        }
    }

    private static void Steps(PromptFineTuneTrainer.Options options, int steps)
    {
        options.BatchSize = 2;
        options.Epochs = 0;
        options.MaxSteps = steps == 0 ? null : steps;
    }

    private static string Fingerprint(Action<PromptFineTuneTrainer.Options> change)
    {
        using TextScoringTransformer model = Trainings.Fit(Toy.Examples(12), change);
        return model.Classifier.Fingerprint();
    }
}
