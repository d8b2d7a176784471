using Microsoft.ML;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers.Tests.Curves;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Trainers.Tests;

/// <summary>When a context's execution is cancelled, as AutoML does, its trainings end as their own tokens would end them.</summary>
public sealed class CancelExecutionTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);

    // ML.NET's own components end with their context too; rows come from one that goes on.
    private readonly MLContext _data = new();
    private readonly List<int> _steps = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void FineTuningEndsAndGoesOnInAnotherContext(bool severalTasks)
    {
        string file = Path.Join(_folder, "state"),
            record = Path.Join(_folder, "runs.jsonl");
        string whole = Train(_ml, int.MaxValue);
        Assert.Equal(Enumerable.Range(1, 26), _steps);
        _steps.Clear();
        File.Delete(record);
        Train(_ml, 3);
        Assert.Equal([1, 2, 3], _steps);
        Assert.True(File.Exists(file));
        Assert.False(File.Exists(record));

        // What is called afterwards ends at once.
        Train(_ml, int.MaxValue);
        Assert.Equal(3, _steps.Count);
        Assert.Equal(whole, Train(new MLContext(), int.MaxValue));
        Assert.Equal(26, _steps.Count);
        Assert.True(File.Exists(record));

        string Train(MLContext ml, int last)
        {
            PromptFineTuneTrainer.Options options = Toy.Options(options =>
            {
                options.MaxSteps = 26;
                options.Dropout = 0.1;
                options.Progress = new Trainings.Immediate(report => Step(report.Step, last));
                options.StateFile = file;
                options.RecordPath = record;
            });
            if (!severalTasks)
            {
                using TextScoringTransformer model = ml.SkillLoc().PromptFineTune(options).Fit(Toy.View(_data, Toy.Examples(24)));
                return model.Classifier.Fingerprint();
            }

            options.Task = null;
            using MultiTaskModel tasks = ml.SkillLoc()
                .Grafts.MultiTaskFineTune(options, ToyTasks.Film, ToyTasks.Plot)
                .Train(ToyTasks.Views(_data, [ToyTasks.Film, ToyTasks.Plot], 12));
            return string.Join(' ', tasks.Tasks.Values.Select(task => task.Classifier.Fingerprint()));
        }
    }

    [Fact]
    public void MaskTrainingAndSweepsEnd()
    {
        using TextScoringTransformer tuned = new MLContext()
            .SkillLoc()
            .PromptFineTune(Toy.Options(options => options.MaxSteps = 3))
            .Fit(Toy.View(_data, Toy.Examples(16)));
        IDataView data = Toy.View(_data, Toy.Examples(16));
        var sweeping = new MLContext();
        GraftSweepResult sweep = sweeping.SkillLoc().Grafts.SweepSparsity(Options(sweeping), 0.01, 0.02, 0.03).Run(data);
        Assert.Equal([1, 2], _steps);
        Assert.Equal(0.01, Assert.Single(sweep.Points).Sparsity);
        _steps.Clear();
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(Options(_ml)).Fit(data);
        Assert.Equal([1, 2], _steps);
        Assert.NotEmpty(graft.Graft.Parts);
        Assert.False(File.Exists(Path.Join(_folder, "runs.jsonl")));

        GraftMaskEstimator.Options Options(MLContext ml) =>
            new()
            {
                FineTuned = tuned,
                Sparsity = 0.01,
                Epochs = 20,
                Progress = new Trainings.Immediate(report => Step(report.Step, 2, ml)),
                RecordPath = Path.Join(_folder, "runs.jsonl"),
            };
    }

    [Fact]
    public void ASequenceEndsWithTheTasksThatAreLearnt()
    {
        int tasks = 0;
        ContinualGraftResult result = _ml.SkillLoc()
            .Grafts.GraftContinually(
                new ContinualGraft.Options
                {
                    FineTune = Toy.Options(options =>
                    {
                        options.Task = null;
                        options.MaxSteps = 4;
                        options.Progress = new Trainings.Immediate(report =>
                        {
                            tasks += report.Step == 1 ? 1 : 0;
                            Step(report.Step, tasks == 2 ? 2 : int.MaxValue);
                        });
                    }),
                    GraftMask = new() { Sparsity = 0.02, Epochs = 1 },
                }
            )
            .Train(ToyTasks.All.Select(task => new ContinualTask(task, ToyTasks.View(_data, task, 16), ToyTasks.View(_data, task, 8))));
        Assert.Equal([1, 2, 3, 4, 1, 2], _steps);
        Assert.Equal("toy", Assert.Single(result.Grafts).Key);
    }

    [Fact]
    public void CurvesAndMixturesEnd()
    {
        using TextScoringTransformer first = Ends.Model("adapter", 1),
            second = Ends.Model("adapter", 2);
        var curves = new MLContext();
        curves
            .SkillLoc()
            .Connectivity.FindCurve(
                new CurveTrainer.Options
                {
                    First = first,
                    Second = second,
                    MaxSteps = 20,
                    Progress = new Ends.Sink<CurveProgress>(report => Step(report.Step, 3, curves)),
                    StateFile = Path.Join(_folder, "curve"),
                }
            )
            .Train(Toy.View(_data, Toy.Examples(16)))
            .Dispose();
        Assert.Equal([1, 2, 3], _steps);
        Assert.True(File.Exists(Path.Join(_folder, "curve")));
        _steps.Clear();
        var mixtures = new MLContext();
        mixtures
            .SkillLoc()
            .Connectivity.FindMixture(
                new MixtureTrainer.Options
                {
                    First = first,
                    Second = second,
                    MaxSteps = 20,
                    Progress = new Ends.Sink<TrainingProgress>(report => Step(report.Step, 3, mixtures)),
                }
            )
            .Train(Toy.View(_data, Toy.Examples(16)));
        Assert.Equal([1, 2, 3], _steps);
    }

    [Fact]
    public void AProbeEnds()
    {
        using TextScoringTransformer model = Ends.Model("soft prompt", 1);
        IDataView train = Toy.View(_data, Toy.Examples(16)),
            validation = Toy.View(_data, Toy.Examples(8, seed: 2));
        using (SkillNeuronProbeTransformer probed = Probe(validation))
        {
            Assert.NotEmpty(probed.Positions);
        }

        // Cancelled while the validation rows are read, which is after the passes over the training rows.
        IDataView cancelling = _data.Data.FilterByCustomPredicate<TextRow>(
            validation,
            _ =>
            {
                _ml.CancelExecution();
                return false;
            }
        );
        Assert.Throws<OperationCanceledException>(() => Probe(cancelling));
        Assert.Throws<OperationCanceledException>(() => Probe(null));

        SkillNeuronProbeTransformer Probe(IDataView? set) =>
            _ml.SkillLoc().ProbeSkillNeurons(model, NeuronProbeKind.Prompt, fraction: 0.1, validationSet: set).Fit(train);
    }

    [Fact]
    public void OtherContextsGoOn()
    {
        var other = new MLContext();
        using TextScoringTransformer model = _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.MaxSteps = 5;
                    options.Progress = new Trainings.Immediate(report => Step(report.Step, 1, other));
                })
            )
            .Fit(Toy.View(_data, Toy.Examples(16)));
        Assert.Equal(5, _steps.Count);
    }

    /// <summary>Notes a step, and cancels the context at the last.</summary>
    private void Step(int step, int last, MLContext? ml = null)
    {
        _steps.Add(step);
        if (step == last)
        {
            (ml ?? _ml).CancelExecution();
        }
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
