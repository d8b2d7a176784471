using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.Benchmarks;

/// <summary>What paths between checkpoints cost beyond the evaluations that they need, and what a written token costs.</summary>
public static class PathJobs
{
    private const int Points = 26;

    /// <summary>
    /// A path of 26 points, everything included, against one model: scored and measured as any model is, and 26 times bare, its rows
    /// encoded
    /// and put into batches before. All take turns.
    /// </summary>
    /// <param name="workload">The ends are its fine-tuned model and its base.</param>
    /// <param name="rows">Rows of data.</param>
    /// <param name="times">How often each is timed.</param>
    /// <returns>A line of JSON: median processor seconds, and the path's as a multiple of an evaluation's and of a bare pass's.</returns>
    public static string Line(Workload workload, int rows, int times)
    {
        var context = new MLContext(seed: 1);
        using TextScoringTransformer tuned = workload.LoadTuned();
        var columns = new ScoringColumns { Text = "Text" };
        using var first = new TextScoringTransformer(TextClassifier.Create(workload.Base, tuned.Classifier.Settings), columns);
        IDataView view = workload.View(context, rows);
        TextClassifier classifier = tuned.Classifier;
        ScoringBatch[] batches = [.. classifier.Batches([.. workload.Reviews(rows).Select(review => classifier.Encode(review.Text))])];
        List<double> paths = [],
            evaluations = [],
            passes = [];
        for (int i = 0; i <= times; i++)
        {
            double path = GraftJobs.Seconds(() =>
                context.SkillLoc().Connectivity.EvaluateInterpolation(first, tuned, view, numberOfPoints: Points)
            );
            double evaluation = GraftJobs.Seconds(() => context.SkillLoc().EvaluateCalibration(tuned.Transform(view)));
            double pass =
                GraftJobs.Seconds(() =>
                {
                    for (int point = 0; point < Points; point++)
                    {
                        classifier.Score(batches);
                    }
                }) / Points;
            if (i > 0)
            {
                paths.Add(path);
                evaluations.Add(evaluation);
                passes.Add(pass);
            }
        }

        Array.ForEach(batches, batch => batch.Dispose());
        (double line, double one, double bare) = (GraftJobs.Median(paths), GraftJobs.Median(evaluations), GraftJobs.Median(passes));
        return JsonSerializer.Serialize(
            new
            {
                path = line,
                evaluation = one,
                pass = bare,
                evaluations = line / one,
                passes = line / bare,
            }
        );
    }

    /// <summary>Greedy answers of growing length by a random T5 of t5-small's size.</summary>
    /// <param name="lengths">The most tokens of an answer.</param>
    /// <returns>A line of JSON: for each length the tokens that were written a row, and the milliseconds of a step without the
    /// encoder's.</returns>
    public static string Generate(IReadOnlyList<int> lengths)
    {
        // No token ends an answer, so that all get as long as they may.
        using var model = (T5ForConditionalGeneration)
            LanguageModel.Create(
                ModelConfig.Parse(
                    """
                    {
                      "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048,
                      "num_layers": 6, "num_decoder_layers": 6, "num_heads": 8, "relative_attention_num_buckets": 32, "dropout_rate": 0.1,
                      "layer_norm_epsilon": 1e-6, "feed_forward_proj": "relu", "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 32127,
                      "tie_word_embeddings": true
                    }
                    """
                ),
                seed: 1
            );
        var random = new Random(1);
        using var batch = TokenBatch.Create(
            [
                .. Enumerable
                    .Range(0, 8)
                    .Select(_ => new EncodedText([.. Enumerable.Range(0, 32).Select(_ => random.Next(3, 32000))], null, 0)),
            ],
            0
        );
        model.Generate(batch, 2);
        return JsonSerializer.Serialize(
            lengths.Select(length =>
            {
                double encoder = Timed(() => model.Generate(batch, 1));
                int written = 0;
                double all = Timed(() => written = model.Generate(batch, length).Max(row => row.Length));
                return new
                {
                    length,
                    written,
                    millisecondsPerStep = 1000 * (all - encoder) / (length - 1),
                };
            })
        );

        static double Timed(Action action)
        {
            var times = new List<double>();
            for (int i = 0; i < 5; i++)
            {
                long start = Stopwatch.GetTimestamp();
                action();
                times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            return GraftJobs.Median(times);
        }
    }
}
