using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators;

/// <summary>
/// Evaluates models along a straight line or curve between two checkpoints (methods, C.4, C.9). Rows are encoded and batched once, and one
/// model is moved along the path in place. Text-to-text models are evaluated by their generated text.
/// </summary>
public sealed partial class CheckpointInterpolationEvaluator
{
    private readonly ComponentHost _host;
    private readonly Options _options;
    private readonly TextScoringTransformer _task;

    /// <summary>Creates an evaluator.</summary>
    /// <param name="context">The context.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
    public CheckpointInterpolationEvaluator(MLContext context, Options options)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(context, nameof(CheckpointInterpolationEvaluator));
        _options = options;
        _task = (options.Path?.Task ?? options.Task) == PathEnd.First ? options.First! : options.Second!;
    }

    /// <summary>Evaluates the path.</summary>
    /// <returns>The points by data set.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named), or a label is not
    /// one of the evaluated task.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, or a row cannot be encoded.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public InterpolationMetrics Evaluate()
    {
        using var scope = NewDisposeScope();
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        using ParameterPath? line = _options.Path is null
            ? new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task)
            : null;
        ParameterPath path = _options.Path ?? line!;
        var sets = new List<(string Name, JudgedRows Rows, List<RowsJudgement> Points)>();
        try
        {
            foreach ((string name, IDataView data) in _options.Sets)
            {
                sets.Add((name, Read(name, data), []));
            }

            using TextClassifier walker = path.CreateWalker();
            int decimals = _options.NumberOfPoints <= 1001 ? 3 : 15;
            double[] places = [.. Enumerable.Range(0, _options.NumberOfPoints).Select(i => Math.Round((double)i / (_options.NumberOfPoints - 1), decimals))];
            foreach ((int point, double place) in places.Index())
            {
                path.MoveTo(walker, place);
                foreach ((_, JudgedRows rows, List<RowsJudgement> points) in sets)
                {
                    cancellation.ThrowIfRequested();
                    points.Add(rows.Judge(walker, cancellation.Token));
                }

                _options.Progress?.Report((point + 1.0) / places.Length);
            }

            ClassifierSettings settings = _task.Classifier.Settings;
            return new()
            {
                Task = settings.Task.Length > 0 ? settings.Task : settings.TextToText?.Name ?? "",
                Metric = sets[0].Rows.MetricName,
                Sets = [.. sets.Select(set => Measure(set.Name, set.Rows.Numbers, places, set.Points))],
            };
        }
        finally
        {
            foreach ((_, JudgedRows rows, _) in sets)
            {
                rows.Dispose();
            }
        }
    }

    private JudgedRows Read(string name, IDataView data)
    {
        try
        {
            return new JudgedRows(data, _task, _options);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"Options.{name}: {error.Message}", error);
        }
    }

    private static InterpolationSet Measure(string name, int[] numbers, double[] places, List<RowsJudgement> judgements)
    {
        bool hasScores = judgements[0].Scores.Length > 0;
        return new()
        {
            Name = name,
            Rows = numbers,
            Points = [.. places.Select(Point)],
            Scores = hasScores ? [.. judgements.Select(judgement => judgement.Scores)] : [],
        };

        InterpolationPoint Point(double x, int point)
        {
            RowsJudgement here = judgements[point], before = judgements[Math.Max(0, point - 1)];
            long right = here.Scores.LongCount(score => score == 1);
            return new()
            {
                Set = name,
                X = x,
                Loss = here.Loss,
                Metric = here.Metric,
                Accuracy = hasScores ? right / (double)numbers.Length : double.NaN,
                ExpectedCalibrationError = here.Calibration?.ExpectedCalibrationError ?? double.NaN,
                BrierScore = here.Calibration?.BrierScore ?? double.NaN,
                AgreementWithFirst = here.Agreement(judgements[0]),
                AgreementWithSecond = here.Agreement(judgements[^1]),
                Right = right,
                Learnt = here.Learnt(before),
                Forgotten = before.Learnt(here),
            };
        }
    }
}
