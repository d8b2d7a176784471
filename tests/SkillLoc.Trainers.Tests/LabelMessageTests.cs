using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>What is said of labels that a task cannot do with.</summary>
public sealed class LabelMessageTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData(HeadKind.LabelWords)]
    [InlineData(HeadKind.SequenceClassification)]
    public void OneClassIsCalledByItsColumnAndName(HeadKind head)
    {
        Toy.Row[] rows = [.. Toy.Examples(8).Where(row => row.Label == "pos")];
        Assert.NotEmpty(rows);
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc().PromptFineTune(Toy.Options(options => options.Head = head)).Fit(Toy.View(_ml, rows))
        );
        Assert.Contains("'Label'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'pos' only", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownLabelsSayHowWordsAreGiven()
    {
        Toy.Row[] rows = [.. Toy.Examples(4), new Toy.Row { Label = "meh", Text = "a film" }];
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc().PromptFineTune(Toy.Options()).Fit(Toy.View(_ml, rows))
        );
        foreach (
            string said in new[]
            {
                "'meh'",
                "'neg', 'pos'",
                "new Verbalizer([new(\"meh\", \"a word\")",
                "PromptTasks.Load",
                "HeadKind.SequenceClassification",
            }
        )
        {
            Assert.Contains(said, error.Message, StringComparison.Ordinal);
        }

        // And it is so.
        PromptTask task = Toy.Task with
        {
            Verbalizer = new Verbalizer([new("neg", "bad"), new("pos", "good"), new("meh", "some")]),
        };
        using TextScoringTransformer model = _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Task = task;
                    options.MaxSteps = 1;
                })
            )
            .Fit(Toy.View(_ml, rows));
        Assert.Equal(3, model.Classifier.Settings.Labels.Count);
    }
}
