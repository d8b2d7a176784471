using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.GraftingStudy;

/// <summary>The protocol of the grafting paper: for each task, number of shots and seed, fine-tune, graft, and measure beside
/// baselines.</summary>
public sealed class Study : IStudy
{
    private readonly MLContext _ml = new();
    private readonly StudyPlan _plan;
    private readonly StudyPlan _asked;
    private readonly Lazy<StudyData> _data;
    private readonly Lazy<IReadOnlyList<PromptTask>> _ownTasks;

    /// <param name="plan">The plan.</param>
    /// <param name="only">The tasks that are wanted; none for all. Others are measured on where tasks name them.</param>
    /// <exception cref="ArgumentException">The plan has no such task.</exception>
    public Study(StudyPlan plan, params IReadOnlyList<string> only)
    {
        _plan = plan;
        _asked = plan.Only(only);
        _data = new(() => new StudyData(_ml, plan));
        _ownTasks = new(() => plan.TaskFile is null ? [] : PromptTasks.Load(plan.TaskFile));
    }

    /// <summary>How a plan of this study is opened.</summary>
    public static StudyKind Kind { get; } =
        new(
            "grafting",
            request =>
            {
                var plan = StudyPlan.Load(request.Plan);
                return new Study(
                    plan with
                    {
                        Checkpoint = request.Checkpoint ?? plan.Checkpoint,
                        Data = request.Data ?? plan.Data,
                    },
                    request.Only
                );
            }
        );

    /// <inheritdoc/>
    public string Name => Kind.Name;

    /// <inheritdoc/>
    public int Version => 1;

    /// <summary>Of each cell one run that fine-tunes, two for other tunings, one for each sparsity of either mask, and one for all that
    /// takes no training.</summary>
    /// <exception cref="IOException">The checkpoint or a data set cannot be read.</exception>
    /// <exception cref="InvalidDataException">The checkpoint or a data set is damaged, or has too few rows.</exception>
    public IReadOnlyList<StudyRun> Plan()
    {
        string checkpoint;
        using (var model = LanguageModel.Load(_plan.Checkpoint))
        {
            checkpoint = model.Fingerprint();
        }

        // What cannot be drawn is better known now than hours later.
        foreach (Cell cell in Cells())
        {
            TaskOf(cell.Task);
            _data.Value.CheckShots(cell.Task, cell.Shots, cell.Seed);
        }

        return [.. Cells().SelectMany(cell => Runs(cell, checkpoint))];
    }

    /// <summary>All measurements, in the order of the tables.</summary>
    /// <param name="results">What the runs measured.</param>
    public IReadOnlyList<Measurement> Measurements(StudyResults results) =>
        [
            .. Cells()
                .SelectMany(cell => Parts(cell).Select(part => part.Name))
                .SelectMany(name => results.Get<IReadOnlyList<Measurement>>(name)),
        ];

    /// <inheritdoc/>
    public void Report(StudyResults results, string folder) => new Report(_asked, Measurements(results)).Save(folder);

    private IEnumerable<Cell> Cells() =>
        from task in _asked.Tasks
        from shots in task.Shots ?? _plan.Shots
        from seed in _plan.Seeds
        select new Cell(task, shots, seed);

    private IEnumerable<StudyRun> Runs(Cell cell, string checkpoint)
    {
        var common = new
        {
            Base = checkpoint,
            cell.Task,
            cell.Shots,
            _plan.FineTuning,
            _plan.TestRows,
            _plan.SplitSeed,
            Data = _data.Value.Fingerprint(cell.Task),
            Others = _plan
                .Tasks.Where(other => cell.Task.OutOfDistribution.Contains(other.Name))
                .ToDictionary(other => other.Name, other => _data.Value.TestFingerprint(other)),
            Template = TaskOf(cell.Task).ToString(),
        };
        return Parts(cell)
            .Select(part => new StudyRun(
                part.Name,
                new { Common = common, part.Own },
                context =>
                {
                    string? model = part.Name == cell.FineTuned ? null : Path.Combine(context.FilesOf(cell.FineTuned), "model");
                    using var measures = new CellMeasures(_ml, _plan, _data.Value, cell, TaskOf(cell.Task), context, model);
                    return part.Measure(measures, context).ToArray();
                }
            )
            {
                Seed = cell.Seed,
                After = part.Name == cell.FineTuned ? [] : [cell.FineTuned],
                HasTemporaryFiles = part.Name == cell.FineTuned,
            });
    }

    private IEnumerable<Part> Parts(Cell cell)
    {
        yield return new(cell.FineTuned, new { cell.Seed }, FineTuned);
        yield return new($"{cell.Name} BitFit", new { cell.Seed }, BitFit);
        yield return new($"{cell.Name} LoRA", new { cell.Seed }, Lora);
        foreach ((string name, bool isHeld) in new[] { ("graft", true), ("graft, grown", false) })
        {
            foreach (double sparsity in _plan.Sparsities)
            {
                yield return new(
                    $"{cell.Name} {name} {sparsity}",
                    new
                    {
                        cell.Seed,
                        _plan.Masks,
                        Sparsity = sparsity,
                    },
                    (measures, _) => measures.Sweep(name, [sparsity], options => options.WithinSparsity = isHeld)
                );
            }
        }

        yield return new(
            $"{cell.Name} without training",
            new
            {
                cell.Seed,
                _plan.Sparsities,
                _plan.RandomDraws,
            },
            (measures, _) => WithoutTraining(measures, cell.Seed)
        );
    }

    private static IEnumerable<Measurement> FineTuned(CellMeasures cell, RunContext context)
    {
        using (TextScoringTransformer preTrained = cell.FineTune(options => options.Epochs = 0))
        {
            yield return cell.Measure("pre-trained", preTrained, 0);
        }

        yield return cell.Measure("fine-tuned", cell.Tuned, cell.Considered);
        yield return cell.Temperature();
        cell.Tuned.SaveCheckpoint(Path.Combine(context.Files, "model"));
    }

    private IEnumerable<Measurement> BitFit(CellMeasures cell, RunContext context)
    {
        using TextScoringTransformer biases = cell.FineTune(options =>
        {
            options.BiasOnly = true;
            options.LearningRate = _plan.FineTuning.BiasLearningRate;
        });
        yield return cell.Measure("BitFit", biases, CellMeasures.Trained(biases));
    }

    private IEnumerable<Measurement> Lora(CellMeasures cell, RunContext context)
    {
        using TextScoringTransformer lora = cell.FineTune(options =>
        {
            options.Tuning = new LoraOptions();
            options.LearningRate = _plan.FineTuning.LoraLearningRate;
        });
        yield return cell.Measure("LoRA", lora, lora.Classifier.TunedParameters.Values.Sum(parameter => parameter.numel()));
    }

    private IEnumerable<Measurement> WithoutTraining(CellMeasures cell, int seed)
    {
        IEnumerable<Measurement> moved = Sweep("top movement", _ => { }),
            tickets = Sweep("lottery ticket", options => options.Outside = GraftOutside.Zero),
            random = Enumerable
                .Range(0, _plan.RandomDraws)
                .SelectMany(draw =>
                    Sweep(
                        "random mask",
                        options =>
                        {
                            options.BasePatch = BasePatchKind.Random;
                            options.Seed = (seed * _plan.RandomDraws) + draw;
                        }
                    )
                ),
            biases = [cell.Patch("all biases", options => options.BasePatch = BasePatchKind.Biases)],
            layers = Enumerable
                .Range(0, cell.Tuned.Classifier.Backbone.Config.Layers)
                .Select(layer =>
                    cell.Patch(
                        $"layer {layer + 1} whole",
                        options =>
                        {
                            options.BasePatch = BasePatchKind.Layer;
                            options.PatchLayer = layer;
                        }
                    )
                );
        return [.. moved, .. tickets, .. random, .. biases, .. layers];

        IEnumerable<Measurement> Sweep(string method, Action<GraftMaskEstimator.Options> change) =>
            cell.Sweep(
                method,
                _plan.Sparsities,
                options =>
                {
                    options.Epochs = 0;
                    change(options);
                }
            );
    }

    private PromptTask TaskOf(StudyTask task) =>
        _ownTasks.Value.FirstOrDefault(own => own.Name.Equals(task.Task, StringComparison.OrdinalIgnoreCase))
        ?? PromptTasks.Find(task.Task);

    /// <summary>A run of a cell, with what its result depends on beside what all runs of the cell do.</summary>
    private sealed record Part(string Name, object Own, Func<CellMeasures, RunContext, IEnumerable<Measurement>> Measure);
}
