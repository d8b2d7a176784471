using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Evaluators.Tests;

public sealed class GraftEvaluatorTests
{
    private const string Query = "roberta.encoder.layer.1.attention.self.query.weight";
    private const string LowQuery = "roberta.encoder.layer.0.attention.self.query.weight";
    private const string Norm = "roberta.embeddings.LayerNorm.bias";

    private readonly SkillLocCatalog _catalog = Fake.Ml.SkillLoc();

    private static Graft Of(params GraftPart[] parts) =>
        new()
        {
            BaseFingerprint = "abc",
            Task = "toy",
            Sparsity = 0.25,
            ConsideredCount = 40,
            Parts = parts,
        };

    private static GraftPart Part(string name, params int[] indices) => new(name, indices, new float[indices.Length]);

    [Fact]
    public void OverlapIsAShareOfTheSecondGraft()
    {
        GraftOverlapMetrics metrics = _catalog.Grafts.EvaluateGraftOverlap(
            new Dictionary<string, Graft>
            {
                ["a"] = Of(Part(Query, 1, 2, 3, 4)),
                ["b"] = Of(Part(Norm, 1), Part(Query, 4)),
                ["none"] = Of(),
            }
        );
        Assert.Equal(["a", "b", "none"], metrics.Grafts);
        Assert.Equal([1, 0.5, double.NaN, 0.25, 1, double.NaN, 0, 0, double.NaN], metrics.Entries.Select(entry => entry.Overlap));
        Assert.Equal(new("a", "b", 4, 2, 1), metrics.Entries[1]);

        IDataView rows = metrics.ToDataView(Fake.Ml);
        Assert.Equal(["First", "Second", "FirstCount", "SecondCount", "SharedCount", "Overlap"], rows.Schema.Select(column => column.Name));
        Assert.Equal([4L, 1, 0, 1, 2, 0, 0, 0, 0], rows.GetColumn<long>("SharedCount"));
        Assert.Equal(0.25, rows.GetColumn<double>("Overlap").ElementAt(3));
    }

    [Fact]
    public void OverlapRefusesOtherBasesAndNothing()
    {
        var other = new Graft { BaseFingerprint = "def", Parts = [] };
        string message = Assert
            .Throws<ArgumentException>(() =>
                _catalog.Grafts.EvaluateGraftOverlap(new Dictionary<string, Graft> { ["a"] = Of(), ["b"] = other })
            )
            .Message;
        Assert.Contains("abc", message);
        Assert.Contains("def", message);
        Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateGraftOverlap(new Dictionary<string, Graft>()));
    }

    [Fact]
    public void RelativeGainGoesFromThePreTrainedToTheFineTunedModel()
    {
        var pre = new Dictionary<string, double>
        {
            ["s"] = 0.5,
            ["t"] = 0.25,
            ["u"] = 0,
        };
        var fine = new Dictionary<string, double>
        {
            ["u"] = 0,
            ["t"] = 0.75,
            ["s"] = 1,
        };
        RelativeGainMetrics metrics = _catalog.Grafts.EvaluateRelativeGain(
            pre,
            fine,
            new Dictionary<string, IReadOnlyDictionary<string, double>>
            {
                ["a"] = new Dictionary<string, double>
                {
                    ["s"] = 0.875,
                    ["t"] = 0.125,
                    ["u"] = 0.5,
                },
                ["b"] = new Dictionary<string, double>
                {
                    ["s"] = 1,
                    ["t"] = 1,
                    ["u"] = 0,
                },
            }
        );
        Assert.Equal([0.75, -0.25, double.NaN, 1, 1.5, double.NaN], metrics.Entries.Select(entry => entry.RelativeGain));
        Assert.Equal([0.875, 0.125 / 0.75, double.NaN, 1, 1 / 0.75, double.NaN], metrics.Entries.Select(entry => entry.Retention));
        Assert.Equal(new("a", "t", 0.25, 0.75, 0.125), metrics.Entries[1]);

        IDataView rows = metrics.ToDataView(Fake.Ml);
        Assert.Equal(
            ["Graft", "Task", "PreTrained", "FineTuned", "Grafted", "RelativeGain", "Retention"],
            rows.Schema.Select(column => column.Name)
        );
        Assert.Equal(0.75, rows.GetColumn<double>("RelativeGain").First());
    }

    [Fact]
    public void RelativeGainNamesWhatIsMissing()
    {
        var all = new Dictionary<string, double> { ["s"] = 1, ["t"] = 1 };
        var some = new Dictionary<string, double> { ["s"] = 1 };
        var grafted = new Dictionary<string, IReadOnlyDictionary<string, double>> { ["g"] = some };
        Assert.Contains(
            "fine-tuned model has no metric for task 't'",
            Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateRelativeGain(all, some, grafted)).Message
        );
        Assert.Contains(
            "graft 'g' has no metric for task 't'",
            Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateRelativeGain(all, all, grafted)).Message
        );
        Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateRelativeGain(new Dictionary<string, double>(), all, grafted));
        Assert.Throws<ArgumentException>(() =>
            _catalog.Grafts.EvaluateRelativeGain(all, all, new Dictionary<string, IReadOnlyDictionary<string, double>>())
        );
    }

    [Fact]
    public void SpreadCountsLayersAndKinds()
    {
        // 3 layers, 48 wide, 96 inside: a query has 48 * 48 scalars, a layer 4 * (48 * 48 + 48) + 2 * 48 * 96 + 96 + 48 + 4 * 48.
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        GraftSpreadMetrics spread = _catalog.Grafts.EvaluateGraftSpread(
            Of(Part(Query, 0, 1, 2303), Part(LowQuery, 7), Part(Norm, 0, 1, 2, 47)),
            model
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        Assert.Equal(model.Parameters.Count, spread.Parameters.Count);
        Assert.Equal(
            new("Layer", 1, "attention.self.query.weight", 3, 2304, 0.375),
            spread.Parameters.Single(entry => entry is { Layer: 1, Kind: "attention.self.query.weight" })
        );
        Assert.Equal(["Embeddings", "Layer", "Layer", "Layer", "Head"], spread.Layers.Select(entry => entry.Region));
        Assert.Equal([-1, 0, 1, 2, -1], spread.Layers.Select(entry => entry.Layer));
        Assert.Equal([4, 1, 3, 0, 0], spread.Layers.Select(entry => entry.Count));
        Assert.Equal([0.5, 0.125, 0.375, 0, 0], spread.Layers.Select(entry => entry.Share));
        Assert.Equal([18960, 18960, 18960], spread.Layers.Skip(1).Take(3).Select(entry => entry.Scalars));
        Assert.Equal(3.0 / 18960, spread.Layers[2].Density, 12);
        Assert.Equal(
            new("Layer", -1, "attention.self.query.weight", 4, 3 * 2304, 0.5),
            spread.Kinds.Single(entry => entry.Kind == "attention.self.query.weight")
        );
        Assert.Equal(new("Embeddings", -1, Norm, 4, 48, 0.5), spread.Kinds.Single(entry => entry.Kind == Norm));
        Assert.Equal(spread.Parameters.Sum(entry => entry.Scalars), spread.Kinds.Sum(entry => entry.Scalars));

        IDataView rows = spread.ToDataView(Fake.Ml);
        Assert.Equal(["Region", "Layer", "Kind", "Count", "Scalars", "Share", "Density"], rows.Schema.Select(column => column.Name));
        Assert.Equal(8, rows.GetColumn<long>("Count").Sum());
    }

    [Fact]
    public void SpreadIsOverWhatTheGraftCouldUse()
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        IReadOnlyList<string> considered = new ParameterSelection().Of(model);
        GraftSpreadMetrics spread = _catalog.Grafts.EvaluateGraftSpread(Of(Part(Query, 5)), model, considered);
        Assert.Equal([18960, 18960, 18960], spread.Layers.Select(entry => entry.Scalars));
        Assert.True(double.IsNaN(_catalog.Grafts.EvaluateGraftSpread(Of(), model).Layers[0].Share));

        Assert.Contains(
            Norm,
            Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateGraftSpread(Of(Part(Norm, 5)), model, considered)).Message
        );
        Assert.Contains(
            "2304",
            Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateGraftSpread(Of(Part(Query, 2304)), model)).Message
        );
        Assert.Contains("'x'", Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateGraftSpread(Of(), model, ["x"])).Message);
    }

    [Fact]
    public void AReportMatchesWhatWasComputedByHand()
    {
        // Pre-trained: yes with 0.75 throughout. Fine-tuned: yes, no, yes, yes with 0.875, of which the third is wrong.
        IDataView test = Fake.KeyedRows((0.875f, "yes"), (0.125f, "no"), (0.875f, "no"), (0.875f, "yes"), (0.5f, ""));
        CountedReads pre = new(Fake.YesNo(_ => 0.75f)),
            fine = new(Fake.YesNo());

        // Yes, yes, no, yes with 0.75, of which the second is wrong; its labels are in the other order.
        Graft graft = Of(Part(Query, 1, 2), Part(Norm, 3)),
            rest = Of();
        GraftReport report = _catalog.Grafts.EvaluateGrafts(
            pre,
            fine,
            new Dictionary<string, GraftedModel>
            {
                ["good"] = new(graft, Fake.YesNo(row => row.Id == 2 ? 0.25f : 0.75f, reverse: true)),
                ["useless"] = new(rest, Fake.YesNo(_ => 0.75f)),
            },
            test
        );

        // The fifth row has no label, so nobody asks for its scores.
        Assert.Equal((4, 4), (pre.Count, fine.Count));
        GraftReportRow good = report.Rows[0],
            useless = report.Rows[1];
        Assert.Equal(("good", "toy", 0.25, 3, 3 / 40.0, 4), (good.Graft, good.Task, good.Sparsity, good.Scalars, good.Share, good.Count));
        Assert.Equal((0.5, 0.75, 0.75), (good.PreTrainedAccuracy, good.FineTunedAccuracy, good.GraftedAccuracy));
        Assert.Equal((1, 0.5), (good.Retention, good.Agreement));
        Assert.Equal((0.25, 0.125, 0), (good.PreTrainedCalibrationError, good.FineTunedCalibrationError, good.GraftedCalibrationError));
        Assert.Equal(1, good.CalibrationErrorReduction);
        Assert.Equal(("useless", 0.5, 2.0 / 3, 0.75), (useless.Graft, useless.GraftedAccuracy, useless.Retention, useless.Agreement));
        Assert.Equal((0.25, -1), (useless.GraftedCalibrationError, useless.CalibrationErrorReduction));
        Assert.Equal(0.75, useless.FineTunedAccuracy);

        string file = Path.GetTempFileName();
        graft.Save(file);
        Assert.Equal(new FileInfo(file).Length, good.FileBytes);
        File.Delete(file);

        IDataView rows = report.ToDataView(Fake.Ml);
        Assert.Equal(typeof(GraftReportRow).GetProperties().Select(property => property.Name), rows.Schema.Select(column => column.Name));
        Assert.Equal([1, 2.0 / 3], rows.GetColumn<double>("Retention"));
    }

    [Fact]
    public void AReportOfTextScorersIsWhatTheOtherEvaluatorsSay()
    {
        ClassifierSettings settings = Settings();
        string folder = Oracles.PathOf("tiny-roberta");
        IDataView test = Reviews();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var pre = new TextScoringTransformer(TextClassifier.Create(folder, settings), new()))
        using (var fine = new TextScoringTransformer(TextClassifier.Create(folder, settings), new()))
        {
            Tune(fine.Classifier);
            using (GraftTransformer grafted = Cut(pre.Classifier, fine.Classifier, settings, folder))
            {
                GraftReportRow row = _catalog
                    .Grafts.EvaluateGrafts(pre, fine, new Dictionary<string, GraftedModel> { ["g"] = new(grafted.Graft, grafted) }, test)
                    .Rows[0];
                Assert.Equal(40, row.Count);
                IDataView expected = grafted.Transform(test);
                Assert.Equal(_catalog.EvaluateCalibration(expected).Accuracy, row.GraftedAccuracy, 9);
                Assert.Equal(_catalog.EvaluateCalibration(expected).ExpectedCalibrationError, row.GraftedCalibrationError, 9);
                Assert.Equal(_catalog.EvaluateCalibration(pre.Transform(test)).ExpectedCalibrationError, row.PreTrainedCalibrationError, 9);
                Assert.Equal(_catalog.EvaluateCalibration(fine.Transform(test)).Accuracy, row.FineTunedAccuracy, 9);
                Assert.Equal(_catalog.Evaluation.EvaluateAgreement(expected, fine.Transform(test)).Agreement, row.Agreement, 9);
            }
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>A cell's metric is that of the graft without it, as a model of its own has it.</summary>
    [Fact]
    public void CellsAreWorthWhatTheModelLosesWithoutThem()
    {
        ClassifierSettings settings = Settings();
        string folder = Oracles.PathOf("tiny-roberta");
        IDataView test = Reviews();
        using var pre = new TextScoringTransformer(TextClassifier.Create(folder, settings), new());
        using var fine = new TextScoringTransformer(TextClassifier.Create(folder, settings), new());
        Tune(fine.Classifier);
        using GraftTransformer grafted = Cut(pre.Classifier, fine.Classifier, settings, folder);
        string[] considered = [.. new ParameterSelection().Of(pre.Classifier.Backbone)];
        GraftCellMetrics cells = _catalog.Grafts.EvaluateGraftCells(grafted, test, considered: considered);
        Assert.Equal(40, cells.Count);
        Assert.Equal(Accuracy(pre), cells.PreTrained, 9);
        Assert.Equal(Accuracy(grafted), cells.Grafted, 9);
        Assert.Equal(grafted.Graft.Count, cells.Entries.Sum(entry => entry.Count));
        Assert.Equal(grafted.Graft.ConsideredCount, cells.Entries.Sum(entry => entry.Scalars));

        GraftCellEntry most = cells.Entries.MaxBy(entry => entry.Count)!;
        string layer = $"encoder.layer.{most.Place[6..]}.";
        using var without = GraftTransformer.Create(
            grafted.Graft.Restrict(name =>
                !(name.Contains(layer, StringComparison.Ordinal) && ParameterPlace.Of(name).Module == most.Module)
            ),
            folder
        );
        Assert.Equal(grafted.Graft.Count - most.Count, without.Graft.Count);
        Assert.Equal(Accuracy(without), most.Metric, 9);
        Assert.Equal((cells.Grafted - most.Metric) / (cells.Grafted - cells.PreTrained), most.Worth, 9);

        double Accuracy(TextScoringTransformer model) => _catalog.EvaluateCalibration(model.Transform(test)).Accuracy;
    }

    [Fact]
    public void AReportRefusesBadInput()
    {
        IDataView test = Fake.Rows((0.5f, "yes"), (0.5f, "maybe"));
        Dictionary<string, GraftedModel> grafted = new() { ["g"] = new(Of(), Fake.YesNo()) };
        string message = Assert
            .Throws<InvalidOperationException>(() => _catalog.Grafts.EvaluateGrafts(Fake.YesNo(), Fake.YesNo(), grafted, test))
            .Message;
        Assert.Contains("'pre-trained'", message);
        Assert.Contains("'maybe'", message);
        Assert.Throws<ArgumentException>(() =>
            _catalog.Grafts.EvaluateGrafts(Fake.YesNo(), Fake.YesNo(), new Dictionary<string, GraftedModel>(), test)
        );
        Assert.Throws<ArgumentException>(() => _catalog.Grafts.EvaluateGrafts(Fake.YesNo(), Fake.YesNo(), grafted, test, "Wrong"));
    }

    [Fact]
    public void DrawsHaveASampleStandardDeviation()
    {
        // Deviations 3, 1, 1, 1, 2 and 0 of mean 5: squares sum to 16 over n - 1 = 5.
        var draws = DrawStatistics.Of([2, 4, 6, 6, 7, 5]);
        Assert.Equal((5, 6), (draws.Mean, draws.Count));
        Assert.Equal(Math.Sqrt(16 / 5.0), draws.StandardDeviation, 12);
        Assert.True(double.IsNaN(DrawStatistics.Of([1]).StandardDeviation));
        Assert.Throws<ArgumentException>(() => DrawStatistics.Of([]));
    }

    /// <summary>The fine-tuned oracle has weights, but no tokenizer.</summary>
    private static ClassifierSettings Settings() =>
        new()
        {
            Template = "*cls**sent_0*_It_was*mask*.*sep+*",
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            MaxLength = 64,
        };

    private static IDataView Reviews()
    {
        IDataView texts = Fake.Ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 40)
                .Select(i => new Review
                {
                    Label = i % 3 == 0 ? "neg" : "pos",
                    Text = string.Join(' ', Enumerable.Range(0, 1 + (i % 7)).Select(j => $"word{(i + j) % 13}")),
                })
        );
        return Fake.Ml.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts);
    }

    private static void Tune(TextClassifier classifier)
    {
        using var tuned = LanguageModel.Load(Oracles.PathOf("tiny-roberta-finetuned"));
        using IDisposable noGradients = torch.no_grad();
        foreach ((string name, torch.Tensor weight) in classifier.Backbone.Parameters)
        {
            weight.copy_(tuned.Parameters[name]);
        }
    }

    private static GraftTransformer Cut(TextClassifier pre, TextClassifier fine, ClassifierSettings settings, string folder)
    {
        using LanguageModel model = pre.Backbone.Clone();
        using var mask = new GraftMask(model, fine.Backbone, new ParameterSelection().Of(model));
        mask.SetBasePatch(0.01);
        return GraftTransformer.Create(
            new()
            {
                BaseFingerprint = model.Fingerprint(),
                Settings = settings.ToJson(),
                ConsideredCount = mask.Count,
                Parts = mask.Parts(),
            },
            folder
        );
    }

    private sealed class Review
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
