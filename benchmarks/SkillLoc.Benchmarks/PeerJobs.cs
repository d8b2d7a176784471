using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Benchmarks;

/// <summary>The jobs that <c>benchmarks/peer/peer.py</c> runs too, through SkillLoc's public components.</summary>
public static class PeerJobs
{
    private const int Warmup = 3;
    private const int LossRows = 64;
    private const int MicroBatch = 8;

    /// <summary>Fine-tunes for a number of updates.</summary>
    /// <param name="workload">What to train on.</param>
    /// <param name="optimizer"><c>sgd</c> or <c>adamw</c>.</param>
    /// <param name="batch">Rows of a micro-batch.</param>
    /// <param name="accumulation">Micro-batches of an update.</param>
    /// <param name="steps">Updates that are timed.</param>
    /// <param name="tokens">Padded tokens of a forward pass at most.</param>
    /// <returns>A line of JSON.</returns>
    public static string FineTune(Workload workload, string optimizer, int batch, int accumulation, int steps, int tokens)
    {
        var context = new MLContext(seed: 1);
        var clock = new StepClock();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (
            TextScoringTransformer tuned = context
                .SkillLoc()
                .PromptFineTune(
                    new PromptFineTuneTrainer.Options
                    {
                        Checkpoint = workload.Base,
                        Task = Workload.Task,
                        Optimizer = Enum.Parse<OptimizerKind>(optimizer, ignoreCase: true),
                        LearningRate = 1e-5,
                        BatchSize = batch,
                        GradientAccumulationSteps = accumulation,
                        MaxSteps = Warmup + steps,
                        Progress = clock,
                        MaxTokensPerBatch = tokens,
                    }
                )
                .Fit(Workload.View(context, 2048))
        ) { }

        int examples = batch * accumulation * steps;
        (double wall, double processor) = clock.Since(Warmup - 1);
        return Line(
            new
            {
                examplesPerSecond = examples / wall,
                examplesPerCpuSecond = examples / processor,
                loss = Loss(workload.Base, workload),
                peakMiB = PeakMemory.MiB(),
                liveTensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount - before,
            }
        );
    }

    /// <summary>Trains a mask for one epoch: gradients, one update of the scores, one evaluation of the rounded mask.</summary>
    /// <param name="workload">What to train on.</param>
    /// <param name="batches">Micro-batches of 8 rows.</param>
    /// <param name="tokens">Padded tokens of a forward pass at most.</param>
    /// <returns>A line of JSON.</returns>
    public static string Mask(Workload workload, int batches, int tokens)
    {
        var context = new MLContext(seed: 1);
        var clock = new StepClock();
        context.Log += (_, message) =>
        {
            if (message.Message.Contains("Base patch", StringComparison.Ordinal))
            {
                clock.Begin();
            }
        };
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        double peak,
            parameters,
            start;
        using (TextScoringTransformer tuned = workload.LoadTuned())
        {
            parameters = tuned.Classifier.Backbone.Parameters.Values.Sum(parameter => parameter.numel()) * 4 / PeakMemory.BytesPerMiB;
            start = PeakMemory.Restart() - parameters;
            using GraftTransformer graft = context
                .SkillLoc()
                .GraftMask(
                    new GraftMaskEstimator.Options
                    {
                        FineTuned = tuned,
                        Epochs = 1,
                        BatchSize = MicroBatch,
                        MaxBatchesPerEpoch = batches,
                        Progress = clock,
                        MaxTokensPerBatch = tokens,
                    }
                )
                .Fit(Workload.View(context, 2048));
            peak = PeakMemory.MiB();
        }

        (double wall, double processor) = clock.Since(0);
        return Line(
            new
            {
                examplesPerSecond = batches * MicroBatch / wall,
                examplesPerCpuSecond = batches * MicroBatch / processor,
                loss = Loss(workload.Tuned, workload),
                peakMiB = peak,
                peakOverRuntimeMiB = peak - start,
                parametersMiB = parameters,
                liveTensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount - before,
            }
        );
    }

    /// <summary>The mean cross-entropy of the first rows, which the peer must agree on.</summary>
    private static double Loss(string checkpoint, Workload workload)
    {
        using var classifier = TextClassifier.Create(checkpoint, Workload.Settings);
        using var rows = JsonDocument.Parse(File.ReadAllText(workload.Rows));
        JsonElement[] first = [.. rows.RootElement.GetProperty("rows").EnumerateArray().Take(LossRows)];
        float[][] scores = classifier.Score([
            .. first.Select(row => new EncodedText(
                [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())],
                null,
                row.GetProperty("position").GetInt32()
            )),
        ]);
        return first.Zip(scores).Average(pair => -Math.Log(pair.Second[pair.First.GetProperty("label").GetInt32()]));
    }

    private static string Line(object result) => JsonSerializer.Serialize(result);
}
