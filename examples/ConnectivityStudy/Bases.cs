using System.Security.Cryptography;
using SkillLoc.Models.Backbones;
using SkillLoc.Pretrain;
using SkillLoc.Studies;
using Spectre.Console;

namespace SkillLoc.ConnectivityStudy;

/// <summary>The checkpoints that ends start from: the plan's, and those that are pre-trained for different numbers of updates.</summary>
public sealed class Bases
{
    private readonly StudyPlan _plan;
    private readonly string _path;
    private readonly StudyFolder _folder;
    private readonly CancellationToken _stop;
    private readonly Dictionary<int, (string Checkpoint, string Fingerprint, BaseResult Result)> _made = [];
    private readonly Dictionary<string, string> _fingerprints = new(StringComparer.Ordinal);

    /// <param name="plan">The plan.</param>
    /// <param name="path">The folder that pre-trained bases go to.</param>
    /// <param name="stop">Stops a pre-training at its next step.</param>
    public Bases(StudyPlan plan, string path, CancellationToken stop = default)
    {
        _stop = stop;
        _plan = plan;
        _path = path;
        _folder = new(path, stop);
    }

    /// <summary>Those that were pre-trained, by their steps.</summary>
    public IReadOnlyList<BaseResult> Made => [.. _made.Values.Select(each => each.Result).OrderBy(each => each.Steps)];

    /// <summary>The base of an end, which is pre-trained where it is not yet.</summary>
    /// <param name="end">The end.</param>
    /// <returns>The checkpoint folder, and the fingerprint of its weights.</returns>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    /// <exception cref="InvalidDataException">A checkpoint is damaged, or the base was made by another plan.</exception>
    public (string Checkpoint, string Fingerprint) Get(EndSettings end)
    {
        if (end.PretrainingSteps is not { } count)
        {
            string named = end.Checkpoint ?? _plan.Checkpoint;
            if (!_fingerprints.TryGetValue(named, out string? fingerprint))
            {
                _fingerprints[named] = fingerprint = FingerprintOf(named);
            }

            return (named, fingerprint);
        }

        if (!_made.TryGetValue(count, out (string Checkpoint, string Fingerprint, BaseResult Result) known))
        {
            string name = $"{count} steps",
                checkpoint = Path.Combine(_path, name);
            PretrainingPlan plan = _plan.Pretraining! with { Steps = [count] };
            IEnumerable<string> texts = plan
                .Text.Concat(plan.LeaveOut)
                .Select(text => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(TextSource.Parse(InData(text)).Path))));
            BaseResult result = _folder.Get(name, StudyJson.FingerprintOf(plan, Words(), texts), _ => Pretrain(plan, count, checkpoint));
            _made[count] = known = (checkpoint, FingerprintOf(checkpoint), result);
        }

        return (known.Checkpoint, known.Fingerprint);
    }

    private static string FingerprintOf(string checkpoint)
    {
        using var model = LanguageModel.Load(checkpoint);
        return model.Fingerprint();
    }

    private BaseResult Pretrain(PretrainingPlan plan, int steps, string checkpoint)
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
        IReadOnlyList<HeldOutResult> results = pretraining.Run(_stop);
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
