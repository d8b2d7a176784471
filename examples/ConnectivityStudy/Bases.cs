using System.Security.Cryptography;
using SkillLoc.Models.Backbones;
using SkillLoc.Pretrain;
using SkillLoc.Studies;
using Spectre.Console;

namespace SkillLoc.ConnectivityStudy;

/// <summary>The checkpoints that ends start from: the plan's, and those that are pre-trained for different numbers of updates.</summary>
/// <param name="plan">The plan.</param>
public sealed class Bases(StudyPlan plan)
{
    private const string Model = "model";

    private readonly StudyPlan _plan = plan;
    private readonly Dictionary<string, string> _fingerprints = new(StringComparer.Ordinal);

    /// <summary>The fingerprint of the checkpoint that an end starts from; null where that is a base of the study's own.</summary>
    /// <param name="end">The end.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public string? FingerprintOf(EndSettings end)
    {
        if (end.PretrainingSteps is not null)
        {
            return null;
        }

        string checkpoint = end.Checkpoint ?? _plan.Checkpoint;
        if (!_fingerprints.TryGetValue(checkpoint, out string? fingerprint))
        {
            using var model = LanguageModel.Load(checkpoint, withHead: end.Head is null);
            _fingerprints[checkpoint] = fingerprint = model.Fingerprint();
        }

        return fingerprint;
    }

    /// <summary>The run that pre-trains a base.</summary>
    /// <param name="steps">Updates of pre-training.</param>
    public static string NameOf(int steps) => $"base after {steps} steps";

    /// <summary>The runs that an end needs for its base.</summary>
    /// <param name="steps">Updates of pre-training; null for the plan's checkpoint.</param>
    public static IEnumerable<string> RunsOf(int? steps) => steps is { } count ? [NameOf(count)] : [];

    /// <summary>The checkpoint folder or name that an end starts from.</summary>
    /// <param name="end">The end.</param>
    /// <param name="filesOf">Where a run's files are.</param>
    public string CheckpointOf(EndSettings end, Func<string, string> filesOf) =>
        end.PretrainingSteps is { } count ? Path.Combine(filesOf(NameOf(count)), Model) : end.Checkpoint ?? _plan.Checkpoint;

    /// <summary>What a pre-training depends on.</summary>
    /// <param name="steps">Updates.</param>
    /// <exception cref="IOException">A text cannot be read.</exception>
    public object SettingsOf(int steps) =>
        new
        {
            Plan = _plan.Pretraining! with
            {
                Steps = [steps],
            },
            Words = Words(),
            Texts = _plan
                .Pretraining.Text.Concat(_plan.Pretraining.LeaveOut)
                .Select(text => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(TextSource.Parse(InData(text)).Path)))),
        };

    /// <summary>Pre-trains a base.</summary>
    /// <param name="steps">Updates.</param>
    /// <param name="context">The run.</param>
    /// <exception cref="InvalidDataException">There is too little text.</exception>
    public BaseResult Pretrain(int steps, RunContext context)
    {
        PretrainingPlan plan = _plan.Pretraining!;
        string checkpoint = Path.Combine(context.State, Model);
        BaseResult result = Pretrain(plan, steps, checkpoint, context.CancellationToken);
        Directory.Move(checkpoint, Path.Combine(context.Files, Model));
        return result;
    }

    private BaseResult Pretrain(PretrainingPlan plan, int steps, string checkpoint, CancellationToken stop)
    {
        using var pretraining = new Pretraining(
            new()
            {
                Text = [.. plan.Text.Select(InData)],
                LeaveOut = [.. plan.LeaveOut.Select(InData)],
                Out = checkpoint,
                Vocabulary = plan.Vocabulary,
                Words = Words(),
                Hidden = plan.Hidden,
                Layers = plan.Layers,
                Heads = plan.Heads,
                FeedForward = plan.FeedForward,
                ShortestPiece = Math.Min(16, plan.LongestPiece),
                LongestPiece = plan.LongestPiece,
                TokensPerBatch = plan.TokensPerBatch,
                LearningRate = plan.LearningRate,
                Steps = steps,
                Seed = plan.Seed,
            },
            AnsiConsole.Console
        );
        IReadOnlyList<HeldOutResult> results = pretraining.Run(stop);
        return results is [.., HeldOutResult longest]
            ? new(steps, longest.Loss, longest.Accuracy)
            : throw new InvalidDataException(
                $"None of the passages of {string.Join(", ", plan.Text)} that are kept back has 16 tokens to measure on; pre-training "
                    + "needs more text."
            );
    }

    private string InData(string text) => Path.Combine(_plan.Data, text);

    /// <summary>The tasks' label words, which must be one token each.</summary>
    private string[] Words() => [.. _plan.Tasks.SelectMany(task => task.Find().Verbalizer.Words).Distinct(StringComparer.Ordinal)];
}
