using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp.Modules;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Measures pairs of ends: the line between them, a curve, a mixture; and planes through three.</summary>
internal sealed class PairMeasures(MLContext ml, StudyPlan plan, StudyData data, Ends ends, RunContext context)
{
    private readonly MLContext _ml = ml;
    private readonly StudyPlan _plan = plan;
    private readonly StudyData _data = data;
    private readonly CancellationToken _stop = context.CancellationToken;

    private int PointsOf(Pair pair) => pair.Experiment.Points ?? _plan.Points;

    /// <summary>The straight line, on the tasks of both ends, and what it forgets.</summary>
    public LineResult Line(Pair pair)
    {
        using TextScoringTransformer first = ends.Load(pair.First, context.FilesOf),
            second = ends.Load(pair.Second, context.FilesOf, first);
        CheckpointDistance distance = Distance(first.Classifier, second.Classifier);
        PathResult[] paths =
        [
            .. pair.Tasks.Select(task =>
                Measure(
                    pair,
                    task.Name,
                    distance,
                    new()
                    {
                        First = first,
                        Second = second,
                        Task = task.End,
                    },
                    isCurve: false
                )
            ),
        ];
        return new(paths, pair.Experiment.Knowledge ? Forgetting(pair, first, second) : null);
    }

    /// <summary>The plane through three ends, on the task of the first.</summary>
    public PlaneResult Plane(Plane plane)
    {
        using TextScoringTransformer first = ends.Load(plane.Ends[0], context.FilesOf),
            second = ends.Load(plane.Ends[1], context.FilesOf, first),
            third = ends.Load(plane.Ends[2], context.FilesOf, first);
        LossPlaneMetrics metrics = _ml.SkillLoc()
            .Connectivity.EvaluateLossPlane(
                new LossPlaneEvaluator.Options
                {
                    First = first,
                    Second = second,
                    Third = third,
                    Data = _data.Test(plane.Ends[0].Task),
                    Names =
                        plane.Ends.DistinctBy(end => end.Seed).Count() == 3
                            ? [.. plane.Ends.Select(end => FormattableString.Invariant($"seed {end.Seed}"))]
                            : null,
                    NumberOfPoints = plane.Plan.Points,
                    Margin = plane.Plan.Margin,
                    CancellationToken = _stop,
                }
            );
        metrics.Save(context.Files);
        return new(plane.Experiment.Name, plane.Method, plane.Plan.Name, metrics);
    }

    /// <summary>A curve between the ends.</summary>
    public PathResult Curve(Pair pair)
    {
        using TextScoringTransformer first = ends.Load(pair.First, context.FilesOf),
            second = ends.Load(pair.Second, context.FilesOf, first);
        using ParameterPath curve = FindCurve(pair, first, second, Path.Combine(context.State, "curve"));
        CheckpointDistance distance = Distance(first.Classifier, second.Classifier);
        return Measure(
            pair,
            pair.First.Task,
            distance,
            new()
            {
                First = first,
                Second = second,
                Path = curve,
            },
            isCurve: true
        );
    }

    /// <summary>Trains a curve, or reads it where that was done before the study was stopped.</summary>
    private ParameterPath FindCurve(Pair pair, TextScoringTransformer first, TextScoringTransformer second, string state)
    {
        string found = state + ".safetensors";
        if (File.Exists(found))
        {
            return ParameterPath.Load(found, first.Classifier, second.Classifier);
        }

        CurvePlan plan = _plan.Curves;
        ParameterPath curve = _ml.SkillLoc()
            .Connectivity.FindCurve(
                new()
                {
                    First = first,
                    Second = second,
                    ControlPoints = plan.Bends,
                    Start = plan.Start,
                    ValidationSet = _data.Dev(pair.First.Task),
                    EvaluationInterval = plan.EvaluationInterval,
                    MaxSteps = plan.Steps,
                    BatchSize = plan.BatchSize,
                    Optimizer = plan.Optimizer,
                    LearningRate = _plan.Methods[pair.Method].LearningRate * plan.LearningRateFactor,
                    Seed = plan.Seed,
                    StateFile = state,
                    Progress = context.Follow<CurveProgress>(at => new(at.Step, at.Steps, at.Loss)),
                    CancellationToken = _stop,
                }
            )
            .Train(TrainingRowsOf(pair));
        try
        {
            StopSignals.ThrowIfCut(state, _stop);
            curve.Save(found);
            return curve;
        }
        catch
        {
            curve.Dispose();
            throw;
        }
    }

    /// <summary>A mixture of the ends.</summary>
    public MixtureResult Mixture(Pair pair, MixtureGranularity granularity)
    {
        using TextScoringTransformer first = ends.Load(pair.First, context.FilesOf),
            second = ends.Load(pair.Second, context.FilesOf, first);
        CheckpointMixture mixture = FindMixture(pair, granularity, first, second, Path.Combine(context.State, $"{granularity}"));
        using var mixed = new TextScoringTransformer(mixture.CreateModel(), first.Columns);
        CalibrationMetrics quality = _ml.SkillLoc().EvaluateCalibration(mixed.Transform(_data.Test(pair.First.Task)));
        return new(
            pair.Experiment.Name,
            pair.Method,
            pair.Name,
            pair.First.Task,
            granularity,
            mixture.Groups.Count,
            mixture.Groups.Average(group => group.FirstShare),
            quality.Accuracy,
            quality.LogLoss
        );
    }

    /// <summary>Trains a mixture, or reads it where that was done before the study was stopped.</summary>
    private CheckpointMixture FindMixture(
        Pair pair,
        MixtureGranularity granularity,
        TextScoringTransformer first,
        TextScoringTransformer second,
        string state
    )
    {
        string found = state + ".safetensors";
        if (File.Exists(found))
        {
            return CheckpointMixture.Load(found, first.Classifier, second.Classifier);
        }

        MixturePlan plan = _plan.Mixtures;
        CheckpointMixture mixture = _ml.SkillLoc()
            .Connectivity.FindMixture(
                new()
                {
                    First = first,
                    Second = second,
                    Granularity = granularity,
                    InitialDeviation = plan.InitialDeviation,
                    ValidationSet = _data.Dev(pair.First.Task),
                    EvaluationInterval = plan.EvaluationInterval,
                    MaxSteps = plan.Steps,
                    BatchSize = plan.BatchSize,
                    LearningRate = plan.LearningRate,
                    Seed = plan.Seed,
                    StateFile = state,
                    CancellationToken = _stop,
                }
            )
            .Train(TrainingRowsOf(pair));
        StopSignals.ThrowIfCut(state, _stop);
        mixture.Save(found);
        return mixture;
    }

    /// <summary>The rows that either end learnt its task from; of ends with different tasks the first's.</summary>
    private IDataView TrainingRowsOf(Pair pair) =>
        _data.Train(pair.First.Task, pair.First.Rows == pair.Second.Rows ? pair.First.Rows : TrainingRows.All);

    private PathResult Measure(
        Pair pair,
        string task,
        CheckpointDistance distance,
        CheckpointInterpolationEvaluator.Options options,
        bool isCurve
    )
    {
        options.Test = _data.Test(task);
        options.NumberOfPoints = PointsOf(pair);
        options.CancellationToken = _stop;
        InterpolationMetrics metrics = _ml.SkillLoc().Connectivity.EvaluateInterpolation(options);
        metrics.Save(Path.Combine(context.Files, isCurve ? task + ", curve" : task));
        return new(
            pair.Experiment.Name,
            pair.Method,
            pair.Name,
            task,
            isCurve,
            metrics.Find(nameof(options.Test))!.Points,
            distance.L2,
            distance.MeanL2,
            distance.Cosine
        );
    }

    private ForgettingResult Forgetting(Pair pair, TextScoringTransformer first, TextScoringTransformer second)
    {
        InterpolationMetrics metrics = _ml.SkillLoc()
            .Connectivity.EvaluateInterpolation(
                new CheckpointInterpolationEvaluator.Options
                {
                    First = first,
                    Second = second,
                    Training = _data.Train(pair.First.Task, pair.First.Rows),
                    NumberOfPoints = _plan.KnowledgePoints,
                    CancellationToken = _stop,
                }
            );
        string folder = Path.Combine(context.Files, "knowledge");
        metrics.Save(folder);
        TrainingDynamics dynamics = ends.Dynamics(pair.First, context.FilesOf);
        ForgettingMetrics forgetting = _ml.SkillLoc().Connectivity.EvaluateForgetting(metrics.Sets[0], dynamics);
        forgetting.Save(Path.Combine(folder, "forgetting.txt"));
        IReadOnlyList<CartographyRow> map = dynamics.Map();
        return new(
            pair.Experiment.Name,
            pair.Method,
            pair.Name,
            map.Count,
            map.Average(row => row.Confidence),
            map.Average(row => row.Variability),
            map.Average(row => row.Correctness),
            map.Average(row => row.Turns),
            forgetting.Entries
        );
    }

    /// <summary>Of what tuning added, or else of all parameters that both ends have; heads of different tasks have other shapes.</summary>
    private static CheckpointDistance Distance(TextClassifier first, TextClassifier second)
    {
        IReadOnlyDictionary<string, Parameter> one = Parameters(first),
            other = Parameters(second);
        return CheckpointDistance.Of(
            from pair in one
            where other.TryGetValue(pair.Key, out Parameter? value) && value.shape.SequenceEqual(pair.Value.shape)
            select CheckpointDistance.Between(pair.Value, other[pair.Key])
        );

        static IReadOnlyDictionary<string, Parameter> Parameters(TextClassifier classifier) =>
            classifier.Settings.Tuning is null ? classifier.Parameters : classifier.TunedParameters;
    }
}
