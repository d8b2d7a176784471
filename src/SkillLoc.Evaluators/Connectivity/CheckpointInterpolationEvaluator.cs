using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Evaluators;

/// <summary>
/// Evaluates models along a straight line or curve between two checkpoints (methods, C.4, C.9). Rows are encoded and batched once, and one
/// model is moved along the path in place. Text-to-text models are evaluated by their generated text.
/// </summary>
public sealed class CheckpointInterpolationEvaluator
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
        _task = (options.Path?.Task ?? options.Task) == Endpoint.First ? options.First! : options.Second!;
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
        using DisposeScope scope = NewDisposeScope();
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        using ParameterPath? line = _options.Path is null
            ? new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task)
            : null;
        ParameterPath path = _options.Path ?? line!;
        var sets = new List<(string Name, EvaluationRows Rows, List<RowsEvaluation> Points)>();
        try
        {
            foreach ((string name, IDataView data) in _options.Sets)
            {
                sets.Add((name, Read(name, data), []));
            }

            using TextClassifier interpolated = path.CreateWalker(_options.Precision);
            int decimals = _options.NumberOfPoints <= 1001 ? 3 : 15;
            double[] places =
            [
                .. Enumerable
                    .Range(0, _options.NumberOfPoints)
                    .Select(i => Math.Round((double)i / (_options.NumberOfPoints - 1), decimals)),
            ];
            foreach ((int point, double place) in places.Index())
            {
                path.MoveTo(interpolated, place);
                foreach ((_, EvaluationRows rows, List<RowsEvaluation> points) in sets)
                {
                    cancellation.ThrowIfRequested();
                    points.Add(rows.Evaluate(interpolated, cancellation.Token));
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
            foreach ((_, EvaluationRows rows, _) in sets)
            {
                rows.Dispose();
            }
        }
    }

    private EvaluationRows Read(string name, IDataView data)
    {
        try
        {
            return new EvaluationRows(data, _task, _options.LabelColumnName, _options.Metric, _options.NumberOfBins);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"Options.{name}: {error.Message}", error);
        }
    }

    private static InterpolationSet Measure(string name, int[] numbers, double[] places, List<RowsEvaluation> judgements)
    {
        bool hasScores = judgements[0].Scores.Length > 0;
        return new()
        {
            Name = name,
            Rows = numbers,
            Points = [.. places.Select(Point)],
            Scores = hasScores ? [.. judgements.Select(judgement => judgement.Scores)] : [],
            Calibration = [.. judgements.Select(judgement => judgement.Calibration).OfType<CalibrationMetrics>()],
            SmoothCalibrationErrors =
            [
                .. judgements.Where(judgement => judgement.Calibration is not null).Select(judgement => judgement.SmoothCalibrationError),
            ],
        };

        InterpolationPoint Point(double x, int point)
        {
            RowsEvaluation here = judgements[point],
                before = judgements[Math.Max(0, point - 1)];
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

    /// <summary>Options for <see cref="CheckpointInterpolationEvaluator"/>.</summary>
    public sealed class Options
    {
        /// <summary>The first endpoint, at 0: fine-tuned, tuned by a method, or grafted. It is not changed.</summary>
        public TextScoringTransformer? First;

        /// <summary>The model at 1, of the same architecture, kind of tokenizer and tuning method. It stays as it is.</summary>
        public TextScoringTransformer? Second;

        /// <summary>A curve between the two, owned by the caller; null (default) for the straight line.</summary>
        public ParameterPath? Path;

        /// <summary>The endpoint whose task is evaluated on a straight line, if labels differ (methods, C.9). A <see cref="Path"/> has its
        /// own.</summary>
        public Endpoint Task;

        /// <summary>Number of points including both endpoints, 2 or more; 26 by default. x = i / (points - 1), rounded to three decimals if
        /// these distinguish the points (methods, C.4).</summary>
        public int NumberOfPoints = 26;

        /// <summary>Validation rows, which fill the dev columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Validation;

        /// <summary>Test rows, which fill the test columns of <c>result.csv</c>; null for none.</summary>
        public IDataView? Test;

        /// <summary>Training rows, for measuring what is forgotten along the path (methods, C.6); null for none.</summary>
        public IDataView? Training;

        /// <summary>The true label: a key, compared by value if it has values, or a text; a Single for a regression; for free text, the
        /// answers as a text or vector of texts (<c>Answers</c> from <c>LoadTextToText</c>).</summary>
        public string LabelColumnName = "Label";

        /// <summary>The metric of a classification; null (default) for that of the task. Regressions use Pearson's correlation, and
        /// generated text the task's metric.</summary>
        public PromptMetric? Metric;

        /// <summary>Number of confidence bins, 1 or more; 15 by default, as in Guo et al. (2017).</summary>
        public int NumberOfBins = 15;

        /// <summary>The arithmetic of the passes; float32 by default. The ends, too, are measured in it.</summary>
        public Precision Precision;

        /// <summary>Receives the completed share of the work, from 0 to 1.</summary>
        public IProgress<double>? Progress;

        /// <summary>Cancels the evaluation with an <see cref="OperationCanceledException"/>, as does cancelling the context's
        /// execution.</summary>
        public CancellationToken CancellationToken;

        /// <summary>The given views by name of their set.</summary>
        internal IEnumerable<(string Name, IDataView Data)> Sets =>
            from set in new[]
            {
                (Name: nameof(Validation), Data: Validation),
                (Name: nameof(Test), Data: Test),
                (Name: nameof(Training), Data: Training),
            }
            where set.Data is not null
            select (set.Name, set.Data);

        /// <exception cref="ArgumentException">An option is missing, out of its range, or does not go with another.</exception>
        internal void Check()
        {
            if (First is null || Second is null)
            {
                throw new ArgumentException($"Options.{nameof(First)} and Options.{nameof(Second)} must be given.");
            }

            if (!Sets.Any())
            {
                throw new ArgumentException(
                    $"One of Options.{nameof(Validation)}, Options.{nameof(Test)} and Options.{nameof(Training)} must be given."
                );
            }

            if (NumberOfPoints < 2)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(NumberOfPoints),
                    NumberOfPoints,
                    $"Options.{nameof(NumberOfPoints)} must be 2 or more, as both ends are points."
                );
            }

            ArgumentOutOfRangeException.ThrowIfLessThan(NumberOfBins, 1);
            _ = Precision.ToScalarType();
            if (Path is not null && (!ReferenceEquals(Path.First, First.Classifier) || !ReferenceEquals(Path.Second, Second.Classifier)))
            {
                throw new ArgumentException(
                    $"Options.{nameof(Path)} must lead from Options.{nameof(First)} to Options.{nameof(Second)}; it has other ends."
                );
            }
        }
    }
}

/// <summary>The labelled rows of a data set, encoded and batched once, with the evaluation of a task.</summary>
internal sealed class EvaluationRows : IDisposable
{
    private readonly EncodedDataset _rows;
    private readonly TextTask _task;
    private readonly ScoringBatch[] _batches;
    private readonly int _bins;
    private readonly Dictionary<object, int> _predictions = [];

    /// <summary>Reads a view for the evaluated task.</summary>
    /// <param name="data">The rows.</param>
    /// <param name="task">A model of the task.</param>
    /// <param name="labelColumnName">The true label.</param>
    /// <param name="metric">The metric; null for the task's.</param>
    /// <param name="numberOfBins">Number of confidence bins; 0 measures no calibration.</param>
    /// <exception cref="ArgumentException">A column is missing or of another type, a label is not one of the task's, or the metric does not
    /// match the task.</exception>
    /// <exception cref="InvalidOperationException">There are no labelled rows, one cannot be encoded, or a score is outside its
    /// range.</exception>
    public EvaluationRows(IDataView data, TextScoringTransformer task, string labelColumnName, PromptMetric? metric, int numberOfBins)
    {
        _task = task.Classifier.Task.WithMetric(metric);
        _rows = EncodedDataset.Read(data, task.Columns, labelColumnName, task.Classifier, "data");
        _batches = [.. task.Classifier.Batches(_rows.Texts)];
        _bins = numberOfBins;
    }

    /// <summary>The rows' zero-based numbers in their view.</summary>
    public int[] Numbers => _rows.Numbers;

    /// <summary>The name of the metric, as in the files of the paper's code.</summary>
    public string MetricName => _task.MetricName;

    /// <summary>Runs a model over the rows.</summary>
    /// <param name="model">A model with the task and encoder for which the rows were read.</param>
    /// <param name="cancellation">Stops between batches.</param>
    public RowsEvaluation Evaluate(TextClassifier model, CancellationToken cancellation)
    {
        TaskEvaluation evaluation = _task.Evaluate(model, _batches, _rows.Targets, cancellation);
        MeasuredRow[]? measured =
            evaluation.Probabilities is null || _bins == 0
                ? null
                : [.. evaluation.Probabilities.Select((row, i) => MeasuredRow.Of(_rows.Targets[i].Label, row))];
        return new(evaluation.Loss, evaluation.Metric, evaluation.Scores, Array.ConvertAll(evaluation.Predictions, Number))
        {
            Calibration = measured is null ? null : CalibrationMetrics.Of(measured, _bins),
            SmoothCalibrationError = measured is null ? double.NaN : SmoothCalibrationMetrics.Of(measured, 0, 0).Error,
        };
    }

    public void Dispose()
    {
        foreach (ScoringBatch batch in _batches)
        {
            batch.Dispose();
        }
    }

    private int Number(object prediction)
    {
        if (!_predictions.TryGetValue(prediction, out int number))
        {
            _predictions.Add(prediction, number = _predictions.Count);
        }

        return number;
    }
}

/// <summary>The evaluation of one model on the rows of a set.</summary>
/// <param name="Loss">The mean loss, in nats.</param>
/// <param name="Metric">The task's metric.</param>
/// <param name="Scores">The score of each row from 0 to 1, where 1 is correct; empty for tasks without such scores.</param>
/// <param name="Predictions">For each row a number that identifies the prediction; empty for regressions.</param>
internal sealed record RowsEvaluation(double Loss, double Metric, float[] Scores, int[] Predictions)
{
    /// <summary>The calibration of the probabilities; null if there are none.</summary>
    public CalibrationMetrics? Calibration { get; init; }

    /// <summary>smECE; NaN if there are no probabilities.</summary>
    public double SmoothCalibrationError { get; init; } = double.NaN;

    /// <summary>The fraction of rows with the same prediction as another model; NaN without predictions.</summary>
    public double Agreement(RowsEvaluation other) =>
        Predictions.Length == 0
            ? double.NaN
            : Predictions.Zip(other.Predictions).Count(pair => pair.First == pair.Second) / (double)Predictions.Length;

    /// <summary>Number of rows that are correct here but were not before.</summary>
    public long Learnt(RowsEvaluation before) => Scores.Zip(before.Scores).LongCount(pair => pair.First == 1 && pair.Second != 1);
}
