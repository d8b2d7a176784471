using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Pretrain;

/// <summary>Gives an encoder that never had one a masked-language-model head, without gradients: one Newton step of the log-linear model
/// <c>p(y | h) ~ p(y) exp(e_y Q h)</c>, where <c>h</c> is the hidden state at a masked place, <c>e_y</c> the word embedding of <c>y</c> and
/// <c>p(y)</c> its frequency.</summary>
/// <remarks>
/// At <c>Q = 0</c> the gradient is the covariance of the true word's embedding with <c>h</c> and the Hessian the product of the embeddings'
/// covariance and that of <c>h</c>, so that <c>Q = Cov(e)^-1 Cov(e, h) Cov(h)^-1</c>, the covariances with a ridge.
/// The head is <c>LayerNorm(gelu(W h + b))</c>: <c>b</c> is so high that gelu is the identity there, and the norm puts the scale back that
/// a search on the same states finds best.
/// </remarks>
public static class HeadStart
{
    // Where gelu is the identity to 1e-3 for all but a few states: 4 standard deviations below it is still 3 above zero.
    private const double Offset = 7;
    private const double Ridge = 0.02;

    /// <summary>Sets the head's parameters.</summary>
    /// <param name="model">The model, whose word embeddings are the decoder.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="batches">Pieces to mask; about 400,000 tokens are enough.</param>
    /// <param name="rate">The share of tokens that is masked.</param>
    /// <param name="frequencies">How often each token occurs in the texts.</param>
    /// <param name="seed">Of the masks.</param>
    /// <returns>The mean loss on these pieces with the new head.</returns>
    public static double Set(
        LanguageModel model,
        CheckpointTokenizer tokenizer,
        IEnumerable<int[][]> batches,
        double rate,
        IReadOnlyList<long> frequencies,
        int seed
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(batches);
        ArgumentNullException.ThrowIfNull(frequencies);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (Tensor states, Tensor words) = Collect(model, tokenizer, batches, rate, seed);
        string prefix = model.Parameters.Keys.Single(name =>
            name.EndsWith(".dense.weight", StringComparison.Ordinal) && TrainedPart.IsHead(name)
        )[..^"dense.weight".Length];
        string norm = model.Parameters.Keys.Single(name =>
            name.StartsWith(prefix, StringComparison.Ordinal) && name.EndsWith("orm.weight", StringComparison.Ordinal)
        )[..^"weight".Length];
        string bias = prefix.StartsWith("cls.", StringComparison.Ordinal) ? "cls.predictions.bias" : "lm_head.bias";
        Tensor embeddings = model.Parameters.Single(pair => pair.Key.EndsWith("word_embeddings.weight", StringComparison.Ordinal)).Value;

        // The smoothing keeps words that do not occur possible.
        Tensor counts = tensor(frequencies.Select(count => count + 0.5f).ToArray());
        Tensor share = counts.div(counts.sum());
        Tensor centred = Minus(embeddings, share.unsqueeze(0).mm(embeddings));
        Tensor mean = states.mean([0L], keepdim: true);
        Tensor h = Minus(states, mean);
        long n = h.size(0);
        Tensor covariance = Ridged(h.t().mm(h).Mul(1.0 / n));
        Tensor spread = Ridged(centred.mul(share.unsqueeze(1)).t().mm(centred));
        Tensor joint = centred.index_select(0, words).t().mm(h).Mul(1.0 / n);
        Tensor q = linalg.solve(spread, joint).mm(linalg.inv(covariance));

        // What the norm would take away, the mean over the dimensions, is taken away before the scale is measured.
        q = Minus(q, q.mean([0L], keepdim: true));
        Tensor deviation = h.mm(q.t()).Square().mean().sqrt();
        Tensor scaled = q.div(deviation);
        Parameter weight = model.Parameters[prefix + "dense.weight"];
        weight.copy_(scaled);
        model.Parameters[prefix + "dense.bias"].copy_(scaled.mm(mean.t()).squeeze(1).neg().Add(Offset));
        model.Parameters[bias].copy_(share.log());
        model.Parameters[norm + "bias"].zero_();

        double best = double.PositiveInfinity;
        float chosen = 0,
            unit = deviation.item<float>();
        foreach (float factor in new[] { 0.125f, 0.25f, 0.5f, 1f, 2f, 4f })
        {
            using DisposeScope trial = NewDisposeScope();
            SetScale(unit * factor);
            double loss = 0;
            long few = Math.Min(n, 8192);
            for (long start = 0; start < few; start += 1024)
            {
                using DisposeScope part = NewDisposeScope();
                long count = Math.Min(1024, few - start);
                loss += F.cross_entropy(
                        model.WordScores(states.narrow(0, start, count)),
                        words.narrow(0, start, count),
                        reduction: nn.Reduction.Sum
                    )
                    .item<float>();
            }

            if (loss / few < best)
            {
                (best, chosen) = (loss / few, unit * factor);
            }
        }

        SetScale(chosen);
        return best;

        void SetScale(double value)
        {
            Parameter scale = model.Parameters[norm + "weight"];
            scale.zero_();
            scale.Add_(value);
        }
    }

    private static (Tensor States, Tensor Words) Collect(
        LanguageModel model,
        CheckpointTokenizer tokenizer,
        IEnumerable<int[][]> batches,
        double rate,
        int seed
    )
    {
        List<Tensor> states = [],
            words = [];
        var random = new Random(seed);
        foreach (int[][] batch in batches)
        {
            using DisposeScope part = NewDisposeScope();
            using var masked = MaskedPieces.Create(batch, rate, tokenizer, random, model.Device);
            Tensor all = model.Encode(masked.Batch);
            states.Add(all.view(-1, all.size(2)).index_select(0, masked.Places).MoveToOuterDisposeScope());
            words.Add(masked.Hidden.clone().MoveToOuterDisposeScope());
        }

        return (cat(states), cat(words));
    }

    private static Tensor Ridged(Tensor covariance) => covariance.Add(eye(covariance.size(0)).mul(covariance.diagonal().mean().Mul(Ridge)));

    private static Tensor Minus(Tensor x, Tensor y) => x.clone().Add_(y, alpha: -1);
}
