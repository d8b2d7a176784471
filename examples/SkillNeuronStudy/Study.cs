using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tuning;
using SkillLoc.Studies;

namespace SkillLoc.SkillNeuronStudy;

/// <summary>
/// The protocol of the skill-neuron paper (Wang et al. 2022): for each task and seed tune a soft prompt and probe; for each task perturb and
/// prune what the seeds agree on; between tasks compare and transfer.
/// </summary>
public sealed class Study : IStudy
{
    private const string BetweenTasks = "between tasks";

    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly Lazy<IReadOnlyDictionary<string, TaskRows>> _rows;

    /// <param name="plan">The plan.</param>
    public Study(StudyPlan plan)
    {
        _plan = plan;
        _rows = new(() => plan.Tasks.ToDictionary(task => task.Name, plan.RowsOf, StringComparer.Ordinal));
    }

    /// <summary>How a plan of this study is opened.</summary>
    public static StudyKind Kind { get; } =
        new(
            "skill-neurons",
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

    /// <summary>Of each task one run for each seed, then four that need all of these: perturbation, two other tunings, pruning. At the end
    /// one between the tasks.</summary>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged.</exception>
    public IReadOnlyList<StudyRun> Plan()
    {
        string checkpoint;
        using (var model = LanguageModel.Load(_plan.Checkpoint))
        {
            checkpoint = model.Fingerprint();
        }

        var runs = new List<StudyRun>();
        foreach (StudyTask task in _plan.Tasks)
        {
            task.Find();
            var common = new
            {
                Base = checkpoint,
                Task = task,
                _plan.Tuning,
                Data = StudyJson.FingerprintOf(_rows.Value[task.Name]),
            };
            runs.AddRange(
                _plan.Seeds.Select(seed => new StudyRun(
                    NameOf(task, seed),
                    new { Common = common, Seed = seed },
                    context => new StudyResult([.. On(context).TuneAndProbe(task, seed)], [])
                )
                {
                    Seed = seed,
                })
            );
            string[] seeds = [.. _plan.Seeds.Select(seed => NameOf(task, seed))];
            runs.AddRange(
                Parts(task)
                    .Select(part => new StudyRun(part.Name, new { Common = common, part.Own }, context => part.Measure(On(context)))
                    {
                        After = seeds,
                    })
            );
        }

        runs.Add(new(BetweenTasks, new { _plan.TopFraction }, context => On(context).BetweenTasks()) { After = [.. SeedRuns()] });
        return runs;
    }

    /// <summary>All measurements and curves, in the order of the tables.</summary>
    /// <param name="results">What the runs measured.</param>
    public StudyResult Measurements(StudyResults results)
    {
        StudyResult[] parts =
        [
            .. SeedRuns()
                .Concat(_plan.Tasks.SelectMany(task => Parts(task).Select(part => part.Name)))
                .Append(BetweenTasks)
                .Select(results.Get<StudyResult>),
        ];
        return new([.. parts.SelectMany(part => part.Measurements)], [.. parts.SelectMany(part => part.Curves)]);
    }

    /// <summary>How many times faster each task's pruned model scored.</summary>
    /// <param name="results">What the runs measured.</param>
    public IReadOnlyDictionary<string, double> SpeedUps(StudyResults results) =>
        _plan.Tasks.ToDictionary(task => task.Name, task => results.Time($"{task.Name} pruned", Measures.SpeedUp), StringComparer.Ordinal);

    /// <inheritdoc/>
    public void Report(StudyResults results, string folder) => new Report(_plan, Measurements(results), SpeedUps(results)).Save(folder);

    /// <summary>The run that tunes a task's prompt with a seed.</summary>
    internal static string NameOf(StudyTask task, int seed) => $"{task.Name}-{seed}";

    private IEnumerable<string> SeedRuns() => _plan.Tasks.SelectMany(task => _plan.Seeds.Select(seed => NameOf(task, seed)));

    private NeuronMeasures On(RunContext context) => new(_ml, _plan, _rows.Value, context);

    private IEnumerable<Part> Parts(StudyTask task) =>
        [
            new($"{task.Name} perturbed", _plan.Perturbation, study => study.Perturb(task)),
            new(
                $"{task.Name} BitFit",
                _plan.Perturbation,
                study => study.PerturbOther(task, "BitFit", Measures.BitFit, new BitFitOptions(), _plan.Tuning.BiasLearningRate)
            ),
            new(
                $"{task.Name} adapter",
                _plan.Perturbation,
                study => study.PerturbOther(task, "adapter", Measures.Adapter, new AdapterOptions(), _plan.Tuning.AdapterLearningRate)
            ),
            new($"{task.Name} pruned", new { _plan.Pruning, _plan.Perturbation.Controls }, study => study.Prune(task)),
        ];

    private sealed record Part(string Name, object Own, Func<NeuronMeasures, StudyResult> Measure);
}
