using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Evaluators;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.PublishedModels;

/// <summary>Two models, and what lies between them.</summary>
public sealed class Walk
{
    /// <summary>The model at 0, whose embeddings are the mean of hidden states.</summary>
    public const string First = "sentence-transformers/all-MiniLM-L6-v2";

    /// <summary>The model at 1, whose embeddings are the first token's hidden state.</summary>
    public const string Second = ArcticXs.Name;

    private const int MaxLength = 64;

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder;
    private readonly string _first;
    private readonly string _second;
    private readonly int _seeds;
    private readonly CancellationToken _stop;
    private readonly string[] _sentences;
    private readonly string[] _paraphrases;
    private readonly LabeledText[] _questions;
    private readonly TaskRows _reviews;

    /// <param name="data">The data sets' folder.</param>
    /// <param name="folder">Where merged models go.</param>
    /// <param name="texts">At most so many texts of a retrieval set.</param>
    /// <param name="rows">Rows to fine-tune on.</param>
    /// <param name="seeds">How often each model is fine-tuned.</param>
    /// <param name="stop">Stops the walk.</param>
    /// <exception cref="IOException">A data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as expected.</exception>
    public Walk(string data, string folder, int texts, int rows, int seeds, CancellationToken stop)
    {
        _folder = folder;
        _seeds = seeds;
        _stop = stop;
        _first = WithoutPooler(First);
        _second = WithoutPooler(Second);
        LabeledText[] pairs =
        [
            .. new StudyFile
            {
                Path = "mrpc/msr_paraphrase_test.txt",
                Format = new()
                {
                    HasHeader = true,
                    Label = 0,
                    Text = 3,
                    TextPair = 4,
                },
            }
                .Read(data)
                .Where(pair => pair.Label == "1")
                .DistinctBy(pair => pair.Text)
                .Take(texts),
        ];
        _sentences = [.. pairs.Select(pair => pair.Text)];
        _paraphrases = [.. pairs.Select(pair => pair.TextPair!)];
        TaskFileFormat labelFirst = new() { Layout = TaskFileLayout.LabelFirst, Encoding = System.Text.Encoding.Latin1 };
        _questions =
        [
            .. new StudyFile { Path = "sent-conv/TREC.test.all", Format = labelFirst }
                .Read(data)
                .Take(texts),
        ];
        TaskFileFormat reviews = new()
        {
            HasHeader = true,
            Label = 0,
            Text = 1,
        };
        _reviews = TaskRows.Draw(
            [
                new StudyFile { Path = "sst-2/train.tsv", Format = reviews }.Read(data),
                new StudyFile { Path = "sst-2/dev.tsv", Format = reviews }.Read(data),
            ],
            seed: 0,
            rows,
            dev: 1,
            test: 500
        );
    }

    /// <summary>Number of sentences whose paraphrases are looked for.</summary>
    public int Sentences => _sentences.Length;

    /// <summary>Number of questions whose like are looked for.</summary>
    public int Questions => _questions.Length;

    /// <summary>How far apart the two are.</summary>
    public CheckpointDistanceMetrics Distances() => _ml.SkillLoc().Connectivity.EvaluateDistance(_first, _second);

    /// <summary>Measures the models on the path.</summary>
    /// <param name="points">How many, both ends among them.</param>
    /// <returns>Two points, one for each pooling, for each place and method; the ends are both methods'.</returns>
    public IReadOnlyList<PathPoint> Run(int points)
    {
        var found = new List<PathPoint>();
        PathPoint[] start = [.. Measure("", 0, _first, isTuned: true)],
            end = [.. Measure("", 1, _second, isTuned: true)];
        foreach (string method in new[] { "linear", "slerp" })
        {
            found.AddRange(start.Select(point => point with { Method = method }));
            for (int i = 1; i < points - 1; i++)
            {
                // Beside the ends, the middle is fine-tuned.
                double t = (double)i / (points - 1);
                found.AddRange(Measure(method, t, Merge(method, t), isTuned: 2 * i == points - 1));
            }

            found.AddRange(end.Select(point => point with { Method = method }));
        }

        return found;
    }

    private IEnumerable<PathPoint> Measure(string method, double t, string model, bool isTuned)
    {
        _stop.ThrowIfCancellationRequested();
        double[] tuned = isTuned ? [.. FineTune(model)] : [];
        foreach (TextPooling pooling in new[] { TextPooling.Mean, TextPooling.FirstToken })
        {
            var point = new PathPoint(method, t, $"{pooling}", Paraphrases(model, pooling), SameQuestions(model, pooling), tuned);
            Console.WriteLine(
                FormattableString.Invariant(
                    $"{method} {t:0.00} {pooling}: {point.Paraphrases:0.000} {point.Questions:0.000} {string.Join(' ', tuned)}"
                )
            );
            yield return point;
        }
    }

    /// <summary>A copy of a model without what sentence embeddings have no use for, and only one of the two has.</summary>
    private string WithoutPooler(string name)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var checkpoint = CheckpointFolder.Open(name);
        string folder = Path.Join(_folder, name[(name.LastIndexOf('/') + 1)..]);
        CheckpointFolder.Save(
            folder,
            checkpoint.Config,
            checkpoint
                .Weights.Tensors.Where(info => !info.Name.Contains("pooler.", StringComparison.Ordinal))
                .Select(info => (info.Name, checkpoint.Weights.Read(info.Name))),
            checkpoint.TokenizerFiles
        );
        return folder;
    }

    private string Merge(string method, double t)
    {
        string folder = Path.Join(_folder, "merged");
        _ml.SkillLoc()
            .Merging.MergeModels(
                method == "linear"
                    ? new MergeRecipe
                    {
                        Method = method,
                        Models =
                        [
                            new MergeInput(_first) { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = 1 - t } },
                            new MergeInput(_second) { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = t } },
                        ],
                    }
                    : new MergeRecipe
                    {
                        Method = method,
                        BaseModel = _first,
                        Models = [_second],
                        Parameters = new Dictionary<string, MergeSetting> { ["t"] = t },
                    },
                folder
            );
        return folder;
    }

    private double Paraphrases(string model, TextPooling pooling)
    {
        float[][] queries = Embed(model, pooling, _sentences),
            answers = Embed(model, pooling, _paraphrases);
        return queries.Select((query, i) => Nearest(query, answers, -1) == i ? 1.0 : 0).Average();
    }

    private double SameQuestions(string model, TextPooling pooling)
    {
        float[][] vectors = Embed(model, pooling, [.. _questions.Select(question => question.Text)]);
        return vectors.Select((vector, i) => _questions[Nearest(vector, vectors, i)].Label == _questions[i].Label ? 1.0 : 0).Average();
    }

    /// <summary>Unit vectors of texts.</summary>
    private float[][] Embed(string model, TextPooling pooling, string[] texts)
    {
        IDataView rows = _ml.Data.LoadFromEnumerable(texts.Select(text => new TextRow { Text = text }));
        using EmbedTextTransformer embed = _ml.SkillLoc()
            .EmbedText(
                new EmbedTextEstimator.Options
                {
                    Checkpoint = model,
                    Pooling = pooling,
                    MaxLength = MaxLength,
                }
            )
            .Fit(rows);
        return
        [
            .. embed
                .Transform(rows)
                .GetColumn<float[]>("Features")
                .Select(vector =>
                {
                    float norm = MathF.Sqrt(vector.Sum(value => value * value));
                    return Array.ConvertAll(vector, value => value / norm);
                }),
        ];
    }

    private static int Nearest(float[] query, float[][] vectors, int except)
    {
        (int best, float closest) = (-1, float.NegativeInfinity);
        for (int i = 0; i < vectors.Length; i++)
        {
            float product = 0;
            for (int j = 0; j < query.Length; j++)
            {
                product += query[j] * vectors[i][j];
            }

            if (i != except && product > closest)
            {
                (best, closest) = (i, product);
            }
        }

        return best;
    }

    /// <summary>Accuracies on SST-2 after fine-tuning with a classification head, one a seed.</summary>
    private IEnumerable<double> FineTune(string model)
    {
        IDataView train = _ml.SkillLoc().Data.LoadRows(_reviews.Train);
        ValueToKeyMappingTransformer keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(train);
        IDataView test = keys.Transform(_ml.SkillLoc().Data.LoadRows(_reviews.Test));
        for (int seed = 1; seed <= _seeds; seed++)
        {
            _stop.ThrowIfCancellationRequested();
            using TextScoringTransformer tuned = _ml.SkillLoc()
                .PromptFineTune(
                    new PromptFineTuneTrainer.Options
                    {
                        Checkpoint = model,
                        Task = PromptTasks.Find("sst-2"),
                        Head = HeadKind.SequenceClassification,
                        LearningRate = 2e-4,
                        Epochs = 4,
                        BatchSize = 16,
                        MaxLength = MaxLength,
                        Seed = seed,
                        CancellationToken = _stop,
                    }
                )
                .Fit(keys.Transform(train));
            yield return _ml.SkillLoc().EvaluateCalibration(tuned.Transform(test)).Accuracy;
        }
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
