using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Merging;
using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>For each seed: fine-tunes a model for each task and one for all, merges the former by each method, stitches their grafts, and
/// measures all on each task.</summary>
public sealed class Study : IStudy
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly Lazy<IReadOnlyList<KnownTask>> _tasks;

    /// <param name="plan">The plan.</param>
    public Study(StudyPlan plan)
    {
        _plan = plan;
        _tasks = new(() => [.. plan.Tasks.Select(task => new KnownTask(task, task.Find(), new StudyData(_ml, plan, task)))]);
    }

    /// <summary>How a plan of this study is opened.</summary>
    public static StudyKind Kind { get; } =
        new(
            "merging",
            request =>
            {
                var plan = StudyPlan.Load(request.Plan);
                return new Study(
                    plan with
                    {
                        Checkpoint = request.Checkpoint ?? plan.Checkpoint,
                        Data = request.Data ?? plan.Data,
                        Methods = StudyParts.Choose("method", plan.Methods, method => method.Title, request.Only),
                    }
                );
            }
        );

    /// <inheritdoc/>
    public string Name => Kind.Name;

    /// <inheritdoc/>
    public int Version => 1;

    /// <summary>Of each seed one run for each task's model, and one for each way to put them together.</summary>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged.</exception>
    /// <exception cref="ArgumentException">There is no such task or method.</exception>
    public IReadOnlyList<StudyRun> Plan()
    {
        foreach (MethodPlan method in _plan.Methods)
        {
            MethodOf(method);
        }

        using var model = LanguageModel.Load(_plan.Checkpoint);
        string checkpoint = model.Fingerprint();
        return [.. _plan.Seeds.SelectMany(seed => Models(seed, checkpoint).Concat(Merges(seed)))];
    }

    /// <summary>All measurements, in the order of the tables.</summary>
    /// <param name="results">What the runs measured.</param>
    public IReadOnlyList<Measurement> Measurements(StudyResults results) =>
        [
            .. _plan.Seeds.SelectMany(seed =>
                Parts().SelectMany(part => results.Get<IReadOnlyList<Measurement>>($"seed {seed}, {part.Title}"))
            ),
        ];

    /// <inheritdoc/>
    public void Report(StudyResults results, string folder) => new Report(_plan, Measurements(results)).Save(folder);

    /// <summary>The method of a plan.</summary>
    /// <exception cref="ArgumentException">There is no such method.</exception>
    internal static MergeMethod MethodOf(MethodPlan plan) =>
        MergeMethod.Find(plan.Method)
        ?? throw new ArgumentException(
            $"There is no method '{plan.Method}'; there are {string.Join(", ", MergeMethod.All.Select(method => method.Name))}."
        );

    private static string ModelOf(SplitTask task, int seed) => $"seed {seed}, model of {task.Name}";

    private IEnumerable<StudyRun> Models(int seed, string checkpoint) =>
        _tasks.Value.Select(
            (task, i) =>
                new StudyRun(
                    ModelOf(task.Plan, seed),
                    new
                    {
                        Base = checkpoint,
                        Seed = seed,
                        _plan.Training,
                        Data = task.Data.Fingerprint(),
                        Prompt = task.Prompt.ToString(),
                    },
                    context => Measures(seed, context, measures => measures.Train(i))
                )
                {
                    Seed = seed,
                    HasTemporaryFiles = true,
                }
        );

    private IEnumerable<StudyRun> Merges(int seed)
    {
        string[] models = [.. _plan.Tasks.Select(task => ModelOf(task, seed))];
        return Parts()
            .Select(part => new StudyRun(
                $"seed {seed}, {part.Title}",
                new { Seed = seed, part.Settings },
                context =>
                    Measures(
                        seed,
                        context,
                        measures =>
                        {
                            measures.Load(models);
                            return part.Measure(measures);
                        }
                    )
            )
            {
                Seed = seed,
                After = models,
            });
    }

    private T Measures<T>(int seed, RunContext context, Func<SeedMeasures, T> measure)
    {
        using var measures = new SeedMeasures(_ml, _plan, _tasks.Value, seed, context);
        return measure(measures);
    }

    private IEnumerable<Part> Parts()
    {
        yield return new("single models", "", measures => measures.Single("single models"));
        yield return new("pre-trained", "", measures => measures.PreTrained("pre-trained"));
        yield return new("multi-task", _plan.Training, measures => measures.MultiTask());
        foreach (MethodPlan method in _plan.Methods.Where(method => _plan.StatisticsRows > 0 || !MethodOf(method).NeedsStatistics))
        {
            yield return new(method.Title, new { Method = method, _plan.StatisticsRows }, measures => measures.Merged(method));
        }

        foreach (double sparsity in _plan.Grafts.Sparsities)
        {
            string title = FormattableString.Invariant($"stitched grafts, {100 * sparsity} %");
            yield return new(title, new { Grafts = _plan.Grafts, Sparsity = sparsity }, measures => measures.Stitched(title, sparsity));
        }
    }

    /// <summary>A way to put models together, with what its result depends on beside the models.</summary>
    private sealed record Part(string Title, object Settings, Func<SeedMeasures, object> Measure);
}
