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

/// <summary>
/// The experiments on mode connectivity (Qin et al. 2022, Exploring Mode Connectivity for Pre-trained Language Models): train ends that
/// differ in
/// one respect, walk on the straight line between them, and put curves in place of the worst lines.
/// </summary>
public sealed class Study
{
    /// <summary>The folder of the output that ends are in.</summary>
    internal const string EndsFolder = "ends";

    /// <summary>The folder of the output that pre-trained bases are in.</summary>
    internal const string BasesFolder = "bases";

    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly string _output;
    private readonly StudyFolder _folder;
    private readonly StudyData _data;
    private readonly Bases _bases;
    private readonly Ends _ends;
    private readonly CancellationToken _stop;

    /// <param name="plan">The plan.</param>
    /// <param name="output">The folder of what is done.</param>
    /// <param name="stop">Stops the study at its next step.</param>
    /// <exception cref="IOException">A data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">A data set is damaged or too small.</exception>
    public Study(StudyPlan plan, string output, CancellationToken stop = default)
    {
        _plan = plan;
        _stop = stop;
        _output = output;
        _data = new(_ml, plan);
        _folder = new(output, stop);
        _bases = new(plan, Path.Combine(output, BasesFolder), stop);
        _ends = new(_ml, plan, _data, _bases, Path.Combine(output, EndsFolder), stop);
    }

    /// <summary>Measures what is not measured yet.</summary>
    /// <returns>All measurements.</returns>
    /// <exception cref="InvalidDataException">The folder holds parts of another study.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; the next time it goes on from there.</exception>
    public StudyResult Run()
    {
        var lines = new List<(Pair Pair, LineResult Result)>();
        foreach (Pair pair in _plan.Experiments.SelectMany(Pairs))
        {
            string fingerprint = Fingerprint(pair, _plan.KnowledgePoints, pair.Experiment.Knowledge, PointsOf(pair));
            lines.Add((pair, _folder.Get(pair.FileName, fingerprint, _ => Line(pair))));
        }

        // Experiments may have pairs in common.
        Pair[][] worst =
        [
            .. lines
                .DistinctBy(line => (line.Pair.First, line.Pair.Second))
                .GroupBy(line => line.Pair.Method, StringComparer.Ordinal)
                .Select(method => method.OrderByDescending(line => line.Result.Paths[0].LossBarrier).Select(line => line.Pair).ToArray()),
        ];
        var curves = new List<PathResult>();
        foreach (Pair pair in worst.SelectMany(method => method.Take(_plan.Curves.Lines)))
        {
            curves.Add(
                _folder.Get(pair.FileName + ", curve", Fingerprint(pair, _plan.Curves, PointsOf(pair)), state => Curve(pair, state))
            );
        }

        var mixtures = new List<MixtureResult>();
        foreach (Pair pair in worst.SelectMany(method => method.Take(_plan.Mixtures.Lines)))
        {
            mixtures.AddRange(
                _folder.Get<IReadOnlyList<MixtureResult>>(
                    pair.FileName + ", mixtures",
                    Fingerprint(pair, _plan.Mixtures),
                    state => [.. _plan.Mixtures.Granularities.Select(granularity => Mixture(pair, granularity, state))]
                )
            );
        }

        return new(
            [.. lines.SelectMany(line => line.Result.Paths), .. curves],
            [.. lines.Select(line => line.Result.Forgetting).OfType<ForgettingResult>()],
            mixtures,
            _bases.Made
        );
    }

    private IEnumerable<Pair> Pairs(ExperimentPlan experiment) =>
        from method in experiment.Methods
        from steps in experiment.Bases.Count == 0 ? [null] : experiment.Bases.Select(steps => (int?)steps)
        from pair in experiment.Pairs
        let usual = steps is null ? experiment.Both : experiment.Both with { PretrainingSteps = steps }
        select new Pair(
            experiment,
            method,
            steps is null ? pair.Name : $"{pair.Name} after {steps} steps",
            EndSettings.Of(pair.First.Or(usual), method, _plan),
            EndSettings.Of(pair.Second.Or(usual), method, _plan)
        );

    private string Fingerprint(Pair pair, params object[] measured) =>
        StudyJson.FingerprintOf([
            _ends.Fingerprint(pair.First),
            _ends.Fingerprint(pair.Second),
            _data.Fingerprint(pair.First.Task),
            _data.Fingerprint(pair.Second.Task),
            .. measured,
        ]);

    private int PointsOf(Pair pair) => pair.Experiment.Points ?? _plan.Points;

    private LineResult Line(Pair pair)
    {
        using TextScoringTransformer first = _ends.Load(pair.First),
            second = _ends.Load(pair.Second, first);
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

    private PathResult Curve(Pair pair, string state)
    {
        using TextScoringTransformer first = _ends.Load(pair.First),
            second = _ends.Load(pair.Second, first);
        using ParameterPath curve = FindCurve(pair, first, second, Path.Combine(state, "curve"));
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
                    CancellationToken = _stop,
                }
            )
            .Fit(TrainingRowsOf(pair));
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

    private MixtureResult Mixture(Pair pair, MixtureGranularity granularity, string state)
    {
        using TextScoringTransformer first = _ends.Load(pair.First),
            second = _ends.Load(pair.Second, first);
        CheckpointMixture mixture = FindMixture(pair, granularity, first, second, Path.Combine(state, $"{granularity}"));
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
            .Fit(TrainingRowsOf(pair));
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
        Save(metrics, pair, isCurve ? task + ", curve" : task);
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
        string folder = Save(metrics, pair, "knowledge");
        TrainingDynamics dynamics = _ends.Dynamics(pair.First);
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

    /// <summary>Writes a path's files in the layout of the paper's code, in place of those of a study that stopped at this path.</summary>
    private string Save(InterpolationMetrics metrics, Pair pair, string name)
    {
        string folder = Path.Combine(_output, pair.Experiment.Name, pair.Method, pair.Name, name);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        metrics.Save(folder);
        return folder;
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

    private sealed record LineResult(IReadOnlyList<PathResult> Paths, ForgettingResult? Forgetting);

    private sealed record Pair(ExperimentPlan Experiment, string Method, string Name, EndSettings First, EndSettings Second)
    {
        public string FileName => $"{Experiment.Name}-{Method}-{Name}";

        /// <summary>The tasks that the line is measured on: of each end its own.</summary>
        public IEnumerable<(string Name, Endpoint End)> Tasks =>
            First.Task == Second.Task ? [(First.Task, Endpoint.First)] : [(First.Task, Endpoint.First), (Second.Task, Endpoint.Second)];
    }
}
