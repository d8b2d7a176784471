using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Engines;
using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.Benchmarks;

/// <summary>What SkillLoc's parts cost on a model of two layers and 128 hidden units, where overhead shows.</summary>
[SimpleJob(RunStrategy.Monitoring, launchCount: 1, warmupCount: 2, iterationCount: 5)]
[MemoryDiagnoser]
public class ComponentBenchmarks
{
    private const int Rows = 128;

    private readonly string _folder = Path.Join(Path.GetTempPath(), $"skillloc-benchmarks-{Guid.NewGuid():N}");
    private readonly MLContext _context = new(seed: 1);
    private IReadOnlyList<Review> _reviews = [];
    private IDataView _view = null!;
    private Workload _workload = null!;
    private TextScoringTransformer _tuned = null!;
    private LanguageModel _model = null!;
    private Graft _graft = null!;
    private EncodedText[] _rows = [];

    /// <summary>Makes the checkpoints.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _workload = new(_folder);
        _workload.Write(layers: 2, hidden: 128, vocabulary: 8192);
        _reviews = _workload.Reviews(Rows);
        _view = _workload.View(_context, Rows);
        _tuned = _workload.LoadTuned();
        _model = LanguageModel.Load(_workload.Base);
        _rows = [.. _reviews.Select(review => _tuned.Classifier.Encode(review.Text))];
        using var mask = new GraftMask(_model, _tuned.Classifier.Backbone, new ParameterSelection().Of(_model));
        mask.SetBasePatch(1e-3);
        _graft = new() { BaseFingerprint = _model.Fingerprint(), Parts = mask.Parts() };
    }

    /// <summary>Removes them.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _tuned.Dispose();
        _model.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Text to token ids, 128 rows.</summary>
    [Benchmark]
    public int Tokenize() => _reviews.Sum(review => _tuned.Classifier.Encode(review.Text).Ids.Length);

    /// <summary>A forward pass to the label words at the scored position, 128 rows.</summary>
    [Benchmark]
    public float[][] Score() => _tuned.Classifier.Score(_rows);

    /// <summary>Loading, 8 updates of 16 rows, and disposing.</summary>
    [Benchmark]
    public void FineTune()
    {
        using TextScoringTransformer fitted = _context
            .SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = _workload.Base,
                    Task = Workload.Task,
                    MaxSteps = 8,
                }
            )
            .Fit(_view);
    }

    /// <summary>Loading, an epoch of mask training over 128 rows, and disposing.</summary>
    [Benchmark]
    public void TrainMask()
    {
        using GraftTransformer fitted = _context
            .SkillLoc()
            .GraftMask(new GraftMaskEstimator.Options { FineTuned = _tuned, Epochs = 1 })
            .Fit(_view);
    }

    /// <summary>A graft into a copy of the base model.</summary>
    [Benchmark]
    public void ApplyGraft()
    {
        using LanguageModel copy = _model.Clone();
        _graft.MergeInto(copy, _graft.BaseFingerprint);
    }
}
