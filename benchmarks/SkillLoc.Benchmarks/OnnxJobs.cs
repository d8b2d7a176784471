using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Onnx;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Benchmarks;

/// <summary>What scoring on ONNX Runtime costs, and what one base with many grafts does.</summary>
public static class OnnxJobs
{
    private const double Sparsity = 1e-4;
    private const int PaddedRows = 32;
    private const int Repeats = 5;

    /// <summary>
    /// Scores the same rows with the fine-tuned classifier on TorchSharp, with its float32 and its int8 export, and with the float32 export
    /// as one would call it without a thought for lengths: 32 rows a batch, all padded to the longest of all rows. All take turns, and as
    /// often in the other order.
    /// </summary>
    /// <param name="workload">The model.</param>
    /// <param name="texts">Texts, one a line; empty for the workload's.</param>
    /// <param name="rows">How many are scored.</param>
    /// <param name="joined">How many texts are joined to a row: 1 for short rows.</param>
    /// <param name="threads">Threads of each side.</param>
    /// <param name="rounds">How often each is timed.</param>
    /// <returns>A line of JSON: median processor and wall seconds, and how many times as fast as TorchSharp's scoring each is.</returns>
    public static string Speed(Workload workload, string texts, int rows, int joined, int threads, int rounds)
    {
        torch.set_num_threads(threads);
        using TextScoringTransformer tuned = workload.LoadTuned();
        TextClassifier classifier = tuned.Classifier;
        string[] all = texts.Length > 0 ? File.ReadAllLines(texts) : [.. workload.Reviews(rows * joined).Select(review => review.Text)];
        EncodedText[] encoded = [.. all.Chunk(joined).Take(rows).Select(part => classifier.Encode(string.Join(' ', part)))];
        DirectoryInfo folder = Directory.CreateTempSubdirectory("skillloc-bench-");
        try
        {
            using OnnxTextScorer single = Export(OnnxQuantization.None),
                bytes = Export(OnnxQuantization.Int8);
            using var settings = new SessionOptions { IntraOpNumThreads = threads };
            using var session = new InferenceSession(Path.Join(folder.FullName, $"{OnnxQuantization.None}.onnx"), settings);
            var sides = new OrderedDictionary<string, Action>
            {
                ["torchSharp"] = () => classifier.Score(encoded),
                ["float32"] = () => single.Score(encoded),
                ["int8"] = () => bytes.Score(encoded),
                ["float32Padded"] = () => ScorePadded(session, encoded),
            };
            var clocks = sides.Keys.ToDictionary(side => side, _ => (Wall: new List<double>(), Processor: new List<double>()));
            for (int round = -1; round < rounds; round++)
            {
                foreach ((string side, Action score) in round % 2 == 0 ? sides : sides.Reverse())
                {
                    long start = Stopwatch.GetTimestamp();
                    double processor = GraftJobs.Seconds(score);
                    if (round >= 0)
                    {
                        clocks[side].Processor.Add(processor);
                        clocks[side].Wall.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
                    }
                }
            }

            return JsonSerializer.Serialize(
                new
                {
                    rows = encoded.Length,
                    tokens = encoded.Average(row => row.Ids.Length),
                    threads,
                    processor = clocks.ToDictionary(pair => pair.Key, pair => GraftJobs.Median(pair.Value.Processor)),
                    wall = clocks.ToDictionary(pair => pair.Key, pair => GraftJobs.Median(pair.Value.Wall)),
                    timesAsFast = clocks.ToDictionary(
                        pair => pair.Key,
                        pair => Ratio(clocks["torchSharp"].Processor, pair.Value.Processor)
                    ),
                    timesAsFastByWall = clocks.ToDictionary(pair => pair.Key, pair => Ratio(clocks["torchSharp"].Wall, pair.Value.Wall)),
                }
            );
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        // Rounds are compared with themselves, since the machine's load changes between them.
        static double Ratio(List<double> torchSharp, List<double> other) =>
            GraftJobs.Median([.. torchSharp.Zip(other, (first, second) => first / second)]);

        OnnxTextScorer Export(OnnxQuantization quantization)
        {
            string file = Path.Join(folder.FullName, $"{quantization}.onnx");
            classifier.SaveOnnx(file, new() { Quantization = quantization });
            return OnnxTextScorer.Load(file, new() { Threads = threads });
        }
    }

    /// <summary>
    /// Random grafts of 0.01 % on the base: one session with all of them against a session for each, in memory, in switching and in
    /// scoring.
    /// </summary>
    /// <param name="workload">The model.</param>
    /// <param name="count">How many grafts.</param>
    /// <param name="rounds">How often scoring is timed.</param>
    /// <returns>A line of JSON: MiB, milliseconds, and processor milliseconds of a batch.</returns>
    public static string Skills(Workload workload, int count, int rounds)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("skillloc-bench-");
        try
        {
            var files = new OrderedDictionary<string, string>(StringComparer.Ordinal);
            string file = Path.Join(folder.FullName, "base.onnx"),
                alone = Path.Join(folder.FullName, "alone.onnx");
            Write();
            var options = new OnnxScoringOptions { Threads = 1 };
            double before = PeakMemory.Restart();
            var set = OnnxGraftedModelSet.Load(file, files, options: options);
            set.Score("0", ["one"]);
            double one = PeakMemory.Restart() - before;
            var results = new Dictionary<string, object> { ["skills"] = count, ["setMiB"] = one };
            string[] skills = [.. set.Skills];
            EncodedText row = set.Encode("0", workload.Reviews(1)[0].Text);
            results["switchMs"] = GraftJobs.Median([
                .. Enumerable
                    .Range(1, 10 * rounds)
                    .Select(i => Milliseconds(() => set.Score(skills[i % count], Array.Empty<EncodedText>()))),
            ]);

            before = PeakMemory.Restart();
            OnnxTextScorer[] sessions =
            [
                .. skills.Select(_ =>
                {
                    var session = OnnxTextScorer.Load(alone, options);
                    session.Score([row]);
                    return session;
                }),
            ];
            results["sessionsMiB"] = PeakMemory.Restart() - before;
            foreach (int rows in (int[])[1, 8, 32])
            {
                EncodedText[] batch = [.. Enumerable.Repeat(row, rows)];
                List<double> ofSet = [],
                    ofSession = [];
                for (int round = -1; round < rounds; round++)
                {
                    double first = 1000 * GraftJobs.Seconds(() => Repeat(() => set.Score("0", batch))),
                        second = 1000 * GraftJobs.Seconds(() => Repeat(() => sessions[0].Score(batch)));
                    if (round >= 0)
                    {
                        ofSet.Add(first / Repeats);
                        ofSession.Add(second / Repeats);
                    }
                }

                results[$"batch{rows}x{row.Ids.Length}"] = new { set = GraftJobs.Median(ofSet), session = GraftJobs.Median(ofSession) };
            }

            Array.ForEach(sessions, session => session.Dispose());
            set.Dispose();
            return JsonSerializer.Serialize(results);

            void Write()
            {
                OnnxBase.Save(workload.Base, file);
                using var model = LanguageModel.Load(workload.Base);
                string fingerprint = model.Fingerprint();
                for (int i = 0; i < count; i++)
                {
                    using var mask = new GraftMask(model, model, new ParameterSelection().Of(model));
                    mask.SetRandomBasePatch(Sparsity, seed: i);
                    string path = Path.Join(folder.FullName, $"{i}.safetensors");
                    new Graft
                    {
                        BaseFingerprint = fingerprint,
                        Settings = Workload.Settings.ToJson(),
                        Parts =
                        [
                            .. mask.Parts().Select(part => part with { Values = Array.ConvertAll(part.Values, value => value + 0.01f) }),
                        ],
                    }.Save(path);
                    files.Add($"{i}", path);
                }

                using var classifier = TextClassifier.Create(workload.Base, Workload.Settings);
                classifier.SaveOnnx(alone);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Repeat(Action action)
    {
        for (int i = 0; i < Repeats; i++)
        {
            action();
        }
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static void ScorePadded(InferenceSession session, EncodedText[] rows)
    {
        int length = rows.Max(row => row.Ids.Length);
        foreach (EncodedText[] batch in rows.Chunk(PaddedRows))
        {
            var ids = new DenseTensor<long>([batch.Length, length]);
            var mask = new DenseTensor<long>([batch.Length, length]);
            for (int i = 0; i < batch.Length; i++)
            {
                for (int j = 0; j < batch[i].Ids.Length; j++)
                {
                    (ids[i, j], mask[i, j]) = (batch[i].Ids[j], 1);
                }
            }

            NamedOnnxValue[] values =
            [
                .. session.InputMetadata.Keys.Select(name =>
                    NamedOnnxValue.CreateFromTensor(
                        name,
                        name switch
                        {
                            "input_ids" => ids,
                            "attention_mask" => mask,
                            _ => new DenseTensor<long>([batch.Length, length]),
                        }
                    )
                ),
            ];
            session.Run(values, ["probabilities"]).Dispose();
        }
    }
}
