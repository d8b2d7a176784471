using System.Diagnostics;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Generation;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>A config.json that speaks of sizes that its weights do not have is refused before anything of these sizes is made.</summary>
public sealed class ConfigSizesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public static TheoryData<string, string, int> Sizes
    {
        get
        {
            (string Folder, string[] Keys)[] all =
            [
                ("tiny-roberta", Encoder),
                ("tiny-bert", Encoder),
                ("tiny-gpt2", ["n_embd", "n_layer", "n_head", "n_inner", "n_positions", "vocab_size"]),
                ("tiny-t5", T5),
                ("tiny-t5-v11", T5),
            ];
            var data = new TheoryData<string, string, int>();
            foreach ((string folder, string[] keys) in all)
            {
                foreach (string key in keys)
                {
                    // One that is a multiple of the other sizes too, the largest of all, and one that comes close.
                    Array.ForEach([1_000_000_000, 960_000_000, int.MaxValue, 1000], value => data.Add(folder, key, value));
                }
            }

            return data;
        }
    }

    private static string[] Encoder =>
        [
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
            "vocab_size",
        ];

    private static string[] T5 =>
        ["d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "vocab_size", "relative_attention_num_buckets"];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Sizes))]
    public void ASizeIsHeldAgainstTheTensorsFirst(string folder, string key, int value)
    {
        foreach (string file in Directory.GetFiles(Oracles.PathOf(folder)))
        {
            File.Copy(file, Path.Join(_folder, Path.GetFileName(file)));
        }

        string path = Path.Join(_folder, "config.json");
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
        config[key] = value;
        File.WriteAllText(path, config.ToJsonString());
        ClassifierSettings settings = folder.StartsWith("tiny-t5", StringComparison.Ordinal)
            ? new()
            {
                Head = HeadKind.Generation,
                Labels = [],
                TextToText = new("toy", TextMetric.Accuracy),
            }
            : new() { Head = HeadKind.SequenceClassification, Labels = ["a", "b"] };
        Action[] loads =
        [
            () => LanguageModel.Load(_folder).Dispose(),
            () => LanguageModel.Load(_folder, withHead: false).Dispose(),
            () => new TextEmbedder(_folder).Dispose(),
            () => TextClassifier.Create(_folder, settings).Dispose(),
        ];
        foreach (Action load in loads)
        {
            var clock = Stopwatch.StartNew();
            long before = GC.GetAllocatedBytesForCurrentThread();
            Exception? error = Record.Exception(load);
            long bytes = GC.GetAllocatedBytesForCurrentThread() - before;

            // A tokenizer has to be read before some of them; 1e9 layers took 52 s and 4 GB.
            Assert.InRange(bytes, 0, 64_000_000);
            Assert.InRange(clock.Elapsed.TotalSeconds, 0, 10);
            Assert.True(error is InvalidDataException or NotSupportedException, $"{error}");
            Assert.Contains("config.json", error.Message, StringComparison.Ordinal);
        }
    }
}
