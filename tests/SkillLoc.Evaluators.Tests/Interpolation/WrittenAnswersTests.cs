using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators.Tests.Interpolation;

/// <summary>Paths between models that write their answers (T5).</summary>
public sealed class WrittenAnswersTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("tiny-t5", "whole")]
    [InlineData("tiny-t5-v11", "whole")]
    [InlineData("tiny-t5", "adapter")]
    [InlineData("tiny-t5", "lora")]
    [InlineData("tiny-t5-v11", "prefix")]
    [InlineData("tiny-t5", "soft_prompt")]
    public void ClosedTasksAreJudgedByTextAndCalibratedByLikelihood(string checkpoint, string kind)
    {
        ClassifierSettings settings = Settings(TextMetric.Accuracy) with
        {
            Labels = ["no", "yes"],
            Words = ["a film", "the good"],
            Tuning = kind switch
            {
                "adapter" => new AdapterOptions { Placement = AdapterPlacement.Houlsby, BottleneckSize = 5 },
                "lora" => new LoraOptions { Rank = 3, Alpha = 4 },
                "prefix" => new PrefixOptions { Length = 3, ProjectionSize = 6 },
                "soft_prompt" => new SoftPromptOptions { Size = 4 },
                _ => null,
            },
        };
        string? baseFolder = kind == "whole" ? null : Oracles.PathOf(checkpoint);
        string first = Save(checkpoint, settings, 1),
            second = Save(checkpoint, settings, 2);
        IDataView data = _ml.Data.LoadFromEnumerable(
            Texts()
                .Select(
                    (text, i) =>
                        new Row
                        {
                            Text = text,
                            Label =
                                i == 2 ? ""
                                : i % 3 == 0 ? "no"
                                : "yes",
                        }
                )
        );
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InterpolationMetrics metrics = _ml.SkillLoc()
            .Connectivity.EvaluateInterpolation(first, second, data, baseCheckpoint: baseFolder, numberOfPoints: 3);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal("ACC", metrics.Metric);
        InterpolationSet set = metrics.Sets[0];

        using TextScoringTransformer one = Load(first),
            other = Load(second),
            middle = Load(first);
        MakeMean(middle, one, other);
        foreach ((TextScoringTransformer model, int point) in new[] { (one, 0), (middle, 1), (other, 2) })
        {
            IDataView scored = model.Transform(data);
            IDataView order = _ml.Data.LoadFromEnumerable(new[] { new { Label = "no" }, new { Label = "yes" } });
            CalibrationMetrics expected = _ml.SkillLoc()
                .EvaluateCalibration(_ml.Transforms.Conversion.MapValueToKey("Label", keyData: order).Fit(scored).Transform(scored));
            InterpolationPoint actual = set.Points[point];
            Assert.Equal(expected.BrierScore, actual.BrierScore, 1e-5);
            Assert.Equal(expected.ExpectedCalibrationError, actual.ExpectedCalibrationError, 1e-4);
            string[][] answers =
            [
                .. data.GetColumn<string>("Label")
                    .Where(label => label.Length > 0)
                    .Select(label => new[] { label == "no" ? "a film" : "the good" }),
            ];
            string[] written = [.. scored.GetColumn<string>("PredictedText").Where((_, row) => row != 2)];
            Assert.Equal(TextMetrics.Evaluate(TextMetric.Accuracy, written, answers), actual.Metric, 1e-12);
            Assert.Equal(Loss(model.Classifier, [.. Texts().Where((_, row) => row != 2)], answers), actual.Loss, 1e-4);
            Assert.Equal(
                scored
                    .GetColumn<uint>("PredictedLabel")
                    .Zip(one.Transform(data).GetColumn<uint>("PredictedLabel"))
                    .Where((_, row) => row != 2)
                    .Average(pair => pair.First == pair.Second ? 1.0 : 0),
                actual.AgreementWithFirst,
                1e-12
            );
        }

        Assert.True(Math.Abs(set.Points[0].Loss - set.Points[2].Loss) > 1e-3);

        TextScoringTransformer Load(string path) =>
            baseFolder is null
                ? _ml.SkillLoc().Connectivity.LoadTextScorer(path)
                : _ml.SkillLoc().Connectivity.LoadTextScorer(baseFolder, path);
    }

    [Fact]
    public void FreeTextHasGradedScoresAndNoCalibration()
    {
        ClassifierSettings settings = Settings(TextMetric.QuestionAnsweringF1);
        string first = Save("tiny-t5", settings, 1),
            second = Save("tiny-t5", settings, 2);
        using TextScoringTransformer one = _ml.SkillLoc().Connectivity.LoadTextScorer(first),
            other = _ml.SkillLoc().Connectivity.LoadTextScorer(second);
        string[] ones = Written(one),
            others = Written(other);
        Assert.True(ones.Zip(others).Count(pair => pair.First != pair.Second && pair.First.Length > 0) > Texts().Length / 2);

        // Rows of which the first end knows an answer, rows that it half knows, and rows that the second knows.
        Row[] rows =
        [
            .. Texts()
                .Select(
                    (text, i) =>
                        new Row
                        {
                            Text = text,
                            Answers =
                                i == 3
                                    ? [" "]
                                    : (i % 3) switch
                                    {
                                        0 => ["nothing", $"{ones[i]}"],
                                        1 => [$"{ones[i]} more words"],
                                        _ => [$"x {others[i]}", others[i].Length > 0 ? others[i] : "x"],
                                    },
                        }
                ),
        ];
        IDataView data = _ml.Data.LoadFromEnumerable(rows);
        InterpolationMetrics metrics = _ml.SkillLoc()
            .Connectivity.EvaluateInterpolation(one, other, data, labelColumnName: "Answers", numberOfPoints: 3);
        Assert.Equal("QA-F1", metrics.Metric);
        InterpolationSet set = metrics.Sets[0];
        int[] kept = [.. Enumerable.Range(0, rows.Length).Where(row => row != 3)];
        Assert.Equal(kept, set.Rows);
        string[][] answers = [.. kept.Select(row => rows[row].Answers)];
        using TextScoringTransformer middle = _ml.SkillLoc().Connectivity.LoadTextScorer(first);
        MakeMean(middle, one, other);
        foreach ((TextScoringTransformer model, int point) in new[] { (one, 0), (middle, 1), (other, 2) })
        {
            string[] all = Written(model),
                written = [.. kept.Select(row => all[row])];
            InterpolationPoint actual = set.Points[point];
            Assert.Equal(TextMetrics.Evaluate(TextMetric.QuestionAnsweringF1, written, answers), actual.Metric, 1e-12);
            Assert.Equal(
                TextMetrics.RowScores(TextMetric.QuestionAnsweringF1, written, answers)!.Select(score => (float)score),
                set.Scores[point]
            );
            Assert.Equal(Loss(model.Classifier, [.. kept.Select(row => rows[row].Text)], answers), actual.Loss, 1e-4);
            Assert.Equal(kept.Average(row => all[row] == ones[row] ? 1.0 : 0), actual.AgreementWithFirst, 1e-12);
            Assert.Equal(kept.Average(row => all[row] == others[row] ? 1.0 : 0), actual.AgreementWithSecond, 1e-12);
            Assert.True(double.IsNaN(actual.BrierScore) && double.IsNaN(actual.ExpectedCalibrationError));
        }

        Assert.Contains(set.Scores[0], score => score is > 0 and < 1);
        Assert.Contains(set.Changes, change => change.IsForgotten);
        Assert.Throws<ArgumentException>(() =>
            _ml.SkillLoc()
                .Connectivity.EvaluateInterpolation(
                    new CheckpointInterpolationEvaluator.Options
                    {
                        First = one,
                        Second = other,
                        Validation = data,
                        LabelColumnName = "Answers",
                        Metric = PromptMetric.Accuracy,
                    }
                )
        );
        IDataView keys = _ml.Data.LoadFromEnumerable(new[] { new { Label = 1f, Text = "a" } });
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(one, other, keys));

        string[] Written(TextScoringTransformer model) =>
            [
                .. model
                    .Transform(_ml.Data.LoadFromEnumerable(Texts().Select(text => new Row { Text = text })))
                    .GetColumn<string>("PredictedText"),
            ];
    }

    [Fact]
    public void AnswersThatAreJudgedAsAWholeHaveNoScores()
    {
        ClassifierSettings settings = Settings(TextMetric.RougeL);
        string first = Save("tiny-t5", settings, 1),
            second = Save("tiny-t5", settings, 2);
        IDataView data = _ml.Data.LoadFromEnumerable(Texts().Select(text => new Row { Text = text, Label = "the good film" }));
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, numberOfPoints: 2);
        Assert.Equal("toy", metrics.Task);
        Assert.Empty(metrics.Sets[0].Scores);
        Assert.True(double.IsNaN(metrics.Sets[0].Points[0].Accuracy));
        Assert.Equal(1, metrics.Sets[0].Points[0].AgreementWithFirst);

        // What cannot be judged is told before anything is written.
        ClassifierSettings numbers = Settings(TextMetric.PearsonCorrelation);
        string third = Save("tiny-t5", numbers, 3);
        Assert.Contains(
            "PearsonCorrelation",
            Assert.Throws<InvalidOperationException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(third, third, data)).Message,
            StringComparison.Ordinal
        );
    }

    private static ClassifierSettings Settings(TextMetric metric) =>
        new()
        {
            Head = HeadKind.Generation,
            Labels = [],
            MaxLength = 40,
            TextToText = new("toy", metric) { MaxOutputLength = 8 },
        };

    private static string[] Texts() =>
        [.. Enumerable.Range(0, 14).Select(i => string.Join(' ', Enumerable.Range(0, (i % 5) + 1).Select(j => $"word{(i * 5 + j) % 11}")))];

    /// <summary>The mean cross-entropy of all tokens of the rows' first answers, in one batch.</summary>
    private static double Loss(TextClassifier classifier, string[] texts, string[][] answers)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using TokenBatch batch = classifier.Batch([.. texts.Select(text => classifier.Encode(text))]);
        var model = (T5ForConditionalGeneration)classifier.Backbone;
        return model
            .Loss(batch, T5ForConditionalGeneration.Targets([.. answers.Select(row => classifier.EncodeAnswer(row[0]))]))
            .item<float>();
    }

    private static void MakeMean(TextScoringTransformer middle, TextScoringTransformer one, TextScoringTransformer other)
    {
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in middle.Classifier.Parameters)
        {
            using DisposeScope scope = NewDisposeScope();
            parameter.copy_((one.Classifier.Parameters[name] + other.Classifier.Parameters[name]) / 2);
        }
    }

    private string Save(string checkpoint, ClassifierSettings settings, int seed)
    {
        string path = Path.Join(_folder, $"{checkpoint}-{seed}");
        using var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), settings);
        using (no_grad())
        {
            using DisposeScope scope = NewDisposeScope();
            using var generator = new Generator((ulong)seed);
            foreach (Parameter parameter in (settings.Tuning is null ? classifier.Parameters : classifier.TunedParameters).Values)
            {
                parameter.add_(randn(parameter.shape, generator: generator) * (settings.Tuning is null ? 0.05 : 0.3));
            }
        }

        if (settings.Tuning is null)
        {
            classifier.Save(path);
        }
        else
        {
            classifier.SaveTuned(path);
        }

        return path;
    }

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string Label { get; set; } = "";

        public string[] Answers { get; set; } = [];
    }
}
