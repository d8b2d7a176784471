using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

public sealed class GraftedModelSetTests : IDisposable
{
    private const string Bias = "roberta.encoder.layer.1.output.dense.bias";
    private const string Weight = "roberta.encoder.layer.0.intermediate.dense.weight";

    private static readonly string Base = Oracles.PathOf("tiny-roberta");
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly Dictionary<string, Graft> _grafts;

    public GraftedModelSetTests()
    {
        using LanguageModel whole = LanguageModel.Load(Base),
            headless = LanguageModel.Load(Base, withHead: false);
        string fingerprint = whole.Fingerprint();
        _grafts = new()
        {
            // Two that overlap, a pair task with three labels, and a classification head over a backbone without the language model's.
            ["tone"] = Make(fingerprint, Toy.Settings, [new(Bias, [0, 5, 47], [3, -4, 5])]),
            ["fact"] = Make(
                fingerprint,
                Toy.Settings with
                {
                    Template = "*cls**sent_0*_This_is*mask*.*sep+*",
                },
                [new(Bias, [5, 6], [4, 4]), new(Weight, [9], [20])]
            ),
            ["pair"] = Make(
                fingerprint,
                Toy.Settings with
                {
                    Template = "*cls**sent_0*?*mask*,*+sent_1**sep+*",
                    Labels = ["no", "maybe", "yes"],
                    Words = ["bad", "was", "good"],
                    HasTextPair = true,
                },
                [new(Weight, [1, 9, 300], [2, -9, 7])]
            ),
            ["head"] = Make(
                headless.Fingerprint(),
                Toy.Settings with
                {
                    Head = HeadKind.FirstTokenLinear,
                    Template = null,
                    Words = null,
                },
                [new(Bias, [1], [9])],
                new()
                {
                    ["classifier.weight"] = new([2, 48], [.. Enumerable.Range(0, 96).Select(i => i % 7 / 10f)]),
                    ["classifier.bias"] = new([2], [0.5f, 0]),
                }
            ),
        };
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void EveryRowIsScoredByItsOwnSkillAsAloneAndInOrder()
    {
        using GraftedModelSet set = _ml.SkillLoc().Grafts.CreateModelSet(Base, _grafts);
        Row[] rows = Rows(100);
        Scored[] scored = [.. _ml.Data.CreateEnumerable<Scored>(set.Transform(_ml.Data.LoadFromEnumerable(rows)), reuseRowObject: false)];
        Assert.Equal(rows.Select(row => row.Id), scored.Select(row => row.Id));
        foreach ((string name, Graft graft) in _grafts)
        {
            using var alone = GraftTransformer.Create(graft, Base);
            Row[] own = [.. rows.Where(row => row.Skill == name)];
            float[][] expected = [.. alone.Transform(_ml.Data.LoadFromEnumerable(own)).GetColumn<float[]>("Score")];
            Assert.True(own.Length > 10);
            for (int i = 0; i < own.Length; i++)
            {
                Scored actual = scored[own[i].Id];
                Assert.Equal(expected[i].Length, actual.Score.Length);
                Assert.All(expected[i].Zip(actual.Score), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
                Assert.Equal(alone.Labels[TextClassifier.MostProbable(expected[i])], actual.PredictedLabel);
            }
        }
    }

    [Fact]
    public void OneModelIsInMemoryAndTheBaseComesBack()
    {
        using var set = GraftedModelSet.Create(Base, _grafts);
        Assert.Equal(["tone", "fact", "pair", "head"], set.Skills);
        foreach (string skill in set.Skills)
        {
            using var alone = GraftTransformer.Create(_grafts[skill], Base);
            Assert.Equal(alone.Classifier.Fingerprint(), set.Use(skill, classifier => classifier.Fingerprint()));
        }

        string message = Assert.Throws<ArgumentException>(() => set.Use("none", _ => 0)).Message;
        Assert.Contains("'none'", message, StringComparison.Ordinal);
        Assert.Contains("'tone', 'fact', 'pair', 'head'", message, StringComparison.Ordinal);

        // What is written through one skill's parameters is read through another's; no graft has the third scalar of any.
        foreach (string name in set.Use("head", classifier => classifier.Backbone.Parameters.Keys.ToArray()))
        {
            set.Use("tone", classifier => classifier.Backbone.Parameters[name].bytes[8] = 77);
            Assert.Equal(77, set.Use("pair", classifier => classifier.Backbone.Parameters[name].bytes[8]));
            Assert.Equal(77, set.Use("head", classifier => classifier.Backbone.Parameters[name].bytes[8]));
        }
    }

    [Fact]
    public void AnUnknownSkillIsNamedWithItsRow()
    {
        using var set = GraftedModelSet.Create(Base, _grafts);
        IDataView rows = _ml.Data.LoadFromEnumerable([new Row { Text = "a", Skill = "tone" }, new Row { Text = "b", Skill = "tune" }]);
        string message = Assert.Throws<InvalidOperationException>(() => set.Transform(rows).GetColumn<float[]>("Score").Count()).Message;
        Assert.Contains(
            "Row 1 of column 'Skill' names the skill 'tune'; known are 'tone', 'fact', 'pair', 'head'",
            message,
            StringComparison.Ordinal
        );
        Assert.Equal(2, set.Transform(rows).GetColumn<string>("Text").Count());
        using PredictionEngine<Row, Scored> engine = _ml.Model.CreatePredictionEngine<Row, Scored>(set);
        Assert.Throws<InvalidOperationException>(() => engine.Predict(new Row { Text = "a", Skill = "" }));
    }

    [Fact]
    public void KeysNameSkillsToo()
    {
        using var set = GraftedModelSet.Create(Base, _grafts);
        IDataView texts = _ml.Data.LoadFromEnumerable(Rows(20));
        IDataView keys = _ml.Transforms.Conversion.MapValueToKey("Skill").Fit(texts).Transform(texts);
        Assert.Equal([.. set.Transform(texts).GetColumn<float[]>("Score")], set.Transform(keys).GetColumn<float[]>("Score").ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            set.Transform(_ml.Transforms.CopyColumns("Skill", "Id").Fit(texts).Transform(texts))
        );
        Assert.Contains(
            "'Skill'",
            Assert
                .Throws<ArgumentOutOfRangeException>(() => set.Transform(_ml.Transforms.DropColumns("Skill").Fit(texts).Transform(texts)))
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void EnginesAndThreadsShareTheWeights()
    {
        using var set = GraftedModelSet.Create(Base, _grafts);
        Row[] rows = Rows(40);
        float[][] expected = [.. set.Transform(_ml.Data.LoadFromEnumerable(rows)).GetColumn<float[]>("Score")];
        Parallel.For(
            0,
            4,
            worker =>
            {
                using PredictionEngine<Row, Scored> engine = new MLContext().Model.CreatePredictionEngine<Row, Scored>(set);
                foreach (Row row in worker % 2 == 0 ? rows : rows.Reverse())
                {
                    Assert.All(expected[row.Id].Zip(engine.Predict(row).Score), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
                }
            }
        );
    }

    [Fact]
    public void ASavedSetLoadsWithItsGraftsInside()
    {
        var columns = new ScoringColumns
        {
            Text = "Text",
            TextPair = "Other",
            Score = "P",
            PredictedLabel = "Guess",
        };
        IDataView rows = _ml
            .Transforms.CopyColumns("Other", "TextPair")
            .Append(_ml.Transforms.CopyColumns("Which", "Skill"))
            .Append(_ml.Transforms.DropColumns("TextPair", "Skill"))
            .Fit(_ml.Data.LoadFromEnumerable(Rows(30)))
            .Transform(_ml.Data.LoadFromEnumerable(Rows(30)));
        string zip = Path.Join(_folder, "set.zip");
        float[][] expected;
        string[] labels;
        using (var set = GraftedModelSet.Create(Base, _grafts, columns, "Which"))
        {
            expected = [.. set.Transform(rows).GetColumn<float[]>("P")];
            labels = [.. set.Transform(rows).GetColumn<string>("Guess")];
            _ml.Model.Save(set, rows.Schema, zip);
        }

        Assert.InRange(new FileInfo(zip).Length, 1, 60_000);
        IDataView loaded = new MLContext().Model.Load(zip, out _).Transform(rows);
        Assert.Equal(labels, loaded.GetColumn<string>("Guess"));
        Assert.All(
            expected.Zip(loaded.GetColumn<float[]>("P")),
            pair => Assert.All(pair.First.Zip(pair.Second), p => Assert.Equal(p.First, p.Second, 1e-5f))
        );
        Assert.DoesNotContain(loaded.Schema, column => !column.IsHidden && column.Name.StartsWith("SkillLoc.", StringComparison.Ordinal));
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        Assert.Throws<ArgumentException>(() => GraftedModelSet.Create(Base, new Dictionary<string, Graft>()));
        Assert.Contains(
            "'pair'",
            Assert.Throws<ArgumentException>(() => GraftedModelSet.Create(Base, _grafts, new ScoringColumns())).Message,
            StringComparison.Ordinal
        );
        string other = new('d', 64);
        _grafts["other"] = Make(other, Toy.Settings, []);
        string message = Assert.Throws<InvalidDataException>(() => GraftedModelSet.Create(Base, _grafts)).Message;
        Assert.Contains("'other'", message, StringComparison.Ordinal);
        Assert.Contains(other, message, StringComparison.Ordinal);
        _grafts["other"] = new Graft { BaseFingerprint = other, Parts = [] };
        Assert.Contains(
            "'other'",
            Assert.Throws<InvalidDataException>(() => GraftedModelSet.Create(Base, _grafts)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void NoTensorIsLeftAndADisposedSetSaysSo()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var set = GraftedModelSet.Create(Base, _grafts);
        IDataView view = set.Transform(_ml.Data.LoadFromEnumerable(Rows(10)));
        long loaded = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Equal(10, view.GetColumn<float[]>("Score").Count());
        Assert.Equal(loaded, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        set.Dispose();
        set.Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Throws<ObjectDisposedException>(() => view.GetColumn<float[]>("Score").Count());
        Assert.Throws<ObjectDisposedException>(() => set.Use("tone", _ => 0));
    }

    private static Graft Make(
        string fingerprint,
        ClassifierSettings settings,
        GraftPart[] parts,
        Dictionary<string, TensorValues>? head = null
    ) =>
        new()
        {
            BaseFingerprint = fingerprint,
            Settings = settings.ToJson(),
            Parts = parts,
            HeadParameters = head ?? [],
        };

    private Row[] Rows(int count)
    {
        string[] skills = [.. _grafts.Keys];
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => new Row
                {
                    Id = i,
                    Text = Toy.Texts[i],
                    TextPair = Toy.Texts[(i + 1) % 100],
                    Skill = skills[(i + (i / 4)) % 4],
                }),
        ];
    }

    private sealed class Row
    {
        public int Id { get; set; }

        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";

        public string Skill { get; set; } = "";
    }

    private sealed class Scored
    {
        public int Id { get; set; }

        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
