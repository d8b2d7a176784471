using Microsoft.ML;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Generation;
using SkillLoc.Studies;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Ends of paths. Each is trained once, and kept under a name that hashes all that it depends on, so that experiments share
/// it.</summary>
public sealed class Ends
{
    private readonly MLContext _ml;
    private readonly StudyPlan _plan;
    private readonly StudyData _data;
    private readonly Bases _bases;
    private readonly string _path;
    private readonly StudyFolder _folder;
    private readonly CancellationToken _stop;

    /// <param name="ml">The context.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="data">The data sets.</param>
    /// <param name="bases">What ends start from.</param>
    /// <param name="path">The folder that ends go to.</param>
    /// <param name="stop">Stops a training at its next step.</param>
    public Ends(MLContext ml, StudyPlan plan, StudyData data, Bases bases, string path, CancellationToken stop = default)
    {
        _stop = stop;
        _ml = ml;
        _plan = plan;
        _data = data;
        _bases = bases;
        _path = path;
        _folder = new(path, stop);
    }

    /// <summary>The identity of an end: a hash of all that it depends on.</summary>
    public string Fingerprint(EndSettings end) =>
        StudyJson.FingerprintOf(
            _bases.Get(end).Fingerprint,
            end,
            _data.TrainingFingerprint(end.Task),
            _plan.Training.Optimizer,
            _plan.Training.MaxGradientNorm,
            _plan.Training.MaxLength ?? 0
        );

    /// <summary>Loads an end, which is trained where it is not yet.</summary>
    /// <param name="end">The end.</param>
    /// <param name="twin">The other end, with which it shares what is equal, such as a base.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public TextScoringTransformer Load(EndSettings end, TextScoringTransformer? twin = null)
    {
        string fingerprint = Fingerprint(end),
            name = $"{end.Task}-{end.Method}-{fingerprint}";
        string folder = Path.Combine(_path, name),
            tuned = Path.Combine(folder, "tuned.safetensors");
        string checkpoint = _bases.Get(end).Checkpoint;
        _folder.Get(
            name,
            fingerprint,
            state =>
            {
                Directory.CreateDirectory(folder);
                using TextScoringTransformer trained = Train(end, checkpoint, Path.Combine(state, "training"));
                if (end.Tuning is null)
                {
                    trained.SaveCheckpoint(folder);
                }
                else
                {
                    trained.Classifier.SaveTuned(tuned);
                }

                return end;
            }
        );
        return end.Tuning is null
            ? _ml.SkillLoc().Connectivity.LoadTextScorer(folder, shareWeightsWith: twin)
            : _ml.SkillLoc().Connectivity.LoadTextScorer(checkpoint, tuned, shareWeightsWith: twin);
    }

    /// <summary>What the model made of an end's training rows after each epoch, recorded in a training of its own that is the
    /// same.</summary>
    /// <returns>The rows, by their numbers in the end's view.</returns>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public TrainingDynamics Dynamics(EndSettings end)
    {
        string fingerprint = Fingerprint(end),
            name = $"{end.Task}-{end.Method}-{fingerprint}, cartography";
        string path = Path.Combine(_path, name + "-rows.json");
        _folder.Get(
            name,
            fingerprint,
            state =>
            {
                Train(end, _bases.Get(end).Checkpoint, Path.Combine(state, "training"), path).Dispose();
                return end;
            }
        );
        return TrainingDynamics.Load(path);
    }

    private TextScoringTransformer Train(EndSettings end, string checkpoint, string state, string? cartography = null)
    {
        StudyTask task = _plan.Tasks.First(task => task.Name == end.Task);
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
                    CancellationToken = _stop,
                }
            )
            .Fit(_data.Train(end.Task, end.Rows));
        try
        {
            StopSignals.ThrowIfCut(state, _stop);
            return trained;
        }
        catch
        {
            trained.Dispose();
            throw;
        }
    }
}
