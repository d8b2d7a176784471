using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Curves;

/// <summary>Curves and mixtures between models that write their answers (T5), of which a row has several.</summary>
public sealed class AnsweringEndsTests : IDisposable
{
    private static readonly TextToTextTask Task = new("toy", TextMetric.QuestionAnsweringF1) { MaxOutputLength = 12 };

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public static TheoryData<string> Methods => ["model", "adapter", "lora", "prefix", "soft prompt"];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Methods))]
    public void ACurveLosesLessThanTheLineAndGoesOnAfterAKill(string method)
    {
        using TextScoringTransformer first = Model(method, 1),
            second = Model(method, 2);
        IDataView data = Rows(12);
        string file = Path.Join(_folder, "curve.safetensors");
        using ParameterPath whole = Fit(_ => { });
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Throws<Ends.KilledException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Ends.Sink<CurveProgress>(progress =>
                {
                    if (progress.Step == 11)
                    {
                        throw new Ends.KilledException();
                    }
                });
            })
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        using (ParameterPath resumed = Fit(options => options.StateFile = file))
        {
            Assert.All(whole.Names, name => Assert.True(whole.Controls(name)[0].Equals(resumed.Controls(name)[0]), name));
        }

        using var line = new ParameterPath(first.Classifier, second.Classifier);
        Assert.True(Loss(whole) < Loss(line) - 0.02, $"{Loss(whole)} on the curve, {Loss(line)} on the line");

        ParameterPath Fit(Action<CurveTrainer.Options> change)
        {
            var options = new CurveTrainer.Options
            {
                First = first,
                Second = second,
                LabelColumnName = "Answers",
                LearningRate = 0.02,
                MaxSteps = 30,
                BatchSize = 4,
                Dropout = 0.05,
                Seed = 0,
                GradientAccumulationSteps = 2,
                StateInterval = 5,
                ValidationSet = data,
                EvaluationInterval = 30,
            };
            change(options);
            return _ml.SkillLoc().Connectivity.FindCurve(options).Fit(data);
        }
    }

    [Fact]
    public void AMixtureGoesOnAfterAKill()
    {
        using TextScoringTransformer first = Model("model", 1),
            second = Model("model", 2);
        IDataView data = Rows(12);
        string file = Path.Join(_folder, "mixture.safetensors");
        float[] whole = Fit(_ => { });
        Assert.True(whole.Length > 0 && whole.Any(weight => Math.Abs(weight) > 0.01));
        Assert.Throws<Ends.KilledException>(() =>
            Fit(options =>
            {
                options.StateFile = file;
                options.Progress = new Ends.Sink<TrainingProgress>(progress =>
                {
                    if (progress.Step == 5)
                    {
                        throw new Ends.KilledException();
                    }
                });
            })
        );
        Assert.Equal(whole, Fit(options => options.StateFile = file));

        float[] Fit(Action<MixtureTrainer.Options> change)
        {
            var options = new MixtureTrainer.Options
            {
                First = first,
                Second = second,
                LabelColumnName = "Answers",
                Granularity = MixtureGranularity.Layer,
                InitialDeviation = 0,
                MaxSteps = 8,
                BatchSize = 4,
                Dropout = 0.05,
                Seed = 0,
                StateInterval = 2,
                ValidationSet = data,
                EvaluationInterval = 3,
            };
            change(options);
            return [.. _ml.SkillLoc().Connectivity.FindMixture(options).Fit(data).Groups.Select(group => group.Weight)];
        }
    }

    private static TextScoringTransformer Model(string method, int seed)
    {
        var classifier = TextClassifier.Create(
            Oracles.PathOf("tiny-t5"),
            new ClassifierSettings
            {
                Head = HeadKind.Generation,
                Labels = [],
                TextToText = Task,
                Tuning = Ends.Tuning(method),
            },
            seed: seed
        );
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in method == "model" ? classifier.Backbone.Parameters.Values : classifier.TunedParameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.1);
        }

        return new(classifier, new ScoringColumns());
    }

    /// <summary>The mean loss of both answers of some rows in the middle.</summary>
    private static double Loss(ParameterPath path)
    {
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, 0.5);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Examples(12)
            .SelectMany(row =>
                row.Answers.Select(answer =>
                {
                    using TokenBatch batch = interpolated.Batch([interpolated.Encode(row.Text)]);
                    return (double)interpolated.AnswerLosses(batch, [interpolated.EncodeAnswer(answer)]).item<float>();
                })
            )
            .Average();
    }

    private static Row[] Examples(int count) =>
        [
            .. Toy.Examples(count)
                .Select(row => new Row { Text = row.Text, Answers = row.Label == "pos" ? ["good", "very nice"] : ["bad", "not so good"] }),
        ];

    private IDataView Rows(int count) => _ml.Data.LoadFromEnumerable(Examples(count));

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string[] Answers { get; set; } = [];
    }
}
