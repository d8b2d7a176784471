using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Explanations;

/// <summary>Scores tokens by what happens between a baseline and their word embeddings.</summary>
internal sealed class EmbeddingPath : IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly ExplainedOutput _output;
    private readonly IReadOnlyList<(double Place, double Weight)> _nodes;
    private readonly HookPoint _point;
    private readonly Tensor _baseline;

    /// <exception cref="ArgumentException">The vocabulary lacks the baseline's token.</exception>
    public EmbeddingPath(
        TextClassifier classifier,
        ExplainedOutput output,
        AttributionBaseline baseline,
        IReadOnlyList<(double Place, double Weight)> nodes
    )
    {
        _classifier = classifier;
        _output = output;
        _nodes = nodes;
        _point = classifier.Backbone.Points[0];
        _baseline = baseline switch
        {
            AttributionBaseline.Mask when !classifier.Tokenizer.HasMask => throw new ArgumentException(
                $"The vocabulary has no mask token; use {nameof(AttributionBaseline)}.{AttributionBaseline.Padding}.",
                nameof(baseline)
            ),
            AttributionBaseline.Zero when classifier.Backbone.Config.IsEncoderDecoder => throw new ArgumentException(
                $"T5 normalises its embeddings, so that nothing is small near zeros; use {nameof(AttributionBaseline)}."
                    + $"{AttributionBaseline.Padding}.",
                nameof(baseline)
            ),
            AttributionBaseline.Mask => EmbeddingOf(classifier.Tokenizer.MaskId),
            AttributionBaseline.Padding => EmbeddingOf(classifier.Tokenizer.PadId),
            _ => zeros(_point.Size, classifier.Backbone.Dtype, classifier.Backbone.Device),
        };
        _baseline.DetachFromDisposeScope();
    }

    private int PromptSize => _classifier.Backbone.PeftModule?.PromptSize ?? 0;

    /// <summary>Where the first token stands among the activation's positions; a causal model's soft prompt stands behind the text.</summary>
    private int Offset => _classifier.Backbone.Config.IsCausal ? 0 : PromptSize;

    /// <summary>Integrated gradients: scores sum to the difference of the logits.</summary>
    public TokenScores[] Integrate(EncodedText[] rows, int[] labels, CancellationToken cancellation)
    {
        using Held held = new(this);
        using DisposeScope scope = NewDisposeScope();
        using TokenBatch batch = _classifier.Batch(rows);
        Tensor embedded = Embed(batch),
            start = where(Moved(rows, embedded, (_, _) => true), _baseline, embedded),
            difference = embedded - start,
            gradient = zeros_like(embedded);
        foreach ((double place, double weight) in _nodes)
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope node = NewDisposeScope();
            Tensor at = start.Add(difference.Mul(place)).detach().requires_grad_(true);
            using (_classifier.Backbone.Hooks.Add([_point], (_, _) => at))
            {
                _output.Of(batch, labels).sum().backward();
            }

            using Tensor? own = at.grad;
            gradient.Add_(own!, weight);
        }

        double[] ends = Logits(batch, labels, embedded),
            bases = Logits(batch, labels, start);
        double[][] scores = ByToken((difference * gradient).sum(dim: 2), rows);
        return [.. rows.Select((_, i) => new TokenScores(scores[i], ends[i], bases[i], scores[i].Sum() - (ends[i] - bases[i])))];
    }

    /// <summary>Occlusion: the fall of the logit when a token alone is the baseline.</summary>
    public TokenScores[] Occlude(EncodedText[] rows, int[] labels, CancellationToken cancellation) =>
        [.. rows.Select((row, i) => Occlude(row, labels[i], cancellation))];

    private TokenScores Occlude(EncodedText row, int label, CancellationToken cancellation)
    {
        using Held held = new(this);
        int[] tokens = [.. Enumerable.Range(0, row.Ids.Length).Where(i => row.Spans![i] is not null)];
        double[] scores = new double[row.Ids.Length];

        // The row as it is and without all tokens come first.
        Func<int, bool>[] occluded = [_ => false, _ => true, .. tokens.Select(token => (Func<int, bool>)(place => place == token))];
        var logits = new List<double>();
        int most = Math.Max(1, ScoringBatch.SuitableTokens(_classifier.Backbone.Device) / _classifier.TokensOf(row));
        foreach (Func<int, bool>[] chunk in occluded.Chunk(most))
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            EncodedText[] copies = [.. Enumerable.Repeat(row, chunk.Length)];
            using TokenBatch batch = _classifier.Batch(copies);
            Tensor embedded = Embed(batch),
                at = where(Moved(copies, embedded, (copy, place) => chunk[copy](place)), _baseline, embedded);
            logits.AddRange(Logits(batch, [.. copies.Select(_ => label)], at));
        }

        for (int i = 0; i < tokens.Length; i++)
        {
            scores[tokens[i]] = logits[0] - logits[i + 2];
        }

        return new(scores, logits[0], logits[1], double.NaN);
    }

    public void Dispose() => _baseline.Dispose();

    /// <summary>The explained outputs where the word embeddings are these.</summary>
    private double[] Logits(TokenBatch batch, int[] labels, Tensor embeddings)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using IDisposable edit = _classifier.Backbone.Hooks.Add([_point], (_, _) => embeddings);
        return [.. _output.Of(batch, labels).to(ScalarType.Float64).cpu().data<double>()];
    }

    /// <summary>The word embeddings of a batch, with the slots of a soft prompt.</summary>
    private Tensor Embed(TokenBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        Tensor? seen = null;
        using IDisposable look = _classifier.Backbone.Hooks.Add(
            [_point],
            (activation, _) =>
            {
                seen = activation.clone().MoveToOtherDisposeScope(scope);
                return null;
            }
        );
        _classifier.Backbone.Encode(batch);
        return seen!.MoveToOuterDisposeScope();
    }

    private Tensor EmbeddingOf(int id)
    {
        using DisposeScope scope = NewDisposeScope();
        using var batch = TokenBatch.Create([new([id], null, 0)], id, _classifier.Backbone.Device);
        return Embed(batch)[0].select(0, Offset).clone().MoveToOuterDisposeScope();
    }

    /// <summary>True where a token of the texts is to be moved, <c>[sequences, positions, 1]</c>.</summary>
    private Tensor Moved(EncodedText[] rows, Tensor embedded, Func<int, int, bool> isMoved)
    {
        int sequences = (int)embedded.size(0),
            positions = (int)embedded.size(1),
            copies = sequences / rows.Length;
        bool[] moved = new bool[sequences * positions];
        for (int sequence = 0; sequence < sequences; sequence++)
        {
            int row = sequence / copies;
            for (int i = 0; i < rows[row].Ids.Length; i++)
            {
                moved[(sequence * positions) + Offset + i] = rows[row].Spans![i] is not null && isMoved(row, i);
            }
        }

        return tensor(moved, sequences, positions, 1, device: embedded.device);
    }

    /// <summary>Scores of positions as scores of tokens; where whole options are scored, a row has a sequence for each.</summary>
    private double[][] ByToken(Tensor scores, EncodedText[] rows)
    {
        using DisposeScope scope = NewDisposeScope();
        int positions = (int)scores.size(1),
            copies = (int)scores.size(0) / rows.Length;
        double[] all = [.. scores.to(ScalarType.Float64).cpu().data<double>()];
        return
        [
            .. rows.Select(
                (row, i) =>
                    row
                        .Ids.Select(
                            (_, token) => Enumerable.Range(i * copies, copies).Sum(each => all[(each * positions) + Offset + token])
                        )
                        .ToArray()
            ),
        ];
    }
}
