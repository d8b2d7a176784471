using System.Security.Cryptography;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Runs;
using SkillLoc.Models.Tuning;
using SkillLoc.Onnx;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Fuzz;

internal static partial class Targets
{
    private static IEnumerable<Target> OwnFiles(string scratch)
    {
        var settings = new ClassifierSettings
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
        yield return new(
            "settings",
            Shape.Json,
            [Utf8(settings.ToJson())],
            "x/settings.json",
            bytes => _ = ClassifierSettings.FromJson(System.Text.Encoding.UTF8.GetString(bytes), "x/settings.json")
        );
        yield return Own(
            "graft",
            bytes => _ = Graft.Load(bytes, "x.safetensors"),
            path =>
                new Graft
                {
                    BaseFingerprint = new('a', 64),
                    Settings = settings.ToJson(),
                    Task = "films",
                    Sparsity = 0.01,
                    ConsideredCount = 100,
                    Metrics = new Dictionary<string, double> { ["accuracy"] = 0.5 },
                    Parts = [new("w", [1, 5, 9], [1, 2, 3])],
                    HeadParameters = new Dictionary<string, TensorValues> { ["classifier.weight"] = new([2, 2], [1, 2, 3, 4]) },
                    Outside = GraftOutside.Zero,
                    Considered = ["w", "v"],
                }.Save(path)
        );
        yield return Own(
            "onnx-graft",
            bytes => _ = GraftFile.Read(bytes, "x.safetensors"),
            path =>
                new Graft
                {
                    BaseFingerprint = new('a', 64),
                    Settings = settings.ToJson(),
                    Parts = [new("w", [1, 5, 9], [1, 2, 3])],
                    HeadParameters = new Dictionary<string, TensorValues> { ["classifier.weight"] = new([2, 2], [1, 2, 3, 4]) },
                }.Save(path)
        );
        yield return Own(
            "tuned",
            bytes => _ = TunedWeights.Load(bytes, "x.safetensors"),
            path =>
                new TunedWeights
                {
                    BaseFingerprint = new('a', 64),
                    Options = new LoraOptions { Rank = 3 },
                    Settings = settings.ToJson(),
                    Tensors = new Dictionary<string, TensorValues> { ["lora"] = new([2, 2], [1, 2, 3, 4]) },
                }.Save(path)
        );
        var run = new Dictionary<string, string> { ["seed"] = "1" };
        yield return OwnFile("training-seed", path => _ = TrainingStateFile.SeedOf(path), SaveState);
        yield return OwnFile(
            "training-state",
            path =>
            {
                try
                {
                    _ = new TrainingStateFile(path, run).Load([], 9);
                }
                catch (InvalidOperationException error)
                    when (error.Message.Contains($"{path} is the state of another run", StringComparison.Ordinal))
                {
                    // A file that is as it should be, and not this run's.
                }
            },
            SaveState
        );
        yield return OwnFile(
            "neurons",
            path => _ = NeuronSet.Load(path),
            path =>
            {
                using DisposeScope scope = NewDisposeScope();
                SafetensorsWriter.Write(path, [("neurons", tensor(new[] { true, false, true, true }).view(2, 2))]);
            }
        );
        yield return OwnFile(
            "neuron-values",
            path => _ = NeuronValues.Load(path),
            path =>
            {
                using DisposeScope scope = NewDisposeScope();
                SafetensorsWriter.Write(path, [("values", tensor(new[] { 0.5f, 1, 2, 3 }).view(2, 2))]);
            }
        );
        yield return OwnFile(
            "tall-masks",
            path => TallMaskSet.Open(path).Dispose(),
            path =>
            {
                using DisposeScope scope = NewDisposeScope();
                SafetensorsWriter.Write(
                    path,
                    [("w.vector", ones(9)), ("w.mask.0", zeros(2, ScalarType.Byte)), ("w.mask.1", zeros(2, ScalarType.Byte))],
                    new Dictionary<string, string>
                    {
                        ["format"] = "skillloc-tall-masks",
                        ["version"] = "1",
                        ["tasks"] = "a\nb",
                        ["base_fingerprint"] = new('a', 64),
                    }
                );
            }
        );
        yield return MaskState(scratch);
        yield return OfFile(
            scratch,
            "run-records",
            Shape.Json,
            "runs.jsonl",
            path => _ = RunRecord.Read(path).Count,
            [
                Written(
                    scratch,
                    "runs.jsonl",
                    path =>
                        RunRecord.Append(
                            path,
                            new()
                            {
                                Kind = "graft",
                                Options = new Dictionary<string, string> { ["seed"] = "1" },
                                Metrics = new Dictionary<string, double> { ["loss"] = 0.5 },
                            }
                        )
                ),
            ]
        );
        yield return OfFile(
            scratch,
            "analysis",
            Shape.Json,
            "valid_data_analysis.json",
            path => _ = InterpolationFiles.Read(path),
            [Utf8("""{"0.0": {"zero_list": [1], "one_list": [0, 3]}, "1.0": {"zero_list": [0], "one_list": [1, 3], "up_list": []}}""")]
        );
        yield return Recipes(scratch);
        yield return SavedModels(scratch);

        void SaveState(string path) =>
            new TrainingStateFile(path, run).Save(
                new()
                {
                    Step = 4,
                    Rows = 8,
                    Seconds = 1.5,
                    Loss = 0.5,
                    Metric = 0.75,
                    Best = (0.75, 2),
                    LossSum = 2,
                    Stale = 1,
                    Epochs = [new([true, false], [0.5f, 0.25f])],
                },
                []
            );

        Target Own(string name, Action<byte[]> read, Action<string> write) =>
            new(name, Shape.Safetensors, [Written(scratch, "x.safetensors", write)], "x.safetensors", read) { Words = SafetensorsWords };

        Target OwnFile(string name, Action<string> read, Action<string> write) =>
            OfFile(scratch, name, Shape.Safetensors, "x.safetensors", read, [Written(scratch, "x.safetensors", write)]) with
            {
                Words = SafetensorsWords,
            };
    }

    private static Target MaskState(string scratch)
    {
        LanguageModel before = LanguageModel.Create(ModelConfig.Roberta(4, 1, 1, 4, 8, 8), 1),
            after = before.Clone();
        string name = before.Parameters.Keys.First(key => key.EndsWith("output.dense.bias", StringComparison.Ordinal));
        using (no_grad())
        {
            after.Parameters[name].copy_(ones_like(after.Parameters[name]));
        }

        var mask = new GraftMask(before, after, [name]);
        var identity = new Dictionary<string, string> { ["models"] = "m" };
        return OfFile(
            scratch,
            "mask-state",
            Shape.Safetensors,
            "x.safetensors",
            path => _ = GraftMaskState.Load(path, mask, identity),
            [
                Written(
                    scratch,
                    "x.safetensors",
                    path =>
                        new GraftMaskState
                        {
                            Identity = identity,
                            Epoch = 3,
                            Score = 0.5,
                            BestScore = 0.75,
                            Best = [new(name, [0, 2], [1, 1])],
                            Metrics = new Dictionary<string, double> { ["x"] = 1 },
                        }.Save(path, mask)
                ),
            ]
        ) with
        {
            Words = SafetensorsWords,
        };
    }

    private static Target Recipes(string scratch) =>
        OfFile(
            scratch,
            "recipes",
            Shape.Text,
            "merge.yml",
            path => _ = MergeRecipeFile.Load(path).Recipes.Count,
            [
                Utf8(
                    """
                    merge_method: ties
                    base_model: base
                    models:
                      - model: a
                        parameters:
                          weight: 0.5
                          density:
                            - filter: attention
                              value: [0, 0.5, 1]
                            - value: 0.3
                      - model: b
                    parameters:
                      normalize: true
                    out_dtype: float16
                    tokenizer_source: base
                    seed: 3
                    """
                ),
                Utf8(
                    """
                    name: first
                    merge_method: slerp
                    base_model: a
                    slices:
                      - sources:
                          - model: a
                            layer_range: [0, 2]
                          - model: b
                            layer_range: [0, 2]
                    parameters: {t: 0.5}
                    ---
                    merge_method: linear
                    models: [{model: first, parameters: {weight: 1}}, {model: b, parameters: {weight: &w 0.5}}, {model: c, parameters: {weight: *w}}]
                    """
                ),
            ]
        ) with
        {
            Words =
            [
                .. new[]
                {
                    "- ",
                    ": ",
                    "[",
                    "]",
                    "{",
                    "}",
                    "&a ",
                    "*a",
                    "!!binary ",
                    "<<: *a",
                    "|",
                    ">",
                    "---",
                    "? ",
                    "#",
                    "'",
                    "\"",
                    "%YAML 1.1",
                    "first",
                    "1e400",
                    ".nan",
                }.Select(Utf8),
            ],
        };

    private static Target SavedModels(string scratch)
    {
        string cache = Path.Join(scratch, "cache");
        byte[] config = Utf8("{}");
        var packed = new PackedCheckpoint([new("config.json", config.Length, Convert.ToHexStringLower(SHA256.HashData(config)))]);
        return OfFile(
            scratch,
            "saved-zip",
            Shape.Zip,
            "model.zip",
            path =>
            {
                using FileStream file = File.OpenRead(path);
                PackedCheckpoints.Unpack(file, path, cache);
            },
            [
                ZipMutator.Write([
                    ("TransformerChain/Model.key", new byte[40]),
                    (
                        "SkillLoc/checkpoints.json",
                        Utf8($$"""[[{"name": "config.json", "length": {{config.Length}}, "sha256": "{{packed.Files[0].Sha256}}"}]]""")
                    ),
                    ($"SkillLoc/{packed.Content}/config.json", config),
                ]),
            ]
        );
    }
}
