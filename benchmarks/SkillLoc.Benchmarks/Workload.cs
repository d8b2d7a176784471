using System.Globalization;
using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Pretrain;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Benchmarks;

/// <summary>
/// What is benchmarked: a checkpoint, a second one that differs from it as a fine-tuned one does, and texts of random words, as long as
/// those of SST-2 or longer. Everything is made from fixed seeds.
/// </summary>
public sealed class Workload(string folder)
{
    private const int WordCount = 1000;
    private const int FixedTokens = 128;
    private const int ShortestLong = 100;
    private const int LongestLong = 280;

    // SST-2's training set (GLUE): how many of its 67,349 rows have 1, 2, 3 ... words.
    private static readonly int[] RowsByWords =
    [
        4270,
        7241,
        7031,
        5511,
        4578,
        4019,
        3594,
        3092,
        2861,
        2564,
        2230,
        2051,
        1830,
        1748,
        1560,
        1388,
        1265,
        1182,
        1040,
        922,
        860,
        820,
        741,
        654,
        572,
        505,
        460,
        416,
        335,
        297,
        281,
        253,
        226,
        166,
        152,
        108,
        90,
        91,
        60,
        55,
        53,
        34,
        30,
        24,
        27,
        17,
        9,
        11,
        9,
        7,
        6,
        3,
    ];

    /// <summary>The pre-trained checkpoint.</summary>
    public string Base { get; } = Path.Join(folder, "base");

    /// <summary>The fine-tuned checkpoint.</summary>
    public string Tuned { get; } = Path.Join(folder, "tuned");

    /// <summary>The rows as token ids, for the peer.</summary>
    public string Rows { get; } = Path.Join(folder, "rows.json");

    /// <summary>The task: a prompt on one sentence.</summary>
    public static PromptTask Task { get; } = PromptTasks.Find("sst-2") with { MaxLength = 512 };

    /// <summary>The task as a classifier's settings.</summary>
    public static ClassifierSettings Settings { get; } =
        new()
        {
            Task = Task.Name,
            Template = Task.Template.ToString(),
            Labels = Task.Verbalizer.Labels,
            Words = Task.Verbalizer.Words,
            MaxLength = Task.MaxLength,
        };

    /// <summary>The padding token's id.</summary>
    public int PadId => CheckpointFolder.ReadConfig(Base).PadTokenId!.Value;

    /// <summary>Texts of random words.</summary>
    /// <param name="count">How many.</param>
    /// <param name="isLong">Whether they are long, 100 to 280 words, or have as many words as those of SST-2.</param>
    /// <returns>The rows; the first ones of a longer list are those of a shorter.</returns>
    public IReadOnlyList<Review> Reviews(int count, bool isLong = false)
    {
        var random = new Random(7);
        string[] words = Words();
        int total = RowsByWords.Sum();
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ => new Review
                {
                    Text = string.Join(
                        ' ',
                        Enumerable
                            .Range(0, isLong ? random.Next(ShortestLong, LongestLong + 1) : Length())
                            .Select(_ => words[random.Next(words.Length)])
                    ),
                    Label = random.Next(2) == 0 ? "0" : "1",
                }),
        ];

        int Length()
        {
            int drawn = random.Next(total),
                length = 0;
            while (drawn >= 0)
            {
                drawn -= RowsByWords[length++];
            }

            return length;
        }
    }

    /// <summary>Texts of random words, all as long, which are made as they are read.</summary>
    /// <param name="count">How many.</param>
    /// <param name="length">Words of each.</param>
    /// <param name="skills">How many skills take turns.</param>
    /// <returns>The rows.</returns>
    public IEnumerable<Review> Reviews(int count, int length, int skills)
    {
        var random = new Random(7);
        string[] words = Words();
        for (int row = 0; row < count; row++)
        {
            yield return new()
            {
                Text = string.Join(' ', random.GetItems(words, length)),
                Label = row % 2 == 0 ? "0" : "1",
                Skill = SkillName(row % skills),
            };
        }
    }

    /// <summary>The name of a skill.</summary>
    /// <param name="skill">Its number.</param>
    /// <returns>The name.</returns>
    public static string SkillName(int skill) => string.Create(CultureInfo.InvariantCulture, $"skill {skill}");

    /// <summary>A view of <see cref="Reviews(int, bool)"/> with a key-typed label.</summary>
    /// <param name="context">The context.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="isLong">Whether they are long.</param>
    /// <returns>The view.</returns>
    public IDataView View(MLContext context, int count, bool isLong = false)
    {
        IDataView texts = context.Data.LoadFromEnumerable(Reviews(count, isLong));
        return context.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts);
    }

    /// <summary>The rows as token ids, as they were written.</summary>
    /// <param name="isLong">Whether the long ones are wanted.</param>
    /// <returns>The rows with their labels.</returns>
    internal IEnumerable<(EncodedText Text, long Label)> Encoded(bool isLong)
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Rows));
        foreach (JsonElement row in file.RootElement.GetProperty(isLong ? "long" : "short").EnumerateArray())
        {
            int[] ids = [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            yield return (new(ids, null, row.GetProperty("position").GetInt32()), row.GetProperty("label").GetInt64());
        }
    }

    /// <summary>The length to which the papers' code would pad rows.</summary>
    /// <param name="longest">The longest row of a batch.</param>
    /// <returns>128, or a multiple of it for longer rows.</returns>
    internal static int FixedLength(int longest) => (longest + FixedTokens - 1) / FixedTokens * FixedTokens;

    /// <summary>The fine-tuned classifier as a transformer.</summary>
    /// <returns>The transformer; the caller disposes it.</returns>
    public TextScoringTransformer LoadTuned() => new(TextClassifier.Load(Tuned), new ScoringColumns { Text = "Text" }, Tuned, Base);

    /// <summary>Writes both checkpoints and the rows.</summary>
    /// <param name="layers">Layers of the model.</param>
    /// <param name="hidden">Hidden size; the feed-forward size is four times it, and a head has 64.</param>
    /// <param name="vocabulary">Rows of the word embeddings.</param>
    /// <param name="rows">Rows of data.</param>
    public void Write(int layers = 4, int hidden = 768, int vocabulary = 50265, int rows = 2048)
    {
        IReadOnlyList<Review> reviews = Reviews(rows);
        string tokenizer = Path.Join(folder, "tokenizer");
        new ByteLevelBpeTrainer { VocabularySize = 6000, WholeWords = [.. Task.Verbalizer.Words, "It", "was"] }.Train(
            reviews.Select(review => " " + review.Text),
            tokenizer
        );
        var config = ModelConfig.Parse(
            $$"""
            {
              "architectures": ["RobertaForMaskedLM"], "model_type": "roberta", "vocab_size": {{vocabulary}}, "hidden_size": {{hidden}},
              "num_hidden_layers": {{layers}}, "num_attention_heads": {{hidden / 64}}, "intermediate_size": {{4 * hidden}},
              "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
              "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2
            }
            """
        );
        using var model = LanguageModel.Create(config, seed: 1);
        CheckpointFolder.Save(
            Base,
            config,
            model.Parameters.Select(pair => (pair.Key, (torch.Tensor)pair.Value)),
            Directory.GetFiles(tokenizer)
        );

        Tune(rows);
    }

    /// <summary>Takes a copy of a checkpoint for the base; the rest is as <see cref="Write"/> does it.</summary>
    /// <param name="checkpoint">A checkpoint folder with tokenizer files.</param>
    /// <param name="rows">Rows of data.</param>
    public void WriteFrom(string checkpoint, int rows = 2048)
    {
        Directory.CreateDirectory(Base);
        foreach (string file in Directory.GetFiles(checkpoint))
        {
            File.Copy(file, Path.Join(Base, Path.GetFileName(file)), overwrite: true);
        }

        Tune(rows);
    }

    /// <summary>Writes the rows, and the base with noise for the fine-tuned checkpoint.</summary>
    private void Tune(int rows)
    {
        using var classifier = TextClassifier.Create(Base, Settings);
        using (FileStream file = File.Create(Rows))
        {
            JsonSerializer.Serialize(
                file,
                new Dictionary<string, object>
                {
                    ["words"] = Task.Verbalizer.Resolve(CheckpointTokenizer.Load(Base)),
                    ["pad"] = PadId,
                    ["short"] = Encode(isLong: false),
                    ["long"] = Encode(isLong: true),
                }
            );
        }

        using (torch.no_grad())
        {
            using var generator = new torch.Generator(2);
            foreach ((string name, TorchSharp.Modules.Parameter value) in classifier.Backbone.Parameters)
            {
                if (ParameterPlace.Of(name).Region == ParameterRegion.Layer)
                {
                    using torch.Tensor noise = torch.randn(value.shape, generator: generator);
                    value.Add_(noise, 1e-3);
                }
            }
        }

        classifier.Save(Tuned);

        object[] Encode(bool isLong) =>
            [
                .. Reviews(isLong ? rows / 4 : rows, isLong)
                    .Select(review =>
                    {
                        EncodedText text = classifier.Encode(review.Text);
                        return new
                        {
                            ids = text.Ids,
                            position = text.Position,
                            label = int.Parse(review.Label, CultureInfo.InvariantCulture),
                        };
                    }),
            ];
    }

    /// <summary>Words that the tokenizer of a given checkpoint takes whole; made-up ones for a checkpoint that is made.</summary>
    private string[] Words()
    {
        string vocabulary = Path.Join(Base, "vocab.txt");
        if (File.Exists(vocabulary))
        {
            return [.. File.ReadLines(vocabulary).Where(word => word.Length > 2 && word.All(char.IsAsciiLetterLower)).Take(WordCount)];
        }

        var random = new Random(3);
        return [.. Enumerable.Range(0, WordCount).Select(_ => string.Concat(Enumerable.Range(0, 3).Select(_ => Syllable())))];

        string Syllable() => string.Concat("bcdfglmnprstv"[random.Next(13)], "aeiou"[random.Next(5)]);
    }
}
