using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Onnx;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.Benchmarks;

/// <summary>
/// The jobs that are compared, through SkillLoc's public components. <see cref="PlainJobs"/> and <c>benchmarks/peer/peer.py</c> do the same.
/// </summary>
internal static class Jobs
{
    public const string FineTune = "fine-tune";
    public const string Mask = "mask";
    public const string Probe = "probe";
    public const string Interpolate = "interpolate";
    public const string ScoreLong = "score-long";
    public const int TrainingBatch = 16;
    public const int Points = 26;
    public const int WarmupSteps = 10;
    public const int LossRows = 32;
    private const int MicroBatch = 8;
    private const int WarmupRows = 256;

    /// <summary>Runs one job on one side.</summary>
    /// <param name="workload">The models and rows.</param>
    /// <param name="side"><c>ours</c>, <c>bfloat16</c> (ours), <c>onnx</c> (SkillLoc.Onnx, scoring only), <c>reference</c> or <c>fair</c>
    /// (both <see cref="PlainJobs"/>).</param>
    /// <param name="job">The job.</param>
    /// <param name="count">Rows.</param>
    /// <returns>A line of JSON: rows per second of wall and of processor time, the loss of the first rows, and the peak memory.</returns>
    public static string Run(Workload workload, string side, string job, int count)
    {
        Speed speed = side is "reference" or "fair"
            ? new PlainJobs(workload, side == "fair").Run(job, count)
            : Ours(workload, side, job, count);
        return JsonSerializer.Serialize(
            new
            {
                perSecond = speed.PerSecond,
                perCpuSecond = speed.PerCpuSecond,
                loss = speed.Loss,
                peakMiB = PeakMemory.MiB(),
            }
        );
    }

    private static Speed Ours(Workload workload, string side, string job, int count)
    {
        var context = new MLContext(seed: 1);
        IDataView rows = workload.View(context, count, job == ScoreLong),
            few = workload.View(context, Math.Min(count, WarmupRows));
        Precision precision = side == "bfloat16" ? Precision.BFloat16 : Precision.Float32;
        using TextScoringTransformer tuned = workload.LoadTuned();
        tuned.Precision = precision;
        switch (job)
        {
            case FineTune:
                return Tune(workload, context, rows, precision, count / TrainingBatch);
            case Mask:
                return TrainMask(workload, context, rows, tuned, count);
            case Probe:
            {
                SkillNeuronProbeEstimator trainer = context
                    .SkillLoc()
                    .ProbeSkillNeurons(
                        new SkillNeuronProbeEstimator.Options
                        {
                            Model = tuned,
                            Kind = NeuronProbeKind.TextMean,
                            Precision = precision,
                        }
                    );
                return Timed(count, Loss(tuned.Classifier, workload), () => trainer.Fit(few).Dispose(), () => trainer.Fit(rows).Dispose());
            }
            case Interpolate:
            {
                using var first = new TextScoringTransformer(TextClassifier.Create(workload.Base, Workload.Settings), tuned.Columns);
                void Walk(IDataView view, int points) =>
                    context
                        .SkillLoc()
                        .Connectivity.EvaluateInterpolation(
                            new()
                            {
                                First = first,
                                Second = tuned,
                                Test = view,
                                NumberOfPoints = points,
                                Precision = precision,
                            }
                        );
                return Timed(count * Points, Loss(tuned.Classifier, workload), () => Walk(few, 2), () => Walk(rows, Points));
            }
            default:
            {
                ITransformer scorer = side == "onnx" ? Onnx(workload, context) : tuned;
                double loss = ReadScores(scorer, workload.View(context, LossRows, job == ScoreLong))
                    .Zip(workload.Encoded(job == ScoreLong))
                    .Average(pair => -Math.Log(pair.First[pair.Second.Label]));
                return Timed(count, loss, () => ReadScores(scorer, few), () => ReadScores(scorer, rows));
            }
        }
    }

    private static OnnxScoringTransformer Onnx(Workload workload, MLContext context)
    {
        string file = Path.Join(workload.Tuned, "model.onnx");
        using (var classifier = TextClassifier.Load(workload.Tuned))
        {
            classifier.SaveOnnx(file);
        }

        int threads = int.Parse(Environment.GetEnvironmentVariable("OMP_NUM_THREADS") ?? "0");
        return context.SkillLoc().LoadOnnxScorer(file, options: new() { Threads = threads });
    }

    private static float[][] ReadScores(ITransformer scorer, IDataView rows) =>
        [.. scorer.Transform(rows).GetColumn<VBuffer<float>>("Score").Select(row => row.DenseValues().ToArray())];

    private static Speed Timed(int rows, double loss, Action warmUp, Action job)
    {
        warmUp();
        var clock = new Clock();
        job();
        return clock.Speed(rows, loss);
    }

    private static Speed Tune(Workload workload, MLContext context, IDataView rows, Precision precision, int steps)
    {
        var clock = new StepClock();
        context
            .SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = workload.Base,
                    Task = Workload.Task,
                    Optimizer = OptimizerKind.AdamW,
                    LearningRate = 1e-5,
                    BatchSize = TrainingBatch,
                    MaxSteps = WarmupSteps + steps,
                    Precision = precision,
                    Progress = clock,
                }
            )
            .Fit(rows)
            .Dispose();
        using var classifier = TextClassifier.Create(workload.Base, Workload.Settings);
        return clock.Speed(WarmupSteps - 1, steps * TrainingBatch, Loss(classifier, workload));
    }

    /// <summary>An epoch: gradients, one update of the scores, one evaluation of the rounded mask.</summary>
    private static Speed TrainMask(Workload workload, MLContext context, IDataView rows, TextScoringTransformer tuned, int count)
    {
        var clock = new StepClock();
        context.Log += (_, message) =>
        {
            if (message.Message.Contains("Base patch", StringComparison.Ordinal))
            {
                clock.Begin();
            }
        };
        double loss = Loss(tuned.Classifier, workload);
        context
            .SkillLoc()
            .GraftMask(
                new GraftMaskEstimator.Options
                {
                    FineTuned = tuned,
                    Epochs = 1,
                    BatchSize = MicroBatch,
                    MaxBatchesPerEpoch = count / MicroBatch,
                    Progress = clock,
                }
            )
            .Fit(rows)
            .Dispose();
        return clock.Speed(0, count, loss);
    }

    /// <summary>The mean cross-entropy of the first rows, on which all sides must agree.</summary>
    private static double Loss(TextClassifier classifier, Workload workload)
    {
        (EncodedText Text, long Label)[] first = [.. workload.Encoded(isLong: false).Take(LossRows)];
        float[][] scores = classifier.Score([.. first.Select(row => row.Text)]);
        return first.Zip(scores).Average(pair => -Math.Log(pair.Second[pair.First.Label]));
    }
}

/// <summary>How fast a job was.</summary>
/// <param name="PerSecond">Rows per second.</param>
/// <param name="PerCpuSecond">Rows per second of processor time, which a busy machine disturbs less.</param>
/// <param name="Loss">The mean cross-entropy of the first rows.</param>
internal sealed record Speed(double PerSecond, double PerCpuSecond, double Loss);

/// <summary>Wall and processor time since it was made.</summary>
internal sealed class Clock
{
    private readonly long _wall = Stopwatch.GetTimestamp();
    private readonly TimeSpan _processor = Environment.CpuUsage.TotalTime;

    public Speed Speed(int rows, double loss) =>
        new(rows / Stopwatch.GetElapsedTime(_wall).TotalSeconds, rows / (Environment.CpuUsage.TotalTime - _processor).TotalSeconds, loss);
}
