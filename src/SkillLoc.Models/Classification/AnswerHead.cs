using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Classification;

/// <summary>Scores the answers of an encoder-decoder (T5) by their log-likelihoods; the encoder runs once per text.</summary>
internal sealed class AnswerHead : ClassificationHead
{
    // Each label's answer as targets, [labels, length]; null for free text.
    private readonly Tensor? _answers;

    public AnswerHead(LanguageModel model, IReadOnlyList<string> labels, IReadOnlyList<int[]>? answers)
        : base(HeadKind.Generation, labels)
    {
        if ((answers?.Count ?? 0) != labels.Count || !model.HasHead)
        {
            throw new ArgumentException(
                "Writing answers needs one for each label and a backbone with its language-model head.",
                nameof(answers)
            );
        }

        _answers = answers is null ? null : T5ForConditionalGeneration.Targets(answers, model.Device).DetachFromDisposeScope();
    }

    /// <summary>Each label's answer as targets, Int64 <c>[labels, length]</c>; null for free text.</summary>
    internal Tensor? Answers => _answers;

    private AnswerHead(AnswerHead other)
        : base(other.Kind, other.Labels) => _answers = other._answers?.alias().DetachFromDisposeScope();

    public override ClassificationHead Clone(ScalarType? dtype = null) => new AnswerHead(this);

    internal override int TokensOf(EncodedText row) => row.Ids.Length + (int)(_answers?.numel() ?? 0);

    internal override Tensor Logits(LanguageModel model, TokenBatch batch, bool training)
    {
        using Held held = new(this);
        if (_answers is null)
        {
            throw new InvalidOperationException("This model writes free text and has no labels to score: use TextClassifier.Generate.");
        }

        using DisposeScope scope = NewDisposeScope();
        long rows = batch.Ids.size(0);
        Tensor targets = _answers.unsqueeze(0).expand(rows, -1, -1).reshape(-1, _answers.size(1));
        return ((T5ForConditionalGeneration)model).LogLikelihoods(batch, targets, training).view(rows, -1).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Logits of the answers at the first token in which they differ, after their common prefix (methods, C.6); the log-likelihoods of the
    /// whole answers if two of them differ only later.
    /// </summary>
    /// <returns><c>[rows, labels]</c>.</returns>
    internal Tensor TokenScores(T5ForConditionalGeneration model, TokenBatch batch)
    {
        using Held held = new(this);
        if (_answers is null || DecidingToken(_answers) is not { } step)
        {
            return Logits(model, batch, training: false);
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor begun = _answers.narrow(0, 0, 1).narrow(1, 0, step + 1).expand(batch.Ids.size(0), -1);
        Tensor hidden = model.Decode(batch, model.ShiftRight(begun)).select(1, step);
        return model.WordScores(hidden, _answers.select(1, step)).MoveToOuterDisposeScope();
    }

    private protected override void Dispose(bool disposing) => _answers?.Dispose();

    /// <summary>The position of the first token after the common prefix of the answers; null if two answers share that token.</summary>
    private static int? DecidingToken(Tensor answers)
    {
        int length = (int)answers.size(1);
        long[][] ids = [.. answers.cpu().data<long>().ToArray().Chunk(length)];
        for (int i = 0; i < length; i++)
        {
            int different = ids.Select(answer => answer[i]).Distinct().Count();
            if (different > 1)
            {
                return different == ids.Length ? i : null;
            }
        }

        return null;
    }
}
