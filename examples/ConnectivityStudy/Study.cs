using Microsoft.ML;
using SkillLoc.Models.Connectivity;
using SkillLoc.Studies;

namespace SkillLoc.ConnectivityStudy;

/// <summary>
/// The experiments on mode connectivity (Qin et al. 2022, Exploring Mode Connectivity for Pre-trained Language Models): train ends that
/// differ in one respect, walk on the straight line between them, and put curves in place of the worst lines.
/// </summary>
public sealed class Study : IStudy
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly Bases _bases;
    private readonly Lazy<StudyData> _data;
    private readonly Lazy<Ends> _ends;

    /// <param name="plan">The plan.</param>
    public Study(StudyPlan plan)
    {
        _plan = plan;
        _bases = new(plan);
        _data = new(() => new StudyData(_ml, plan));
        _ends = new(() => new Ends(_ml, plan, _data.Value, _bases));
    }

    /// <summary>How a plan of this study is opened.</summary>
    public static StudyKind Kind { get; } =
        new(
            "connectivity",
            request =>
            {
                StudyPlan plan = StudyPlan.Load(request.Plan).Only(request.Only);
                return new Study(plan with { Checkpoint = request.Checkpoint ?? plan.Checkpoint, Data = request.Data ?? plan.Data });
            }
        );

    /// <inheritdoc/>
    public string Name => Kind.Name;

    /// <inheritdoc/>
    public int Version => 1;

    /// <summary>One run for each base, end, end's cartography and line; then for each method as many as curves and mixtures are
    /// wanted, which choose the worst lines by what those measured.</summary>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged or too small.</exception>
    public IReadOnlyList<StudyRun> Plan()
    {
        Pair[] pairs = [.. Pairs()];
        Plane[] planes = [.. Planes()];
        EndSettings[] ends =
        [
            .. pairs
                .SelectMany(pair => new[] { pair.First, pair.Second })
                .Concat(planes.SelectMany(plane => plane.Ends))
                .DistinctBy(Ends.NameOf),
        ];
        return
        [
            .. ends.Select(end => end.PretrainingSteps).OfType<int>().Distinct().Order().Select(BaseRun),
            .. ends.Select(end => EndRun(Ends.NameOf(end), end, context => _ends.Value.Train(end, context))),
            .. pairs
                .Where(pair => pair.Experiment.Knowledge)
                .Select(pair => pair.First)
                .DistinctBy(Ends.NameOf)
                .Select(end => EndRun(Ends.CartographyOf(end), end, context => _ends.Value.Record(end, context))),
            .. pairs.Select(LineRun),
            .. planes.Select(PlaneRun),
            .. Methods().SelectMany(CurveRuns),
            .. Methods().SelectMany(MixtureRuns),
        ];
    }

    /// <summary>All measurements, in the order of the tables.</summary>
    /// <param name="results">What the runs measured.</param>
    public StudyResult Measurements(StudyResults results)
    {
        LineResult[] lines = [.. Pairs().Select(pair => results.Get<LineResult>(pair.Line))];
        return new(
            [.. lines.SelectMany(line => line.Paths), .. CurveNames().Select(results.Get<PathResult>)],
            [.. lines.Select(line => line.Forgetting).OfType<ForgettingResult>()],
            [.. Methods().SelectMany(MixtureNames).Select(mixture => results.Get<MixtureResult>(mixture.Name))],
            [
                .. Pairs()
                    .SelectMany(pair => new[] { pair.First.PretrainingSteps, pair.Second.PretrainingSteps })
                    .OfType<int>()
                    .Distinct()
                    .Order()
                    .Select(steps => results.Get<BaseResult>(Bases.NameOf(steps))),
            ],
            [.. Planes().Select(plane => results.Get<PlaneResult>(plane.Run))]
        );
    }

    /// <summary>Writes the tables, and each path's files in the layout of the paper's code.</summary>
    /// <inheritdoc/>
    public void Report(StudyResults results, string folder)
    {
        new Report(_plan, Measurements(results)).Save(folder);
        foreach (Pair pair in Pairs())
        {
            Copy(results.FilesOf(pair.Line), Path.Combine(folder, pair.Experiment.Name, pair.Method, pair.Name));
        }

        foreach (Plane plane in Planes())
        {
            Copy(results.FilesOf(plane.Run), Path.Combine(folder, plane.Experiment.Name, plane.Method, plane.Plan.Name));
        }

        foreach (string name in CurveNames())
        {
            PathResult curve = results.Get<PathResult>(name);
            Copy(results.FilesOf(name), Path.Combine(folder, curve.Experiment, curve.Method, curve.Pair));
        }
    }

    private IEnumerable<Pair> Pairs() => _plan.Experiments.SelectMany(experiment => Pair.Of(experiment, _plan));

    private IEnumerable<Plane> Planes() => _plan.Experiments.SelectMany(experiment => Plane.Of(experiment, _plan));

    /// <summary>The lines of each method; experiments may have pairs in common.</summary>
    private IEnumerable<IGrouping<string, Pair>> Methods() =>
        Pairs().DistinctBy(pair => (pair.First, pair.Second)).GroupBy(pair => pair.Method, StringComparer.Ordinal);

    private static IEnumerable<int> Worst(IGrouping<string, Pair> method, int lines) =>
        Enumerable.Range(0, Math.Min(lines, method.Count()));

    private static string CurveOf(IGrouping<string, Pair> method, int place) => $"{method.Key}, curve {place + 1}";

    private IEnumerable<string> CurveNames() =>
        Methods().SelectMany(method => Worst(method, _plan.Curves.Lines).Select(place => CurveOf(method, place)));

    private IEnumerable<(string Name, int Place, MixtureGranularity Granularity)> MixtureNames(IGrouping<string, Pair> method) =>
        from place in Worst(method, _plan.Mixtures.Lines)
        from granularity in _plan.Mixtures.Granularities
        select ($"{method.Key}, mixture {place + 1} of each {granularity}", place, granularity);

    private int PointsOf(Pair pair) => pair.Experiment.Points ?? _plan.Points;

    private PairMeasures On(RunContext context) => new(_ml, _plan, _data.Value, _ends.Value, context);

    private StudyRun BaseRun(int steps) => new(Bases.NameOf(steps), _bases.SettingsOf(steps), context => _bases.Pretrain(steps, context));

    private StudyRun EndRun(string name, EndSettings end, Func<RunContext, EndSettings> execute) =>
        new(name, _ends.Value.SettingsOf(end), execute) { Seed = end.Seed, After = [.. Bases.RunsOf(end.PretrainingSteps)] };

    private StudyRun LineRun(Pair pair) =>
        new(
            pair.Line,
            new
            {
                Data = DataOf(pair),
                Points = PointsOf(pair),
                Knowledge = pair.Experiment.Knowledge ? _plan.KnowledgePoints : 0,
            },
            context => On(context).Line(pair)
        )
        {
            After = [.. EndsOf(pair), .. pair.Experiment.Knowledge ? [Ends.CartographyOf(pair.First)] : Array.Empty<string>()],
        };

    private StudyRun PlaneRun(Plane plane) =>
        new(
            plane.Run,
            new
            {
                Data = _data.Value.Fingerprint(plane.Ends[0].Task),
                plane.Plan.Points,
                plane.Plan.Margin,
            },
            context => On(context).Plane(plane)
        )
        {
            After = [.. plane.Ends.SelectMany(end => Bases.RunsOf(end.PretrainingSteps).Append(Ends.NameOf(end))).Distinct()],
        };

    private IEnumerable<StudyRun> CurveRuns(IGrouping<string, Pair> method) =>
        Worst(method, _plan.Curves.Lines)
            .Select(place => new StudyRun(
                CurveOf(method, place),
                new { _plan.Curves, Place = place },
                context => On(context).Curve(WorstOf(method, place, context))
            )
            {
                Seed = _plan.Curves.Seed,
                After = AllOf(method),
            });

    private IEnumerable<StudyRun> MixtureRuns(IGrouping<string, Pair> method) =>
        MixtureNames(method)
            .Select(mixture => new StudyRun(
                mixture.Name,
                new { Mixtures = _plan.Mixtures with { Granularities = [mixture.Granularity] }, mixture.Place },
                context => On(context).Mixture(WorstOf(method, mixture.Place, context), mixture.Granularity)
            )
            {
                Seed = _plan.Mixtures.Seed,
                After = AllOf(method),
            });

    /// <summary>The lines with the highest barriers come first.</summary>
    private static Pair WorstOf(IGrouping<string, Pair> method, int place, RunContext context) =>
        method.OrderByDescending(pair => context.Result<LineResult>(pair.Line).Paths[0].LossBarrier).ElementAt(place);

    private string[] DataOf(Pair pair) => [_data.Value.Fingerprint(pair.First.Task), _data.Value.Fingerprint(pair.Second.Task)];

    private static IEnumerable<string> EndsOf(Pair pair) =>
        new[] { pair.First, pair.Second }.SelectMany(end => Bases.RunsOf(end.PretrainingSteps).Append(Ends.NameOf(end))).Distinct();

    private static IReadOnlyList<string> AllOf(IGrouping<string, Pair> method) =>
        [.. method.SelectMany(EndsOf).Distinct(), .. method.Select(pair => pair.Line)];

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }
    }
}
