using SkillLoc.Models.Backbones;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// The mask of a graft and its training (Panigrahi et al. 2023, section 3; grafting reference A.12). With base patch b in {0, 1},
/// scores S, and s = sigmoid(S - beta), the soft mask is gamma = b (1 - s) + (1 - b) s, and the model's weights are
/// W = pre + gamma (fine-tuned - pre). It works on the weights of a model in place; disposing it leaves them as they are.
/// </summary>
/// <remarks>
/// Memory beside the model and the fine-tuned weights, which belong to the caller: the pre-trained values, the scores and, while it
/// trains, the gradients of the considered parameters.
/// </remarks>
public sealed class GraftMask : IDisposable
{
    private readonly List<Entry> _entries = [];
    private readonly double _sigmoidBias;

    /// <summary>Starts from an empty base patch and scores of 0, which make an empty mask.</summary>
    /// <param name="model">The working model: it holds the pre-trained weights now, and will be changed in place.</param>
    /// <param name="fineTuned">The fine-tuned model; read only. It must outlive the mask.</param>
    /// <param name="considered">The names of the parameters that the graft may use.</param>
    /// <param name="sigmoidBias">beta, at least 0.</param>
    /// <exception cref="ArgumentException">A name is unknown, or the two models' shapes differ.</exception>
    public GraftMask(LanguageModel model, LanguageModel fineTuned, IEnumerable<string> considered, double sigmoidBias = 10)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(fineTuned);
        ArgumentNullException.ThrowIfNull(considered);
        ArgumentOutOfRangeException.ThrowIfNegative(sigmoidBias);
        _sigmoidBias = sigmoidBias;
        using IDisposable noGradients = no_grad();
        foreach (string name in considered)
        {
            if (!model.Parameters.TryGetValue(name, out Parameter? weight) || !fineTuned.Parameters.TryGetValue(name, out Parameter? target))
            {
                throw new ArgumentException($"Both models must have the parameter '{name}', and one has not.", nameof(considered));
            }

            if (!weight.shape.SequenceEqual(target.shape))
            {
                throw new ArgumentException(
                    $"'{name}' has shape [{string.Join(", ", weight.shape)}] in the base and [{string.Join(", ", target.shape)}] in the "
                    + "fine-tuned model: they are not of one architecture.",
                    nameof(fineTuned));
            }

            using Tensor detached = weight.detach();
            _entries.Add(new(name, weight, target, detached.clone().DetachFromDisposeScope(), zeros_like(detached).DetachFromDisposeScope()));
            Count += weight.numel();
        }
    }

    /// <summary>N, the number of considered scalars.</summary>
    public long Count { get; }

    /// <summary>Number of scalars in the base patch.</summary>
    public long BaseCount => _entries.Sum(entry => entry.Base?.numel() ?? 0);

    /// <summary>
    /// Makes the base patch of the K = floor(sparsity N) coordinates that moved most, |fine-tuned - pre|, ties broken by the lower flat
    /// index (decision 4).
    /// </summary>
    /// <param name="sparsity">Share of the considered scalars, in [0, 1].</param>
    public void SetBasePatch(double sparsity)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sparsity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sparsity, 1);
        long wanted = (long)Math.Floor(sparsity * Count);
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        if (wanted == 0)
        {
            foreach (Entry entry in _entries)
            {
                entry.Base?.Dispose();
                entry.Base = null;
            }

            return;
        }

        float threshold = MovementThreshold(wanted);
        long ties = wanted - _entries.Sum(entry => CountWhere(entry.Movement(), movement => movement.gt(threshold)));
        foreach (Entry entry in _entries)
        {
            using var each = NewDisposeScope();
            Tensor movement = entry.Movement();
            Tensor above = movement.gt(threshold).nonzero().view(-1);
            Tensor level = movement.eq(threshold).nonzero().view(-1);
            long take = Math.Min(ties, level.numel());
            ties -= take;
            Tensor chosen = cat([above, level.narrow(0, 0, take)]);
            entry.Base?.Dispose();
            entry.Base = chosen.numel() == 0 ? null : chosen.DetachFromDisposeScope();
        }
    }

    /// <summary>Draws the scores from U[0, 1).</summary>
    /// <param name="seed">Seed.</param>
    public void DrawScores(int seed)
    {
        using var generator = new Generator((ulong)(uint)seed);
        foreach (Entry entry in _entries)
        {
            using Tensor drawn = rand(entry.Scores.shape, generator: generator);
            entry.Scores.copy_(drawn);
        }
    }

    /// <summary>Sets one parameter's scores.</summary>
    /// <param name="name">A considered parameter.</param>
    /// <param name="scores">As many scores as the parameter has scalars, row-major.</param>
    /// <exception cref="ArgumentException">The parameter is not considered, or the number is wrong.</exception>
    public void SetScores(string name, ReadOnlySpan<float> scores)
    {
        Entry entry = Find(name);
        if (scores.Length != entry.Scores.numel())
        {
            throw new ArgumentException($"'{name}' has {entry.Scores.numel()} scalars, not {scores.Length}.", nameof(scores));
        }

        using Tensor given = tensor(scores.ToArray());
        using Tensor shaped = given.view(entry.Scores.shape);
        entry.Scores.copy_(shaped);
    }

    /// <summary>One parameter's scores.</summary>
    /// <param name="name">A considered parameter.</param>
    /// <returns>A copy, row-major.</returns>
    public float[] Scores(string name)
    {
        using Tensor values = Find(name).Scores.cpu();
        return values.data<float>().ToArray();
    }

    /// <summary>Sets the model's weights to pre + gamma (fine-tuned - pre) with the soft mask.</summary>
    public void ApplySoft() => ForEach(entry => entry.Weight.copy_(entry.Pre).addcmul_(Soft(entry), entry.Delta(), 1));

    /// <summary>Sets the model's weights to the graft: fine-tuned where the rounded mask is 1, pre-trained elsewhere.</summary>
    public void ApplyRounded() => ForEach(entry => entry.Weight.copy_(where(Rounded(entry), entry.FineTuned.to(entry.Pre.dtype), entry.Pre)));

    /// <summary>Sets the model's weights back to the pre-trained ones.</summary>
    public void Reset() => ForEach(entry => entry.Weight.copy_(entry.Pre));

    /// <summary>Whether gradients of the considered parameters are recorded by the model's passes.</summary>
    /// <param name="required">True before training; false drops the gradients again.</param>
    public void RequireGradients(bool required)
    {
        foreach (Entry entry in _entries)
        {
            entry.Weight.requires_grad_(required);
            if (!required)
            {
                entry.Weight.grad = null!;
            }
        }
    }

    /// <summary>
    /// One step of gradient descent on the scores, S &lt;- S - lr (1 - 2b) g (fine-tuned - pre) s (1 - s), from the gradients g of the
    /// loss in the model's weights, which are zeroed (A.12, step 3).
    /// </summary>
    /// <param name="learningRate">lr; the paper's is 1e7.</param>
    public void Step(double learningRate) => ForEach(entry =>
    {
        if (entry.Weight.grad is not { } gradient)
        {
            return;
        }

        Tensor slope = Sigmoid(entry);
        Tensor update = (1 - slope).mul_(slope).mul_(entry.Delta()).mul_(gradient).mul_(learningRate);
        Flip(entry, update, values => -values);
        entry.Scores.sub_(update);
        gradient.zero_();
    });

    /// <summary>The rounded mask with the fine-tuned values under it.</summary>
    /// <returns>One part for each parameter that the mask touches.</returns>
    public IReadOnlyList<GraftPart> Parts()
    {
        var parts = new List<GraftPart>();
        ForEach(entry =>
        {
            Tensor indices = Rounded(entry).view(-1).nonzero().view(-1);
            if (indices.numel() > 0)
            {
                Tensor values = entry.FineTuned.view(-1).index_select(0, indices).to(ScalarType.Float32).cpu();
                parts.Add(new(entry.Name, [.. indices.cpu().data<long>().ToArray().Select(i => (int)i)], values.data<float>().ToArray()));
            }
        });
        return parts;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Entry entry in _entries)
        {
            entry.Pre.Dispose();
            entry.Scores.Dispose();
            entry.Base?.Dispose();
        }

        _entries.Clear();
    }

    private static long CountWhere(Tensor movement, Func<Tensor, Tensor> condition)
    {
        using (movement)
        {
            using Tensor met = condition(movement);
            using Tensor sum = met.sum();
            return sum.item<long>();
        }
    }

    /// <summary>Replaces the values at the base patch's coordinates.</summary>
    private static void Flip(Entry entry, Tensor values, Func<Tensor, Tensor> replace)
    {
        if (entry.Base is not null)
        {
            Tensor flat = values.view(-1);
            flat.index_copy_(0, entry.Base, replace(flat.index_select(0, entry.Base)));
        }
    }

    private Tensor Sigmoid(Entry entry) => (entry.Scores - _sigmoidBias).sigmoid_();

    private Tensor Soft(Entry entry)
    {
        Tensor mask = Sigmoid(entry);
        Flip(entry, mask, values => 1 - values);
        return mask;
    }

    private Tensor Rounded(Entry entry)
    {
        // sigmoid(S - beta) > 1/2 exactly where S > beta.
        Tensor mask = entry.Scores.gt(_sigmoidBias);
        Flip(entry, mask, values => values.logical_not());
        return mask;
    }

    /// <summary>The K-th largest movement; a running merge keeps K values at a time.</summary>
    private float MovementThreshold(long wanted)
    {
        using var scope = NewDisposeScope();
        Tensor? pool = null;
        foreach (Entry entry in _entries)
        {
            Tensor movement = entry.Movement();
            Tensor top = Largest(movement, wanted);
            pool = pool is null ? top : Largest(cat([pool, top]), wanted);
        }

        return pool!.min().item<float>();

        static Tensor Largest(Tensor values, long count) => values.topk((int)Math.Min(count, values.numel()), sorted: false).Item1;
    }

    private void ForEach(Action<Entry> action)
    {
        using IDisposable noGradients = no_grad();
        foreach (Entry entry in _entries)
        {
            using var scope = NewDisposeScope();
            action(entry);
        }
    }

    private Entry Find(string name) => _entries.Find(entry => entry.Name == name)
        ?? throw new ArgumentException($"'{name}' is not one of the {_entries.Count} considered parameters.", nameof(name));

    private sealed class Entry(string name, Parameter weight, Tensor fineTuned, Tensor pre, Tensor scores)
    {
        public string Name => name;

        public Parameter Weight => weight;

        public Tensor FineTuned => fineTuned;

        public Tensor Pre => pre;

        public Tensor Scores => scores;

        /// <summary>Flat indices of the base patch; null when it has none here.</summary>
        public Tensor? Base { get; set; }

        public Tensor Delta() => fineTuned - pre;

        /// <summary>|fine-tuned - pre|, flat.</summary>
        public Tensor Movement() => Delta().abs_().view(-1);
    }
}
