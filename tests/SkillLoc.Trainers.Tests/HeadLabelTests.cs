using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Training that goes on from a trained classification head goes on with its labels, whatever the order of the new data.</summary>
public sealed class HeadLabelTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly List<(string Kind, string Text)> _said = [];
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public HeadLabelTests() => _ml.Log += (_, log) => _said.Add(($"{log.Kind}", log.RawMessage));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(HeadKind.SequenceClassification)]
    [InlineData(HeadKind.FirstTokenLinear)]
    [InlineData(HeadKind.MaskTokenLinear)]
    public void RowsBackwardsSwapNothing(HeadKind head)
    {
        Toy.Row[] rows = Toy.Examples(48);
        using TextScoringTransformer trained = Fit(rows, head);
        Assert.Equal(1, Accuracy(trained, rows));
        using TextScoringTransformer next = Fit(
            rows.Reverse(),
            head,
            options =>
            {
                options.Checkpoint = trained.CheckpointFolder!;
                options.Epochs = 0;
                options.OutputFolder = null;
            }
        );
        Assert.Equal(["pos", "neg"], next.Labels);
        Assert.Equal(1, Accuracy(next, rows));
        AssertSaid("Info", "by label name");
    }

    [Fact]
    public void ANewClassIsSaid()
    {
        Toy.Row[] rows = Toy.Examples(48);
        using TextScoringTransformer trained = Fit(rows, HeadKind.SequenceClassification);
        Toy.Row[] other = [new Toy.Row { Label = "new", Text = "and" }, rows[1], rows[0]];
        using TextScoringTransformer next = Fit(
            other,
            HeadKind.SequenceClassification,
            options =>
            {
                options.Checkpoint = trained.CheckpointFolder!;
                options.Epochs = 0;
                options.OutputFolder = null;
            }
        );
        Assert.Equal(["new", "pos", "neg"], next.Labels);
        AssertSaid("Warning", "'pos', 'neg' are kept");
        AssertSaid("Warning", "'new' is new");

        // Between the two that are known the model decides as before.
        float[][] before = Scores(trained, rows),
            after = Scores(next, rows);
        Assert.All(
            before.Zip(after),
            row => Assert.Equal(Math.Log(row.First[0] / row.First[1]), Math.Log(row.Second[2] / row.Second[1]), 1e-3)
        );

        other = [new Toy.Row { Label = "bad", Text = "man" }, new Toy.Row { Label = "good", Text = "film" }];
        Fit(
                other,
                HeadKind.SequenceClassification,
                options =>
                {
                    options.Checkpoint = trained.CheckpointFolder!;
                    options.Epochs = 0;
                }
            )
            .Dispose();
        AssertSaid("Warning", "no label is kept");
        AssertSaid("Warning", "Of the trained head 'neg', 'pos' are left out");
    }

    [Fact]
    public void AGraftThatTrainingStartsFromBringsItsLabels()
    {
        Toy.Row[] rows = Toy.Examples(48);
        using TextScoringTransformer trained = Fit(rows, HeadKind.SequenceClassification);
        using GraftTransformer graft = _ml.SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = trained,
                    Epochs = 0,
                    Sparsity = 1,
                }
            )
            .Fit(Toy.View(_ml, rows));
        float[][] expected = Scores(graft, rows);
        using TextScoringTransformer next = Fit(
            rows.Reverse(),
            HeadKind.SequenceClassification,
            options =>
            {
                options.StartFrom = [graft.Graft];
                options.Epochs = 0;
            }
        );
        Assert.Equal(["pos", "neg"], next.Labels);
        Assert.All(expected.Zip(Scores(next, rows)), pair => Assert.Equal(pair.First.Reverse(), pair.Second));
        AssertSaid("Info", "a graft");
    }

    [Fact]
    public void SeveralTasksTakeTheLabelsThatAreTheirs()
    {
        Toy.Row[] rows = Toy.Examples(48);
        using TextScoringTransformer trained = Fit(rows, HeadKind.SequenceClassification);
        PromptFineTuneTrainer.Options options = Toy.Options(each =>
        {
            each.Task = null;
            each.Head = HeadKind.SequenceClassification;
            each.Checkpoint = trained.CheckpointFolder!;
            each.Epochs = 0;
        });
        using MultiTaskModel model = _ml.SkillLoc()
            .Grafts.MultiTaskFineTune(options, ToyTasks.Film, ToyTasks.Plot)
            .Train(
                new Dictionary<string, IDataView>
                {
                    ["toy"] = Toy.View(_ml, rows.Reverse()),
                    ["plot"] = ToyTasks.View(_ml, ToyTasks.Plot, 8),
                }
            );
        Assert.Equal(["pos", "neg"], model.Tasks["toy"].Labels);
        Assert.Equal(1, Accuracy(model.Tasks["toy"], rows));
        AssertSaid("Info", "The head of 'toy' starts from");
        AssertSaid("Warning", "The head of 'plot' starts from");
    }

    [Fact]
    public void AZipOfReorderedLabelsPredictsThem()
    {
        Toy.Row[] rows = Toy.Examples(48);
        using TextScoringTransformer trained = Fit(rows, HeadKind.SequenceClassification);
        string folder = Path.Join(_folder, "next");
        using TextScoringTransformer next = Fit(
            rows.Reverse(),
            HeadKind.SequenceClassification,
            options =>
            {
                options.Checkpoint = trained.CheckpointFolder!;
                options.Epochs = 0;
                options.OutputFolder = folder;
            }
        );
        _ml.Model.Save(next, _ml.Data.LoadFromEnumerable(rows).Schema, Path.Join(_folder, "model.zip"));
        ITransformer loaded = _ml.Model.Load(Path.Join(_folder, "model.zip"), out _);
        IDataView scored = loaded.Transform(_ml.Data.LoadFromEnumerable(rows));
        scored = _ml.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(scored).Transform(scored);
        Assert.Equal(rows.Select(row => row.Label), scored.GetColumn<string>("PredictedLabel"));
        using TextScoringTransformer end = _ml.SkillLoc().Connectivity.LoadTextScorer(folder);
        Assert.Equal(1, Accuracy(end, rows));
    }

    private TextScoringTransformer Fit(IEnumerable<Toy.Row> rows, HeadKind head, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.Head = head;
                    options.Task = head == HeadKind.MaskTokenLinear ? Toy.Task : null;
                    options.Epochs = 20;
                    options.OutputFolder = Path.Join(_folder, "trained");
                    change?.Invoke(options);
                    options.OutputFolder = options.Checkpoint == options.OutputFolder ? null : options.OutputFolder;
                })
            )
            .Fit(Toy.View(_ml, rows));

    private float[][] Scores(ITransformer model, IEnumerable<Toy.Row> rows) =>
        [.. model.Transform(_ml.Data.LoadFromEnumerable(rows)).GetColumn<float[]>("Score")];

    private double Accuracy(TextScoringTransformer model, Toy.Row[] rows) =>
        Scores(model, rows)
            .Zip(rows, (scores, row) => model.Labels[Array.IndexOf(scores, scores.Max())] == row.Label ? 1.0 : 0.0)
            .Average();

    private void AssertSaid(string kind, string text) =>
        Assert.Contains(_said, each => each.Kind == kind && each.Text.Contains(text, StringComparison.Ordinal));
}
