using System.Text;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tests.Tuning;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Files;

/// <summary>A file that is damaged in any way is read, or refused by an exception that names it; nothing else comes out of a
/// reader.</summary>
public sealed class DamagedFileTests : IDisposable
{
    private const int Many = 150;

    private const string Tasks = """
        [{"name": "films", "template": "*cls**sent_0*_It_was*mask*.*sep+*", "mapping": {"0": "bad", "1": "good"}, "max_length": 64,
          "first_sentence_limit": 40, "other_sentence_limit": null, "metric": "accuracy",
          "autoregressive": {"template": "{0} It was", "options": {"0": " bad", "1": " good"}, "max_length": 32}},
         {"name": "rate", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "no", "1": "yes"}, "score_range": [0, 5]}]
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("task-null", "line 1")]
    [InlineData("task-map-null", "template")]
    [InlineData("task-opt-null", "autoregressive.template")]
    public void GivenTaskFilesAreRefusedByFileAndPlace(string name, string place)
    {
        string path = Oracles.PathOf("bugs", "files", name);
        string message = Assert.Throws<InvalidDataException>(() => PromptTasks.Load(path)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains(place, message, StringComparison.Ordinal);
    }

    [Fact]
    public void AGivenSurrogateIsRefusedByFileAndLine()
    {
        string path = Oracles.PathOf("bugs", "files", "jsonl-surrogate");
        var format = new TaskFileFormat
        {
            Layout = TaskFileLayout.JsonLines,
            Text = "text",
            Label = "label",
        };
        Assert.StartsWith(
            $"{path}, line 1:",
            Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(path, format).ToList()).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("graft-labels-null", "labels")]
    [InlineData("graft-maxlength-0", "'max_length' is 0")]
    public void GivenGraftsAreRefusedByFileAndField(string name, string field)
    {
        string path = Oracles.PathOf("bugs", "files", name);
        string message = Assert.Throws<InvalidDataException>(() => Graft.Load(path)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains(field, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        """[{"name": "a", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "a", "1": null}}]""",
        "'a'",
        "label '1' is null"
    )]
    [InlineData("""[{"name": "a", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "a", "0": "b"}}]""", "line 1", "Duplicate")]
    [InlineData(
        """[{"name": "a", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "a", "1": "b"}, "max_length": 1e300}]""",
        "max_length",
        "line 1"
    )]
    [InlineData(
        """[{"name": "a", "template": "*cls**sent_0**mask**sep+*", "mapping": {"0": "a", "1": "b"}, "score_range": [0, null]}]""",
        "line 1",
        "null"
    )]
    [InlineData("[\n{\"name\": \"a\"},\n null]", "line 3", "null")]
    public void TaskFilesNameLineAndProperty(string json, params string[] said)
    {
        string path = Path.Join(_folder, "tasks.json");
        File.WriteAllText(path, json);
        string message = Assert.Throws<InvalidDataException>(() => PromptTasks.Load(path)).Message;
        Assert.All(said.Append(path), part => Assert.Contains(part, message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("\"max_length\": 128", "\"max_length\": -4", "max_length")]
    [InlineData("\"head\": \"label_words\"", "\"head\": 7", "head")]
    [InlineData("\"labels\": [", "\"labels\": [null, ", "line")]
    [InlineData("\"neg\"", "\"pos\"", "'labels' has 'pos' twice")]
    [InlineData("*mask*", "*musk*", "template")]
    [InlineData("\"words\"", "\"wordss\"", "wordss")]
    [InlineData("\"task\": \"films\"", "\"task\": null", "task")]
    [InlineData("\"first_sentence_limit\": 9", "\"first_sentence_limit\": 0", "'first_sentence_limit' is 0")]
    [InlineData("\"rank\": 3", "\"rank\": \"three\"", "rank")]
    public void SettingsNameFileAndField(string old, string changed, string said)
    {
        string valid = Settings.ToJson();
        Assert.Contains(old, valid, StringComparison.Ordinal);
        string path = Path.Join(_folder, ClassifierSettings.FileName);
        File.WriteAllText(path, valid.Replace(old, changed, StringComparison.Ordinal));
        string message = Assert.Throws<InvalidDataException>(() => ClassifierSettings.Load(_folder)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains(said, message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALogOfRunsNamesTheLineThatIsNoRecord()
    {
        string path = Path.Join(_folder, "runs.jsonl");
        RunRecord.Append(path, new() { Kind = "fine-tune" });
        File.AppendAllText(path, "{\"kind\": \"gra\n");
        RunRecord.Append(path, new() { Kind = "graft" });
        Assert.Equal(["fine-tune", "graft"], RunRecord.Read(path).Select(record => record.Kind));
        File.AppendAllText(path, "{\"kind\": null}\n");
        Assert.Contains(
            $"{path}, line 4",
            Assert.Throws<InvalidDataException>(() => RunRecord.Read(path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void TaskFiles() => Json("tasks.json", Tasks, path => PromptTasks.Load(path));

    [Fact]
    public void FormatsOfFiles() =>
        Json(
            "format.json",
            """{"layout": "csv", "header": true, "text": "sentence", "text_pair": 2, "label": -1, "label_map": {"1": "yes", "0": "no"}, "labels": ["no", "yes"], "score_range": null, "skip_short_rows": true, "encoding": "latin1"}""",
            path => TaskFileFormat.FromJson(File.ReadAllText(path), path)
        );

    [Fact]
    public void SettingsOfClassifiers() => Json(ClassifierSettings.FileName, Settings.ToJson(), path => ClassifierSettings.Load(_folder));

    [Fact]
    public void SettingsOfWriters() =>
        Json(
            ClassifierSettings.FileName,
            new ClassifierSettings
            {
                Labels = [],
                Head = HeadKind.Generation,
                TextToText = new TextToTextTask("t", TextMetric.Accuracy),
            }.ToJson(),
            path => ClassifierSettings.Load(_folder)
        );

    [Fact]
    public void Configurations()
    {
        foreach (string name in new[] { "tiny-roberta", "tiny-gpt2", "tiny-t5" })
        {
            Json(
                "config.json",
                File.ReadAllText(Oracles.PathOf(name, "config.json")),
                path =>
                {
                    var config = ModelConfig.Load(path);
                    LanguageModel.CheckArchitecture(config);
                }
            );
        }
    }

    [Fact]
    public void Cartography() =>
        Json(
            "cartography.json",
            """{"0": {"acc": [0, 1], "confidence": [0.25, 0.5]}, "7": {"acc": [1, 1], "confidence": [0.75, 1]}}""",
            path => TrainingDynamics.Load(path).Map()
        );

    [Fact]
    public void LogsOfRuns()
    {
        string path = Path.Join(_folder, "runs.jsonl");
        RunRecord.Append(
            path,
            new()
            {
                Kind = "graft",
                Options = new Dictionary<string, string> { ["seed"] = "1" },
                Metrics = new Dictionary<string, double> { ["loss"] = 0.5 },
            }
        );
        Json("runs.jsonl", File.ReadAllText(path).TrimEnd(), file => RunRecord.Read(file));
    }

    [Theory]
    [InlineData(TaskFileLayout.Tabs, "a film\tgood\nanother, \"one\"\tbad\nünd\tgood\n")]
    [InlineData(TaskFileLayout.Csv, "a film,good\n\"another, \"\"one\"\"\nof two lines\",bad\nünd,good\n")]
    [InlineData(TaskFileLayout.LabelFirst, "good a film\nbad another\ngood ünd\n")]
    [InlineData(TaskFileLayout.JsonLines, "{\"text\": \"a film\", \"label\": \"good\"}\n{\"label\": \"bad\", \"text\": \"ünd\"}\n")]
    public void Rows(TaskFileLayout layout, string valid)
    {
        string path = Path.Join(_folder, "rows.txt");
        var format = new TaskFileFormat { Layout = layout, Labels = ["good", "bad"] };
        if (layout == TaskFileLayout.JsonLines)
        {
            format = format with { Text = "text", Label = "label" };
            Assert.True(
                Mutants.AreReadOrRefused(path, Mutants.OfJson(valid[..valid.IndexOf('\n', StringComparison.Ordinal)], Many, 1), Read)
                    > Many / 4
            );
        }

        Assert.True(Mutants.AreReadOrRefused(path, Mutants.OfBytes(Encoding.UTF8.GetBytes(valid), Many, 2), Read) > Many / 10);

        void Read() => _ = TaskFileReader.Read(path, format).ToList();
    }

    [Fact]
    public void Grafts()
    {
        string path = Path.Join(_folder, "skill.graft.safetensors");
        new Graft
        {
            BaseFingerprint = new('a', 64),
            Settings = Settings.ToJson(),
            Task = "films",
            Sparsity = 0.01,
            ConsideredCount = 100,
            Metrics = new Dictionary<string, double> { ["accuracy"] = 0.5 },
            Parts = [new("w", [1, 5, 9], [1, 2, 3])],
            HeadParameters = new Dictionary<string, TensorValues> { ["classifier.weight"] = new([2, 2], [1, 2, 3, 4]) },
            Outside = GraftOutside.Zero,
            Considered = ["w", "v"],
        }.Save(path);
        Safetensors(path, () => Graft.Load(path));
    }

    [Fact]
    public void MaskStates()
    {
        using LanguageModel before = Toy.Model("roberta"),
            after = before.Clone();
        string name = before.Parameters.Keys.First(key => key.EndsWith("output.dense.bias", StringComparison.Ordinal));
        using (no_grad())
        {
            after.Parameters[name].copy_(ones_like(after.Parameters[name]));
        }

        using var mask = new GraftMask(before, after, [name]);
        var identity = new Dictionary<string, string> { ["models"] = "m" };
        string path = Path.Join(_folder, "mask.safetensors");
        new GraftMaskState
        {
            Identity = identity,
            Epoch = 3,
            Score = 0.5,
            BestScore = 0.75,
            Best = [new(name, [0, 2], [1, 1])],
            Metrics = new Dictionary<string, double> { ["x"] = 1 },
        }.Save(path, mask);
        Safetensors(path, () => GraftMaskState.Load(path, mask, identity));
    }

    [Fact]
    public void Tuned()
    {
        string path = Path.Join(_folder, "tuned.safetensors");
        new TunedWeights
        {
            BaseFingerprint = new('a', 64),
            Options = new LoraOptions { Rank = 3 },
            Settings = Settings.ToJson(),
            Tensors = new Dictionary<string, TensorValues> { ["lora"] = new([2, 2], [1, 2, 3, 4]) },
        }.Save(path);
        Safetensors(path, () => TunedWeights.Load(path));
    }

    [Fact]
    public void Tensors()
    {
        string path = Path.Join(_folder, "weights.safetensors");
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Write(path, [("a", ones(3, 4)), ("b", arange(5))], new Dictionary<string, string> { ["format"] = "pt" });
        Safetensors(
            path,
            () =>
            {
                using var file = SafetensorsFile.Open(path);
                foreach ((_, Tensor value) in file.ReadAll())
                {
                    value.Dispose();
                }
            }
        );
    }

    [Fact]
    public void Pickles()
    {
        // 45 of 46 hostile folders came out well before; so must single bytes.
        byte[] valid = File.ReadAllBytes(Oracles.PathOf("tiny-roberta", "pytorch_model.bin"));
        string path = Path.Join(_folder, "pytorch_model.bin");
        Mutants.AreReadOrRefused(
            path,
            Mutants.OfBytes(valid, 60, 3),
            () =>
            {
                using var file = TorchCheckpointFile.Open(path);
                foreach ((_, Tensor value) in file.ReadAll())
                {
                    value.Dispose();
                }
            }
        );
    }

    [Fact]
    public void Indexes()
    {
        string shard = Path.Join(_folder, "model-00001-of-00001.safetensors");
        using (DisposeScope scope = NewDisposeScope())
        {
            SafetensorsWriter.Write(shard, [("a", ones(2)), ("b", ones(3))]);
        }

        Json(
            "model.safetensors.index.json",
            """{"metadata": {"total_size": 20}, "weight_map": {"a": "model-00001-of-00001.safetensors", "b": "model-00001-of-00001.safetensors"}}""",
            path =>
            {
                try
                {
                    ShardedTensorStore.Open(path).Dispose();
                }
                catch (FileNotFoundException error)
                {
                    Assert.Contains(Path.GetFileName(path), error.Message, StringComparison.Ordinal);
                }
            }
        );
    }

    private static ClassifierSettings Settings =>
        new()
        {
            Task = "films",
            Head = HeadKind.LabelWords,
            Template = "*cls**sent_0*_It_was*mask*.*sep+*",
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            FirstSentenceLimit = 9,
            Tuning = new LoraOptions { Rank = 3 },
            MaxLength = 128,
        };

    private void Json(string name, string valid, Action<string> read)
    {
        string path = Path.Join(_folder, name);
        File.WriteAllText(path, valid);
        read(path);
        int refused =
            Mutants.AreReadOrRefused(path, Mutants.OfJson(valid, Many, 1), () => read(path))
            + Mutants.AreReadOrRefused(path, Mutants.OfBytes(Encoding.UTF8.GetBytes(valid), Many, 2), () => read(path));
        Assert.True(refused > Many / 4, $"{refused} mutants of {name} were refused");
    }

    private static void Safetensors<T>(string path, Func<T> read) =>
        Safetensors(
            path,
            () =>
            {
                _ = read();
            }
        );

    private static void Safetensors(string path, Action read)
    {
        byte[] valid = File.ReadAllBytes(path);
        read();
        int refused =
            Mutants.AreReadOrRefused(path, Mutants.OfSafetensors(valid, Many, 1), read)
            + Mutants.AreReadOrRefused(path, Mutants.OfBytes(valid, Many, 2), read);
        Assert.True(refused > Many / 4, $"{refused} mutants of {Path.GetFileName(path)} were refused");
    }
}
