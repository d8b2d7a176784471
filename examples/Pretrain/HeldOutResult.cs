using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Pretrain;

/// <summary>How well hidden tokens of held-out pieces of one length are predicted.</summary>
/// <param name="Length">Tokens of a piece, special ones included.</param>
/// <param name="Predicted">How many tokens were predicted.</param>
/// <param name="Loss">The mean cross-entropy in nats.</param>
/// <param name="Accuracy">The share that had the highest score.</param>
public sealed record HeldOutResult(int Length, int Predicted, double Loss, double Accuracy)
{
    private const int TokensPerLength = 40_000;

    /// <summary>Measures at lengths 16, 32, 64 and so on; the same pieces and masks each time.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="passages">What the held-out pieces are cut from; lengths of which there is none are left away.</param>
    /// <param name="longest">The longest length.</param>
    /// <param name="maskRate">The share of tokens that is predicted.</param>
    /// <param name="tokensPerBatch">The most tokens of a batch.</param>
    public static IReadOnlyList<HeldOutResult> Measure(
        LanguageModel model,
        CheckpointTokenizer tokenizer,
        Passages passages,
        int longest,
        double maskRate,
        int tokensPerBatch
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(passages);
        List<HeldOutResult> results = [];
        using IDisposable frozen = no_grad();
        for (int length = 16; length <= longest; length *= 2)
        {
            IReadOnlyList<int[]> pieces = passages.HeldOutPieces(length, TokensPerLength);
            if (pieces.Count == 0)
            {
                continue;
            }

            var random = new Random(length);
            double loss = 0;
            long right = 0,
                predicted = 0;
            foreach (int[][] batch in pieces.Chunk(Math.Max(1, tokensPerBatch / length)))
            {
                using DisposeScope scope = NewDisposeScope();
                using var masked = MaskedPieces.Create(batch, maskRate, tokenizer, random, model.Device);
                Tensor scores = masked.Scores(model, training: false);
                loss += F.cross_entropy(scores, masked.Hidden, reduction: nn.Reduction.Sum).item<float>();
                right += scores.argmax(1).eq(masked.Hidden).sum().item<long>();
                predicted += masked.Hidden.size(0);
            }

            results.Add(new(length, (int)predicted, loss / predicted, (double)right / predicted));
        }

        return results;
    }
}
