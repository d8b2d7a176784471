using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx.Tests;

/// <summary>One exported base scores every graft as that graft's own export does.</summary>
public sealed class OnnxGraftedModelSetTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");
    private readonly MLContext _ml = new(seed: 1);

    public static TheoryData<string> Checkpoints =>
        ["tiny-bert", "tiny-roberta", "tiny-distilbert", "tiny-electra", "tiny-mpnet", "tiny-xlm-roberta", "tiny-camembert", "tiny-gpt2"];

    private string Base => PathOf("base.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void EverySkillScoresAsItsGraftExportedAlone(string checkpoint)
    {
        Dictionary<string, Graft> grafts = GraftsOf(checkpoint);
        using OnnxGraftedModelSet set = Load(checkpoint, grafts);
        foreach (string skill in set.Skills.Concat(set.Skills.Reverse()))
        {
            float[][] wanted = Alone(checkpoint, grafts[skill]);
            float[][] found = set.Score(skill, OnnxCases.Texts);
            Assert.All(
                wanted.Zip(found),
                rows => Assert.All(rows.First.Zip(rows.Second), pair => Assert.Equal(pair.First, pair.Second, 1e-5f))
            );

            // A graft that does nothing would be equal too.
            using var bare = TextClassifier.Create(Oracles.PathOf(checkpoint), Settings(grafts[skill]));
            bare.ApplyHead(grafts[skill]);
            float[][] ungrafted = bare.Score([.. OnnxCases.Texts.Select(text => bare.Encode(text))]);
            Assert.Contains(ungrafted.Zip(found), rows => Math.Abs(rows.First[0] - rows.Second[0]) > 1e-3);
        }
    }

    [Fact]
    public void RowsOfAViewNameTheirSkillsAndKeepTheirOrder()
    {
        Dictionary<string, Graft> grafts = GraftsOf("tiny-roberta");
        grafts["pair"] = Words(
            "tiny-roberta",
            3,
            OnnxCases.Mask with
            {
                Template = "*cls**sent_0*?*mask*,*+sent_1**sep+*",
                HasTextPair = true,
            }
        );
        using OnnxGraftedModelSet set = Load("tiny-roberta", grafts);
        using var torch = GraftedModelSet.Create(Oracles.PathOf("tiny-roberta"), grafts);
        IDataView rows = Rows([.. grafts.Keys]);
        IDataView found = set.Transform(rows),
            wanted = torch.Transform(rows);
        Assert.Equal(wanted.Schema.Select(column => (column.Name, column.Type)), found.Schema.Select(column => (column.Name, column.Type)));
        Assert.Equal(wanted.GetColumn<string>("PredictedLabel"), found.GetColumn<string>("PredictedLabel"));
        Close(wanted, found);

        string zip = PathOf("set.zip");
        _ml.Model.Save(set, rows.Schema, zip);
        IDataView loaded = new MLContext().Model.Load(zip, out _).Transform(rows);
        Assert.Equal(wanted.GetColumn<string>("PredictedLabel"), loaded.GetColumn<string>("PredictedLabel"));
        Close(wanted, loaded);
        Assert.Throws<InvalidOperationException>(() => set.Transform(Rows(["none"])).GetColumn<float[]>("Score").Count());
    }

    [Fact]
    public void ThreadsAndEnginesShareTheWeights()
    {
        Dictionary<string, Graft> grafts = GraftsOf("tiny-roberta");
        using OnnxGraftedModelSet set = Load("tiny-roberta", grafts);
        var wanted = set.Skills.ToDictionary(skill => skill, skill => set.Score(skill, OnnxCases.Texts));
        Parallel.For(
            0,
            4,
            worker =>
            {
                using PredictionEngine<Row, Scored> engine = new MLContext().Model.CreatePredictionEngine<Row, Scored>(set);
                for (int i = 0; i < OnnxCases.Texts.Count; i++)
                {
                    string skill = set.Skills[(i + worker) % set.Skills.Count];
                    float[] one = engine.Predict(new() { Text = OnnxCases.Texts[i], Skill = skill }).Score;
                    Assert.All(wanted[skill][i].Zip(one), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
                }
            }
        );
    }

    [Fact]
    public void WhatDoesNotFitIsSaid()
    {
        Dictionary<string, Graft> grafts = GraftsOf("tiny-roberta");
        Says("fingerprint", () => Load("tiny-bert", grafts));
        Assert.Throws<ArgumentException>(() => Load("tiny-roberta", []));
        Assert.Throws<FileNotFoundException>(() => OnnxGraftedModelSet.Load(PathOf("none.onnx"), Saved(grafts)));
        Assert.Throws<FileNotFoundException>(() =>
            OnnxGraftedModelSet.Load(Base, new Dictionary<string, string> { ["none"] = PathOf("none.safetensors") })
        );
        Graft words = grafts["words"];
        Says("task", () => Load("tiny-roberta", new() { ["x"] = With(words, "") }));
        Says(
            "predicts a score",
            () => Load("tiny-roberta", new() { ["x"] = With(words, (Settings(words) with { ScoreRange = new(0, 5) }).ToJson()) })
        );
        Says(
            "not one token",
            () => Load("tiny-roberta", new() { ["x"] = With(words, (Settings(words) with { Words = ["bad", "wonderfully"] }).ToJson()) })
        );
        Says(
            "classifier.out_proj.weight",
            () => Load("tiny-roberta", new() { ["x"] = With(grafts["head"], grafts["head"].Settings, withHead: false) })
        );
        Says("zeros outside", () => Load("tiny-roberta", new() { ["x"] = WithZeros(words) }));
        Says("relative_attention_bias", () => Load("tiny-mpnet", new() { ["x"] = WithDistances() }));
        Assert.Contains(
            "T5",
            Assert.Throws<NotSupportedException>(() => OnnxBase.Save(Oracles.PathOf("tiny-t5"), Base)).Message,
            StringComparison.OrdinalIgnoreCase
        );

        using OnnxGraftedModelSet set = Load("tiny-roberta", grafts);
        Assert.Contains("'words'", Assert.Throws<ArgumentException>(() => set.Score("none", ["a"])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => set.Score("words", ["a"], ["b"]));
        set.Dispose();
        Assert.Throws<ObjectDisposedException>(() => set.Score("words", ["a"]));
    }

    [Fact]
    public void DamagedFilesAreSaid()
    {
        Dictionary<string, string> files = Saved(GraftsOf("tiny-roberta"));
        OnnxBase.Save(Oracles.PathOf("tiny-roberta"), Base);
        string path = files["words"];
        byte[] good = File.ReadAllBytes(path);
        foreach (int length in (int[])[0, 7, 100, good.Length - 1])
        {
            File.WriteAllBytes(path, good[..length]);
            Says(path, () => OnnxGraftedModelSet.Load(Base, files));
        }

        File.WriteAllBytes(path, [.. good, 0]);
        Says(path, () => OnnxGraftedModelSet.Load(Base, files));
        File.WriteAllBytes(path, Replaced(good, "skillloc-graft", "skillloc-grift"));
        Says("skillloc-graft", () => OnnxGraftedModelSet.Load(Base, files));
        File.WriteAllBytes(path, Replaced(good, "I32", "F32"));
        Says("I32", () => OnnxGraftedModelSet.Load(Base, files));

        File.WriteAllBytes(path, good);
        byte[] whole = File.ReadAllBytes(Base);
        foreach (int length in (int[])[0, 1, 100, whole.Length / 2])
        {
            File.WriteAllBytes(Base, whole[..length]);
            Says("base.onnx", () => OnnxGraftedModelSet.Load(Base, files));
        }

        File.WriteAllBytes(Base, Replaced(whole, "\"width\": 48", "\"width\": -8"));
        Says("width", () => OnnxGraftedModelSet.Load(Base, files));
        File.WriteAllBytes(Base, Replaced(whole, "\"offset\": 0", "\"offset\":-1"));
        Says("impossible shape", () => OnnxGraftedModelSet.Load(Base, files));

        using var classifier = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), OnnxCases.Mask);
        classifier.SaveOnnx(Base);
        Says("OnnxBase.Save", () => OnnxGraftedModelSet.Load(Base, files));
    }

    private static void Says(string wanted, Func<IDisposable> load) =>
        Assert.Contains(wanted, Assert.Throws<InvalidDataException>(load).Message, StringComparison.Ordinal);

    private static byte[] Replaced(byte[] bytes, string text, string other) =>
        System.Text.Encoding.Latin1.GetBytes(System.Text.Encoding.Latin1.GetString(bytes).Replace(text, other, StringComparison.Ordinal));

    private static ClassifierSettings Settings(Graft graft) => ClassifierSettings.FromJson(graft.Settings, "the test");

    /// <summary>A graft with label words, where the checkpoint has them, and one with a head of its own.</summary>
    private static Dictionary<string, Graft> GraftsOf(string checkpoint)
    {
        bool isCausal = checkpoint == "tiny-gpt2";
        var grafts = new Dictionary<string, Graft>(StringComparer.Ordinal);
        if (isCausal)
        {
            // Options that begin with different tokens of the tiny vocabulary.
            ClassifierSettings causal = OnnxCases.Causal with
            {
                Words = ["bad", "good"],
            };
            grafts["words"] = Words(checkpoint, 1, causal);
            grafts["other"] = Words(checkpoint, 2, causal with { AutoregressiveTemplate = "So {0} is" });
        }
        else if (checkpoint != "tiny-electra")
        {
            // The others' vocabularies have these words whole, and their checkpoints a language-model head.
            string[] words = checkpoint is "tiny-xlm-roberta" or "tiny-camembert" ? ["great", "good"] : ["bad", "good"];
            ClassifierSettings masked = OnnxCases.Mask with { Words = words };
            grafts["words"] = Words(checkpoint, 1, masked);
            grafts["other"] = Words(checkpoint, 2, masked with { Template = "*cls**mask*:*+sent_0**sep+*" });
        }

        grafts["head"] = Head(checkpoint, 3, HeadKind.SequenceClassification);
        if (!isCausal)
        {
            grafts["linear"] = Head(checkpoint, 4, HeadKind.FirstTokenLinear);
        }

        return grafts;
    }

    private static Graft Words(string checkpoint, int seed, ClassifierSettings settings)
    {
        using var model = LanguageModel.Load(Oracles.PathOf(checkpoint));
        return new()
        {
            BaseFingerprint = model.Fingerprint(),
            Settings = settings.ToJson(),
            Parts = Parts(model, seed),
        };
    }

    private static Graft Head(string checkpoint, int seed, HeadKind kind)
    {
        ClassifierSettings settings = OnnxCases.Mask with { Head = kind, Template = null, Words = null };
        using var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), settings, seed: seed);
        var random = new Random(seed);
        return new()
        {
            BaseFingerprint = classifier.Backbone.Fingerprint(),
            Settings = classifier.Settings.ToJson(),
            Parts = Parts(classifier.Backbone, seed),
            HeadParameters = classifier
                .Head.Values()
                .ToDictionary(
                    pair => pair.Key,
                    pair => pair.Value with { Values = Array.ConvertAll(pair.Value.Values, _ => random.NextSingle() - 0.5f) },
                    StringComparer.Ordinal
                ),
        };
    }

    /// <summary>Scalars of every parameter but those that the graph has in another form.</summary>
    private static GraftPart[] Parts(LanguageModel model, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. model
                .Parameters.Where(pair => !pair.Key.Contains("relative_attention_bias", StringComparison.Ordinal))
                .Select(pair =>
                {
                    int[] indices = [.. Enumerable.Range(0, 12).Select(_ => random.Next((int)pair.Value.numel())).Distinct().Order()];
                    return new GraftPart(pair.Key, indices, Array.ConvertAll(indices, _ => (4 * random.NextSingle()) - 2));
                }),
        ];
    }

    private static Graft With(Graft graft, string settings, bool withHead = true) =>
        new()
        {
            BaseFingerprint = graft.BaseFingerprint,
            Settings = settings,
            Parts = graft.Parts,
            HeadParameters = withHead ? graft.HeadParameters : new Dictionary<string, TensorValues>(StringComparer.Ordinal),
        };

    private static Graft WithZeros(Graft graft) =>
        new()
        {
            BaseFingerprint = graft.BaseFingerprint,
            Settings = graft.Settings,
            Parts = graft.Parts,
            Outside = GraftOutside.Zero,
            Considered = [.. graft.Parts.Select(part => part.Name)],
        };

    /// <summary>A graft of MPNet's biases by distance, of which the graph has a table.</summary>
    private static Graft WithDistances()
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-mpnet"));
        return new()
        {
            BaseFingerprint = model.Fingerprint(),
            Settings = OnnxCases.Mask.ToJson(),
            Parts =
            [
                new(model.Parameters.Keys.Single(name => name.Contains("relative_attention_bias", StringComparison.Ordinal)), [3], [1]),
            ],
        };
    }

    private static void Close(IDataView wanted, IDataView found) =>
        Assert.All(
            wanted.GetColumn<float[]>("Score").Zip(found.GetColumn<float[]>("Score")),
            rows => Assert.All(rows.First.Zip(rows.Second), pair => Assert.Equal(pair.First, pair.Second, 1e-5f))
        );

    private float[][] Alone(string checkpoint, Graft graft)
    {
        using var transformer = GraftTransformer.Create(graft, Oracles.PathOf(checkpoint));
        transformer.Classifier.SaveOnnx(PathOf("alone.onnx"));
        using var scorer = OnnxTextScorer.Load(PathOf("alone.onnx"));
        return scorer.Score(OnnxCases.Texts);
    }

    private OnnxGraftedModelSet Load(string checkpoint, Dictionary<string, Graft> grafts)
    {
        OnnxBase.Save(Oracles.PathOf(checkpoint), Base);
        return _ml.SkillLoc().Grafts.LoadOnnxModelSet(Base, Saved(grafts));
    }

    private Dictionary<string, string> Saved(Dictionary<string, Graft> grafts) =>
        grafts.ToDictionary(
            pair => pair.Key,
            pair =>
            {
                pair.Value.Save(PathOf(pair.Key + ".safetensors"));
                return PathOf(pair.Key + ".safetensors");
            },
            StringComparer.Ordinal
        );

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private IDataView Rows(string[] skills) =>
        _ml.Data.LoadFromEnumerable(
            OnnxCases.Texts.Select(
                (text, i) =>
                    new Row
                    {
                        Text = text,
                        TextPair = OnnxCases.SecondText,
                        Skill = skills[i % skills.Length],
                    }
            )
        );

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";

        public string Skill { get; set; } = "";
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
