using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators.Tests.Interpolation;

/// <summary>Every kind of model as the end of a path: saved, loaded and evaluated.</summary>
public sealed class EndsFromFilesTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc").FullName;

    public static TheoryData<string, string, HeadKind, string> Kinds =>
        new()
        {
            { "whole", "tiny-bert", HeadKind.SequenceClassification, "pair" },
            { "whole", "tiny-bert", HeadKind.FirstTokenLinear, "" },
            { "whole", "tiny-gpt2", HeadKind.LabelWords, "first tokens" },
            { "whole", "tiny-gpt2", HeadKind.LabelWords, "options" },
            { "whole", "tiny-gpt2", HeadKind.SequenceClassification, "" },
            { "whole", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "whole", "tiny-roberta", HeadKind.MaskTokenLinear, "template" },
            { "whole", "tiny-roberta", HeadKind.SequenceClassification, "" },
            { "soft_prompt", "tiny-roberta", HeadKind.LabelWords, "" },
            { "adapter", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "adapter", "tiny-roberta", HeadKind.SequenceClassification, "" },
            { "adapter", "tiny-gpt2", HeadKind.SequenceClassification, "" },
            { "lora", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "prefix", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "bit_fit", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "bit_fit", "tiny-bert", HeadKind.SequenceClassification, "" },
            { "graft", "tiny-roberta", HeadKind.LabelWords, "template" },
            { "graft", "tiny-roberta", HeadKind.SequenceClassification, "" },
        };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void ThePathEndsWhereItsModelsAre(string kind, string checkpoint, HeadKind head, string prompt)
    {
        string folder = Oracles.PathOf(checkpoint);
        ClassifierSettings settings = Settings(kind, checkpoint, head, prompt);
        string first = Save(kind, folder, settings, 1),
            second = Save(kind, folder, settings, 2);
        string? baseFolder = kind == "whole" ? null : folder;
        IDataView data = Data();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InterpolationMetrics metrics = _ml.SkillLoc()
            .Connectivity.EvaluateInterpolation(first, second, data, baseCheckpoint: baseFolder, numberOfPoints: 3);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        using TextScoringTransformer one = Load(first),
            other = Load(second),
            middle = Load(first);
        using (no_grad())
        {
            foreach ((string name, Parameter parameter) in middle.Classifier.Parameters)
            {
                using DisposeScope scope = NewDisposeScope();
                parameter.copy_((one.Classifier.Parameters[name] + other.Classifier.Parameters[name]) / 2);
            }
        }

        InterpolationSet set = metrics.Sets[0];
        foreach ((TextScoringTransformer model, int point) in new[] { (one, 0), (middle, 1), (other, 2) })
        {
            IDataView scored = model.Transform(data);
            CalibrationMetrics expected = _ml.SkillLoc().EvaluateCalibration(Keyed(scored));
            InterpolationPoint actual = set.Points[point];
            Assert.Equal(expected.LogLoss, actual.Loss, 2e-5);
            Assert.Equal(expected.Accuracy, actual.Metric, 1e-9);
            Assert.Equal(expected.BrierScore, actual.BrierScore, 2e-5);
            Assert.Equal(
                _ml.SkillLoc().Evaluation.EvaluateAgreement(scored, one.Transform(data)).Agreement,
                actual.AgreementWithFirst,
                1e-9
            );
            Assert.Equal(
                _ml.SkillLoc().Evaluation.EvaluateAgreement(scored, other.Transform(data)).Agreement,
                actual.AgreementWithSecond,
                1e-9
            );
        }

        // The test must see ends that differ.
        Assert.True(Math.Abs(set.Points[0].Loss - set.Points[2].Loss) > 1e-4);

        TextScoringTransformer Load(string path) =>
            baseFolder is null
                ? _ml.SkillLoc().Connectivity.LoadTextScorer(path)
                : _ml.SkillLoc().Connectivity.LoadTextScorer(baseFolder, path);
    }

    [Theory]
    [InlineData("whole")]
    [InlineData("adapter")]
    [InlineData("bit_fit")]
    [InlineData("graft")]
    public void WhatTheEndsHaveInCommonIsInMemoryOnce(string kind)
    {
        string folder = Oracles.PathOf("tiny-roberta");
        ClassifierSettings settings = Settings(kind, "tiny-roberta", HeadKind.LabelWords, "template");
        string first = Save(kind, folder, settings, 1),
            second = Save(kind, folder, settings, 2);
        using TextScoringTransformer one = Load(first, null),
            other = Load(second, one);
        using IDisposable noGradients = no_grad();
        int shared = 0;
        foreach ((string name, Parameter parameter) in one.Classifier.Backbone.Parameters)
        {
            // What is written into one is seen in the other where they share it, and only there.
            Parameter twin = other.Classifier.Backbone.Parameters[name];
            bool equal = parameter.Equals(twin);
            using Tensor before = parameter.detach().clone();
            parameter.add_(1);
            Assert.Equal(equal, parameter.Equals(twin));
            shared += equal ? 1 : 0;
            parameter.copy_(before);
        }

        int all = one.Classifier.Backbone.Parameters.Count;
        Assert.Equal(
            kind switch
            {
                "adapter" => all,
                "whole" => 0,
                "graft" => all - 1,
                _ => all - one.Classifier.TunedParameters.Count,
            },
            shared
        );

        TextScoringTransformer Load(string path, TextScoringTransformer? twin) =>
            kind == "whole"
                ? _ml.SkillLoc().Connectivity.LoadTextScorer(path, shareWeightsWith: twin)
                : _ml.SkillLoc().Connectivity.LoadTextScorer(folder, path, shareWeightsWith: twin);
    }

    [Fact]
    public void AGraftGoesToItsBaseAndAdaptersMayHaveBasesOfTheirOwn()
    {
        string folder = Oracles.PathOf("tiny-roberta");
        ClassifierSettings words = Settings("graft", "tiny-roberta", HeadKind.LabelWords, "template");
        using (TextScoringTransformer graft = _ml.SkillLoc().Connectivity.LoadTextScorer(folder, Save("graft", folder, words, 1)))
        using (
            TextScoringTransformer bare = _ml.SkillLoc()
                .Connectivity.LoadTextScorer(folder, settings: graft.Classifier.Settings, shareWeightsWith: graft)
        )
        {
            InterpolationPoint end = _ml.SkillLoc()
                .Connectivity.EvaluateInterpolation(bare, graft, Data(), numberOfPoints: 2)
                .Sets[0]
                .Points[0];
            using var plain = TextClassifier.Create(folder, words);
            using var scorer = new TextScoringTransformer(plain, new ScoringColumns());
            Assert.Equal(_ml.SkillLoc().EvaluateCalibration(Keyed(scorer.Transform(Data()))).LogLoss, end.Loss, 1e-5);
        }

        // Two steps of pre-training, an adapter on each: everything is mixed.
        string later = Save("whole", folder, words, 5);
        ClassifierSettings tuned = Settings("adapter", "tiny-roberta", HeadKind.LabelWords, "template");
        using TextScoringTransformer one = _ml.SkillLoc().Connectivity.LoadTextScorer(folder, Save("adapter", folder, tuned, 1));
        using TextScoringTransformer other = _ml.SkillLoc().Connectivity.LoadTextScorer(later, Save("adapter", later, tuned, 2), shareWeightsWith: one);
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(one, other, Data(), numberOfPoints: 2);
        Assert.Equal(_ml.SkillLoc().EvaluateCalibration(Keyed(other.Transform(Data()))).LogLoss, metrics.Sets[0].Points[1].Loss, 1e-5);
        using var path = new Models.Connectivity.ParameterPath(one.Classifier, other.Classifier);
        Assert.Equal(one.Classifier.Parameters.Keys, path.Names);
    }

    [Theory]
    [InlineData("")]
    [InlineData("pair")]
    public void PlainHuggingFaceClassifiersAreEnds(string prompt)
    {
        ClassifierSettings settings = Settings("whole", "tiny-bert", HeadKind.SequenceClassification, prompt);
        string first = Save("whole", Oracles.PathOf("tiny-bert"), settings, 1),
            second = Save("whole", Oracles.PathOf("tiny-bert"), settings, 2);

        // Whether rows are pairs is for the data to say.
        IDataView data = prompt == "pair" ? Data() : _ml.Transforms.SelectColumns("Label", "Text").Fit(Data()).Transform(Data());
        InterpolationMetrics expected = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, numberOfPoints: 2);
        File.Delete(Path.Join(first, ClassifierSettings.FileName));
        File.Delete(Path.Join(second, ClassifierSettings.FileName));
        InterpolationMetrics plain = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, data, numberOfPoints: 2);
        Assert.Equal(expected.Sets[0].Points, plain.Sets[0].Points);
        using TextScoringTransformer pairs = _ml.SkillLoc().Connectivity.LoadTextScorer(first, columns: new() { TextPair = "TextPair" });
        Assert.True(pairs.Classifier.Settings.HasTextPair);
    }

    [Theory]
    [InlineData(HeadKind.LabelWords)]
    [InlineData(HeadKind.SequenceClassification)]
    public void EndsWithOppositeLabelOrdersMeetByName(HeadKind head)
    {
        ClassifierSettings one = Settings("whole", "tiny-roberta", head, "");
        ClassifierSettings other = one with { Labels = ["pos", "neg"], Words = one.Words is null ? null : [.. one.Words.Reverse()] };
        string first = Save("whole", Oracles.PathOf("tiny-roberta"), one, 1),
            second = Save("whole", Oracles.PathOf("tiny-roberta"), other, 2);
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, Data(), numberOfPoints: 2);
        foreach ((string end, int point) in new[] { (first, 0), (second, 1) })
        {
            using TextScoringTransformer model = _ml.SkillLoc().Connectivity.LoadTextScorer(end);
            CalibrationMetrics expected = _ml.SkillLoc().EvaluateCalibration(Keyed(model.Transform(Data())));
            Assert.Equal(expected.LogLoss, metrics.Sets[0].Points[point].Loss, 1e-5);
            Assert.Equal(expected.Accuracy, metrics.Sets[0].Points[point].Accuracy, 1e-12);
        }
    }

    [Fact]
    public void FilesThatDoNotFitAreNamed()
    {
        string roberta = Oracles.PathOf("tiny-roberta"),
            bert = Oracles.PathOf("tiny-bert");
        ClassifierSettings settings = Settings("adapter", "tiny-roberta", HeadKind.SequenceClassification, "");
        string adapter = Save("adapter", roberta, settings, 1),
            narrow = Save("adapter", roberta, settings with { Tuning = new AdapterOptions { BottleneckSize = 3 } }, 2);
        string other = Save("whole", roberta, settings with { Tuning = null }, 3);
        string deep = Save("whole", bert, Settings("whole", "tiny-bert", HeadKind.SequenceClassification, ""), 4);
        string file = Path.Join(_folder, "result.csv");
        File.WriteAllText(file, "mine");
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        string message = Refused<ArgumentException>(other, deep);
        Assert.Contains("architecture is roberta and bert", message, StringComparison.Ordinal);
        Assert.Equal(5, message.Split("; ").Length - 1);
        Assert.Contains("BottleneckSize", Refused<ArgumentException>(adapter, narrow, roberta), StringComparison.Ordinal);
        message = Refused<InvalidDataException>(adapter, adapter, other);
        Assert.Contains(adapter, message, StringComparison.Ordinal);
        Assert.Contains(TunedWeights.Load(adapter).BaseFingerprint, message, StringComparison.Ordinal);
        Assert.Contains("leave it out", Refused<ArgumentException>(other, other, roberta), StringComparison.Ordinal);
        Assert.Contains("name the base", Refused<ArgumentException>(adapter, adapter), StringComparison.Ordinal);
        Assert.Contains(
            "its metadata's format",
            Refused<InvalidDataException>(Path.Join(roberta, "model.safetensors"), adapter, roberta),
            StringComparison.Ordinal
        );
        Assert.Contains("skillloc.json", Refused<FileNotFoundException>(roberta, other), StringComparison.Ordinal);
        Refused<DirectoryNotFoundException>(other, Path.Join(_folder, "nowhere"));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().Connectivity.LoadTextScorer(roberta, adapter, settings));
        foreach (int points in new[] { -1, 0, 1 })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() =>
                _ml.SkillLoc().Connectivity.EvaluateInterpolation(other, other, Data(), numberOfPoints: points)
            );
        }

        IDataView empty = _ml.Data.LoadFromEnumerable(Array.Empty<Row>());
        Assert.Contains(
            "Test",
            Assert
                .Throws<InvalidOperationException>(() => _ml.SkillLoc().Connectivity.EvaluateInterpolation(other, other, Data(), empty))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        // Another experiment's table stays as it is.
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(other, other, Data(), numberOfPoints: 2);
        Assert.Throws<IOException>(() => metrics.Save(_folder));
        Assert.Equal("mine", File.ReadAllText(file));
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder), path => path.EndsWith("_data_analysis.json", StringComparison.Ordinal));

        string Refused<TException>(string first, string second, string? baseFolder = null)
            where TException : Exception =>
            Assert
                .Throws<TException>(() =>
                    _ml.SkillLoc().Connectivity.EvaluateInterpolation(first, second, Data(), baseCheckpoint: baseFolder)
                )
                .Message;
    }

    [Fact]
    public void RowsAreReadAndEncodedOnceForAllPoints()
    {
        string folder = Save("whole", Oracles.PathOf("tiny-bert"), Settings("whole", "tiny-bert", HeadKind.SequenceClassification, ""), 1);
        int read = 0;
        IDataView data = _ml.Data.LoadFromEnumerable(
            Rows()
                .Select(row =>
                {
                    read++;
                    return row;
                })
        );
        int[] counts =
        [
            .. new[] { 2, 26 }.Select(points =>
            {
                read = 0;
                _ml.SkillLoc().Connectivity.EvaluateInterpolation(folder, folder, data, numberOfPoints: points);
                return read;
            }),
        ];
        Assert.InRange(counts[0], 1, 2 * Rows().Length);
        Assert.Equal(counts[0], counts[1]);
    }

    private static ClassifierSettings Settings(string kind, string checkpoint, HeadKind head, string prompt) =>
        new()
        {
            Head = head,
            Labels = ["neg", "pos"],
            Words =
                head != HeadKind.LabelWords ? null
                : checkpoint != "tiny-gpt2" ? ["bad", "good"]
                : prompt == "options" ? [" a film", " a movie"]
                : [" a", " the"],
            Template = prompt == "template" ? "*cls**sent_0*_It_was*mask*.*sep+*" : null,
            AutoregressiveTemplate = checkpoint == "tiny-gpt2" && head == HeadKind.LabelWords ? "{0}" : null,
            HasTextPair = prompt == "pair",
            MaxLength = 40,
            Tuning = kind switch
            {
                "soft_prompt" => new SoftPromptOptions { Size = 4 },
                "adapter" => new AdapterOptions { Placement = AdapterPlacement.Houlsby, BottleneckSize = 5 },
                "lora" => new LoraOptions { Rank = 3, Alpha = 4 },
                "prefix" => new PrefixOptions { Length = 3, ProjectionSize = 6 },
                "bit_fit" => new BitFitOptions(),
                _ => null,
            },
        };

    /// <summary>Writes an end of a kind, with weights of its own, and gives its folder or file.</summary>
    private string Save(string kind, string baseFolder, ClassifierSettings settings, int seed)
    {
        string path = Path.Join(_folder, $"{kind}-{settings.GetHashCode()}-{seed}");
        using var classifier = TextClassifier.Create(baseFolder, settings, seed: seed);
        switch (kind)
        {
            case "whole":
                Shake(classifier.Parameters.Values, seed);
                classifier.Save(path);
                break;
            case "graft":
                const string Name = "roberta.encoder.layer.1.output.dense.weight";
                Shake(classifier.Head.Parameters.Values, seed);
                using (DisposeScope scope = NewDisposeScope())
                {
                    new Graft
                    {
                        BaseFingerprint = classifier.Backbone.Fingerprint(),
                        Settings = settings.ToJson(),
                        Parts =
                        [
                            new(
                                Name,
                                [.. Enumerable.Range(0, 900).Select(i => (2 * i) + seed)],
                                [.. Enumerable.Range(0, 900).Select(i => seed * 0.3f * ((i % 5) - 2))]
                            ),
                        ],
                        HeadParameters = classifier.Head.Parameters.ToDictionary(
                            pair => pair.Key,
                            pair => (pair.Value.shape, pair.Value.detach().data<float>().ToArray())
                        ),
                    }.Save(path);
                }

                break;
            default:
                Shake(classifier.TunedParameters.Values, seed);
                classifier.SaveTuned(path);
                break;
        }

        return path;
    }

    private static void Shake(IEnumerable<Tensor> parameters, int seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Tensor parameter in parameters)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.2);
        }
    }

    private static Row[] Rows() =>
        [
            .. Enumerable
                .Range(0, 24)
                .Select(i => new Row
                {
                    Label = i % 3 == 0 ? "neg" : "pos",
                    Text = string.Join(' ', Enumerable.Range(0, (i % 5) + 1).Select(j => $"word{(i * 5 + j) % 11}")),
                    TextPair = $"a film {i}",
                }),
        ];

    private IDataView Data() => _ml.Data.LoadFromEnumerable(Rows());

    /// <summary>The view with keys in the order of the models' labels.</summary>
    private IDataView Keyed(IDataView scored)
    {
        IDataView order = _ml.Data.LoadFromEnumerable(
            new[]
            {
                new Row { Label = "neg" },
                new Row { Label = "pos" },
            }
        );
        return _ml
            .Transforms.Conversion.MapValueToKey("Label", keyData: _ml.Transforms.SelectColumns("Label").Fit(order).Transform(order))
            .Fit(scored)
            .Transform(scored);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }
}
