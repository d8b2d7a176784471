using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Ends of paths. Each is a run of its own, named by what it depends on, so that experiments share it.</summary>
/// <param name="ml">The context.</param>
/// <param name="plan">The plan.</param>
/// <param name="data">The data sets.</param>
/// <param name="bases">What ends start from.</param>
public sealed class Ends(MLContext ml, StudyPlan plan, StudyData data, Bases bases)
{
    private const string Tuned = "tuned.safetensors",
        Rows = "rows.json";

    private readonly MLContext _ml = ml;
    private readonly StudyPlan _plan = plan;
    private readonly StudyData _data = data;

    /// <summary>The run that trains an end.</summary>
    /// <param name="end">The end.</param>
    public static string NameOf(EndSettings end) => $"{end.Task}-{end.Method}-{StudyJson.FingerprintOf(end)[..8]}";

    /// <summary>The run that records what the model made of an end's rows.</summary>
    /// <param name="end">The end.</param>
    public static string CartographyOf(EndSettings end) => $"{NameOf(end)}, cartography";

    /// <summary>What an end depends on beside its base's run.</summary>
    /// <param name="end">The end.</param>
    public object SettingsOf(EndSettings end) =>
        new
        {
            Base = bases.FingerprintOf(end),
            End = end,
            Data = _data.TrainingFingerprint(end.Task),
            _plan.Training.Optimizer,
            _plan.Training.MaxGradientNorm,
            _plan.Training.MaxLength,
        };

    /// <summary>Loads an end that was trained.</summary>
    /// <param name="end">The end.</param>
    /// <param name="filesOf">Where a run's files are.</param>
    /// <param name="twin">The other end, with which it shares what is equal, such as a base.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public TextScoringTransformer Load(EndSettings end, Func<string, string> filesOf, TextScoringTransformer? twin = null)
    {
        string folder = filesOf(NameOf(end));
        return end.Tuning is null
            ? _ml.SkillLoc().Connectivity.LoadTextScorer(folder, shareWeightsWith: twin)
            : _ml.SkillLoc()
                .Connectivity.LoadTextScorer(bases.CheckpointOf(end, filesOf), Path.Combine(folder, Tuned), shareWeightsWith: twin);
    }

    /// <summary>Trains an end and keeps it.</summary>
    /// <param name="end">The end.</param>
    /// <param name="context">The run.</param>
    public EndSettings Train(EndSettings end, RunContext context)
    {
        using TextScoringTransformer trained = Train(end, context, null);
        if (end.Tuning is null)
        {
            trained.SaveCheckpoint(context.Files);
        }
        else
        {
            trained.Classifier.SaveTuned(Path.Combine(context.Files, Tuned));
        }

        return end;
    }

    /// <summary>Records what the model made of an end's training rows after each epoch, in a training of its own that is the
    /// same.</summary>
    /// <param name="end">The end.</param>
    /// <param name="context">The run.</param>
    public EndSettings Record(EndSettings end, RunContext context)
    {
        Train(end, context, Path.Combine(context.Files, Rows)).Dispose();
        return end;
    }

    /// <summary>What was recorded.</summary>
    /// <param name="end">The end.</param>
    /// <param name="filesOf">Where a run's files are.</param>
    /// <returns>The rows, by their numbers in the end's view.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public TrainingDynamics Dynamics(EndSettings end, Func<string, string> filesOf) =>
        TrainingDynamics.Load(Path.Combine(filesOf(CartographyOf(end)), Rows));

    private TextScoringTransformer Train(EndSettings end, RunContext context, string? cartography)
    {
        string checkpoint = bases.CheckpointOf(end, context.FilesOf),
            state = Path.Combine(context.State, "training");
        SplitTask task = _plan.Tasks.First(task => task.Name == end.Task);
        bool writes = CheckpointFolder.ReadConfig(checkpoint).IsEncoderDecoder;
        TextScoringTransformer trained = _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint,
                    Task = writes ? TextToTextTasks.Find(task.Task) with { Answers = task.Words } : task.Find(),
                    Tuning = end.Tuning,
                    Head = end.Head,
                    FixEmbeddings = false,
                    FixHead = false,
                    Optimizer = _plan.Training.Optimizer,
                    LearningRate = end.LearningRate,
                    WeightDecay = 0,
                    MaxGradientNorm = _plan.Training.MaxGradientNorm,
                    MaxSteps = end.Steps,
                    BatchSize = end.BatchSize,
                    MaxLength = _plan.Training.MaxLength,
                    Seed = end.Seed,
                    InitialisationSeed = end.InitialisationSeed,
                    StateFile = state,
                    CartographyPath = cartography,
                    Progress = context.Follow<TrainingProgress>(at => new(at.Step, at.Steps, at.Loss)),
                    CancellationToken = context.CancellationToken,
                }
            )
            .Fit(_data.Train(end.Task, end.Rows));
        try
        {
            StopSignals.ThrowIfCut(state, context.CancellationToken);
            return trained;
        }
        catch
        {
            trained.Dispose();
            throw;
        }
    }
}
