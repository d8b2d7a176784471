using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Interpolation;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators;

/// <summary>
/// Walks from one checkpoint to another, on a straight line or a curve, and measures the models on the way (mode connectivity, C.4 and
/// C.9). Rows are encoded and grouped once for all points, one model moves in place, and every point scores every row once.
/// </summary>
public sealed partial class CheckpointInterpolationEvaluator
{
    private readonly MLContext _context;
    private readonly Options _options;
    private readonly TextScoringTransformer _task;

    /// <summary>Makes an evaluator.</summary>
    /// <param name="context">The context.</param>
    /// <param name="options">The ends, the rows, and what is to be measured.</param>
    /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
    public CheckpointInterpolationEvaluator(MLContext context, Options options)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _context = context;
        _options = options;
        _task = (options.Path?.Task ?? options.Task) == PathEnd.First ? options.First! : options.Second!;
    }

    /// <summary>Evaluates the path.</summary>
    /// <returns>Points by set.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named), or a label is
    /// none of the evaluated task's.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, or a row cannot be encoded.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public InterpolationMetrics Evaluate()
    {
        using var scope = NewDisposeScope();
        using ParameterPath? line = _options.Path is null
            ? new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task)
            : null;
        ParameterPath path = _options.Path ?? line!;
        (string Name, EncodedRows Rows)[] sets = [.. _options.Sets.Select(set => (set.Name, Read(set.Name, set.Data)))];
        using TextClassifier walker = path.CreateWalker();
        var batches = new List<ScoringBatch[]>();
        try
        {
            foreach ((_, EncodedRows rows) in sets)
            {
                batches.Add([.. walker.Batches(rows.Texts)]);
            }

            double[] places = [.. Enumerable.Range(0, _options.NumberOfPoints).Select(i => Math.Round((double)i / (_options.NumberOfPoints - 1), 3))];
            var scored = new ScoredRow[sets.Length][][];
            for (int set = 0; set < sets.Length; set++)
            {
                scored[set] = new ScoredRow[places.Length][];
            }

            for (int point = 0; point < places.Length; point++)
            {
                path.MoveTo(walker, places[point]);
                for (int set = 0; set < sets.Length; set++)
                {
                    float[][] scores = walker.Score(batches[set], _options.CancellationToken);
                    scored[set][point] = [.. scores.Zip(sets[set].Rows.Labels, (row, label) => ScoredRow.Of(label, row))];
                }

                _options.Progress?.Report((point + 1.0) / places.Length);
            }

            PromptMetric metric = _options.Metric ?? _task.Classifier.Settings.Metric;
            return new()
            {
                Task = _task.Classifier.Settings.Task,
                Metric = metric,
                Sets = [.. sets.Select((set, i) => Measure(set.Name, set.Rows, places, scored[i], metric))],
            };
        }
        finally
        {
            foreach (ScoringBatch batch in batches.SelectMany(set => set))
            {
                batch.Dispose();
            }
        }
    }

    private EncodedRows Read(string name, IDataView data)
    {
        try
        {
            return EncodedRows.Read(_context, data, _task, _options.LabelColumnName);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"Options.{name}: {error.Message}", error);
        }
    }

    private InterpolationSet Measure(string name, EncodedRows rows, double[] places, ScoredRow[][] scored, PromptMetric metric)
    {
        return new()
        {
            Name = name,
            Rows = rows.Numbers,
            Points = [.. places.Select(Point)],
            Right = [.. scored.Select(point => point.Select(row => row.IsRight).ToArray())],
        };

        InterpolationPoint Point(double x, int point)
        {
            ScoredRow[] here = scored[point], before = scored[Math.Max(0, point - 1)];
            CalibrationMetrics calibration = CalibrationMetrics.Of(here, _options.NumberOfBins);
            return new()
            {
                Set = name,
                X = x,
                Loss = calibration.LogLoss,
                Metric = ClassificationMetric.Evaluate(metric, rows.Labels, [.. here.Select(row => row.Predicted)]),
                Accuracy = calibration.Accuracy,
                ExpectedCalibrationError = calibration.ExpectedCalibrationError,
                BrierScore = calibration.BrierScore,
                AgreementWithFirst = Agreement(here, scored[0]),
                AgreementWithSecond = Agreement(here, scored[^1]),
                Right = here.LongCount(row => row.IsRight),
                Learnt = here.Zip(before).LongCount(pair => pair.First.IsRight && !pair.Second.IsRight),
                Forgotten = here.Zip(before).LongCount(pair => !pair.First.IsRight && pair.Second.IsRight),
            };
        }

        static double Agreement(ScoredRow[] one, ScoredRow[] other) =>
            one.Zip(other).Average(pair => pair.First.Predicted == pair.Second.Predicted ? 1.0 : 0.0);
    }
}
