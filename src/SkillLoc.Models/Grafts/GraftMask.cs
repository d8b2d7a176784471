using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// The mask of a graft and its training (Panigrahi et al. 2023, section 3; methods, A.12). With base patch b in {0, 1}, scores S, and s =
/// sigmoid(S - beta), the soft mask is gamma = b (1 - s) + (1 - b) s, and the model's weights are W = pre + gamma (fine-tuned - pre), or
/// gamma fine-tuned with zeros outside the mask. It changes the weights of a model in place; disposing it leaves them as they are.
/// </summary>
/// <remarks>
/// Memory beside the model and the fine-tuned weights, which belong to the caller: the pre-trained values, the scores and, while it
/// trains, the gradients of the considered parameters.
/// </remarks>
public sealed partial class GraftMask : IDisposable
{
    private readonly List<Entry> _entries = [];
    private readonly double _sigmoidBias;
    private readonly GraftOutside _outside;
    private readonly long _scalars;

    /// <summary>False while no score exceeds beta, so that the rounded mask equals the base patch.</summary>
    private bool _mayDiffer;

    /// <summary>Creates an empty mask: no base patch, and scores of 0.</summary>
    /// <param name="model">The working model, which holds the pre-trained weights and is changed in place.</param>
    /// <param name="fineTuned">The fine-tuned model; read only. It must outlive the mask.</param>
    /// <param name="considered">The names of the parameters that the graft may use.</param>
    /// <param name="sigmoidBias">beta, at least 0.</param>
    /// <param name="outside">The values of considered parameters where the mask is 0.</param>
    /// <param name="taken">Grafts already applied to the working model; their coordinates keep their values and are not considered.</param>
    /// <exception cref="ArgumentException">A name is unknown, the two models' shapes differ, or grafts are given with
    /// <see cref="GraftOutside.Zero"/>, which would erase them.</exception>
    public GraftMask(
        LanguageModel model,
        LanguageModel fineTuned,
        IEnumerable<string> considered,
        double sigmoidBias = 10,
        GraftOutside outside = GraftOutside.PreTrained,
        IReadOnlyList<Graft>? taken = null
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(fineTuned);
        ArgumentNullException.ThrowIfNull(considered);
        ArgumentOutOfRangeException.ThrowIfNegative(sigmoidBias);
        if (outside == GraftOutside.Zero && taken is { Count: > 0 })
        {
            throw new ArgumentException("A mask with zeros outside would erase the grafts that the model carries already.", nameof(taken));
        }

        _sigmoidBias = sigmoidBias;
        _outside = outside;
        ILookup<string, int[]> takenIndices = (taken ?? [])
            .SelectMany(graft => graft.Parts)
            .ToLookup(part => part.Name, part => part.Indices);
        using IDisposable noGradients = no_grad();
        foreach (string name in considered)
        {
            if (
                !model.Parameters.TryGetValue(name, out Parameter? weight) || !fineTuned.Parameters.TryGetValue(name, out Parameter? target)
            )
            {
                throw new ArgumentException($"Both models must have the parameter '{name}', and one has not.", nameof(considered));
            }

            if (!weight.shape.SequenceEqual(target.shape))
            {
                throw new ArgumentException(
                    $"'{name}' has shape [{string.Join(", ", weight.shape)}] in the base and [{string.Join(", ", target.shape)}] in the "
                        + "fine-tuned model: they are not of one architecture.",
                    nameof(fineTuned)
                );
            }

            using Tensor detached = weight.detach();
            long[] fixedHere = [.. takenIndices[name].SelectMany(indices => indices).Select(i => (long)i).Distinct().Order()];
            _entries.Add(
                new(
                    name,
                    _scalars,
                    weight,
                    target,
                    detached.clone().DetachFromDisposeScope(),
                    zeros_like(detached).DetachFromDisposeScope()
                )
                {
                    Taken = fixedHere.Length == 0 ? null : tensor(fixedHere, device: detached.device).DetachFromDisposeScope(),
                }
            );
            _scalars += weight.numel();
            Count += weight.numel() - fixedHere.Length;
        }
    }

    /// <summary>
    /// Maximum number of coordinates in the rounded mask: those with the highest soft mask, without those that tie with the first one
    /// beyond the limit. Null (default, as in the paper's code) takes all above 1/2.
    /// </summary>
    public long? Limit { get; set; }

    /// <summary>N, the number of considered scalars, without those of grafts that are already applied.</summary>
    public long Count { get; }

    /// <summary>Number of scalars in the base patch.</summary>
    public long BaseCount => _entries.Sum(entry => entry.Base?.numel() ?? 0);

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

        _mayDiffer = _sigmoidBias < 1;
    }

    /// <summary>Sets all scores to 0, so that the mask is the base patch.</summary>
    public void ClearScores()
    {
        ForEach(entry => entry.Scores.zero_());
        _mayDiffer = false;
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
        _mayDiffer = true;
    }

    /// <summary>One parameter's scores.</summary>
    /// <param name="name">A considered parameter.</param>
    /// <returns>A copy, row-major.</returns>
    public float[] Scores(string name)
    {
        using Held held = new(this);
        using Tensor values = Find(name).Scores.cpu();
        return values.data<float>().ToArray();
    }

    /// <summary>Sets the model's weights to outside + gamma (fine-tuned - outside) with the soft mask gamma.</summary>
    public void ApplySoft() =>
        ForEach(entry =>
        {
            Tensor weight = _outside == GraftOutside.Zero ? entry.Weight.zero_() : entry.Weight.copy_(entry.Pre);
            weight.Addcmul_(Soft(entry), Delta(entry));
        });

    /// <summary>Sets the model's weights to the graft: fine-tuned where the rounded mask is 1, pre-trained or zero elsewhere.</summary>
    public void ApplyRounded()
    {
        float? cut = Cut();
        ForEach(entry =>
        {
            Tensor outside = _outside == GraftOutside.Zero ? zeros([], dtype: entry.Pre.dtype, device: entry.Pre.device) : entry.Pre;
            entry.Weight.copy_(where(Rounded(entry, cut), entry.FineTuned.to(entry.Pre.dtype), outside));
        });
    }

    /// <summary>Restores the pre-trained weights.</summary>
    public void Reset() => ForEach(entry => entry.Weight.copy_(entry.Pre));

    /// <summary>Enables or disables gradients of the considered parameters.</summary>
    /// <param name="required">True to record gradients; false to stop and release them.</param>
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
    /// loss in the model's weights, which are zeroed (methods, A.12, step 3); and of a penalty on the soft mask (methods, E.7).
    /// </summary>
    /// <param name="learningRate">lr; the paper uses 1e7.</param>
    /// <param name="penalty">The penalty.</param>
    /// <param name="strength">lambda, its weight, 0 or more; the learning rate does not multiply it.</param>
    public void Step(double learningRate, MaskPenalty penalty = MaskPenalty.None, double strength = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(strength);
        ForEach(entry =>
        {
            if (entry.Weight.grad is not { } gradient)
            {
                return;
            }

            Tensor sigmoid = Sigmoid(entry);
            Tensor slope = sigmoid.Rsub(1).mul_(sigmoid);
            Tensor? pull = penalty == MaskPenalty.None ? null : slope.Mul(strength);
            Tensor update = slope.mul_(Delta(entry)).mul_(gradient).Mul_(learningRate);
            if (pull is not null)
            {
                // The penalty's slope in gamma: 1, or the side of 1/2 that gamma is on, away from which it moves.
                update.Add_(penalty == MaskPenalty.Shrink ? pull : pull.mul_(Soft(entry).Rsub(0.5).sign_()), 1);
            }

            Flip(entry, update, values => -values);
            entry.Scores.sub_(update);
            gradient.zero_();
        });
        _mayDiffer = true;
    }

    /// <summary>Returns the coordinates of the rounded mask with their fine-tuned values.</summary>
    /// <returns>One part per parameter with coordinates in the mask.</returns>
    public IReadOnlyList<GraftPart> Parts()
    {
        var parts = new List<GraftPart>();
        float? cut = Cut();
        ForEach(entry =>
        {
            if (
                (_mayDiffer || cut is not null ? Rounded(entry, cut).view(-1).nonzero().view(-1) : entry.Base) is { } indices
                && indices.numel() > 0
            )
            {
                parts.Add(Part(entry, indices));
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
            entry.Taken?.Dispose();
        }

        _entries.Clear();
        _ranking?.Dispose();
        _ranking = null;
    }

    /// <summary>The names of the considered parameters.</summary>
    internal IEnumerable<string> Names => _entries.Select(entry => entry.Name);

    /// <summary>The training variables of each parameter; the mask keeps ownership of the tensors.</summary>
    internal IEnumerable<(string Name, Tensor Scores, Tensor? Base)> Variables =>
        _entries.Select(entry => (entry.Name, entry.Scores, entry.Base));

    /// <summary>The scalars of a parameter.</summary>
    internal long CountOf(string name) => Find(name).Scores.numel();

    /// <summary>Restores the training variables of a parameter.</summary>
    /// <param name="source">The file's name for error messages.</param>
    /// <param name="name">The parameter.</param>
    /// <param name="scores">Its scores.</param>
    /// <param name="basePatch">Flat indices of its base patch, within the parameter.</param>
    /// <exception cref="InvalidDataException">The number of scores differs from the parameter's.</exception>
    internal void Restore(string source, string name, Tensor scores, Tensor? basePatch)
    {
        Entry entry = Find(name);
        if (scores.numel() != entry.Scores.numel())
        {
            throw new InvalidDataException(
                $"{source}: there are {scores.numel()} scores for '{name}', which has {entry.Scores.numel()} scalars."
            );
        }

        entry.Scores.copy_(scores.view(entry.Scores.shape));
        entry.Base?.Dispose();
        entry.Base = basePatch?.to(entry.Scores.device).DetachFromDisposeScope();
        _mayDiffer = true;
    }

    /// <summary>A part with given coordinates.</summary>
    internal GraftPart Part(string name, Tensor indices)
    {
        Entry entry = Find(name);
        return Part(entry, indices.to(entry.FineTuned.device));
    }

    private static GraftPart Part(Entry entry, Tensor indices)
    {
        Tensor values = entry.FineTuned.view(-1).index_select(0, indices).to(ScalarType.Float32).cpu();
        return new(entry.Name, Array.ConvertAll(indices.cpu().data<long>().ToArray(), i => (int)i), values.data<float>().ToArray());
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

    private Tensor Sigmoid(Entry entry) => entry.Scores.Sub(_sigmoidBias).sigmoid_();

    private Tensor Soft(Entry entry)
    {
        Tensor mask = Sigmoid(entry);
        Flip(entry, mask, values => values.Rsub(1));
        return Free(entry, mask);
    }

    private Tensor Rounded(Entry entry, float? cut = null)
    {
        // sigmoid(S - beta) > 1/2 exactly where S > beta.
        Tensor mask = entry.Scores.Gt(_sigmoidBias);
        Flip(entry, mask, values => values.logical_not());
        return Free(entry, cut is { } bound ? mask.logical_and_(Margin(entry).Gt(bound)) : mask);
    }

    /// <summary>The logit of gamma: S - beta, and beta - S within the base patch.</summary>
    private Tensor Margin(Entry entry)
    {
        Tensor margin = entry.Scores.Sub(_sigmoidBias);
        Flip(entry, margin, values => -values);
        return margin;
    }

    /// <summary>The logit that coordinates must exceed so that at most <see cref="Limit"/> are selected; null without a limit.</summary>
    private float? Cut()
    {
        if (Limit is not { } limit)
        {
            return null;
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor[] inside =
        [
            .. _entries.Select(entry =>
            {
                using IDisposable noGradients = no_grad();
                using DisposeScope each = NewDisposeScope();
                return Margin(entry).masked_select(Rounded(entry)).MoveToOuterDisposeScope();
            }),
        ];
        Tensor margins = cat(inside);
        return margins.numel() <= limit ? null : margins.topk((int)limit + 1, sorted: false).Item1.min().item<float>();
    }

    /// <summary>Clears the coordinates of earlier grafts in a mask.</summary>
    private static Tensor Free(Entry entry, Tensor mask, double value = 0)
    {
        if (entry.Taken is not null)
        {
            mask.view(-1).IndexFill_(0, entry.Taken, value);
        }

        return mask;
    }

    /// <summary>Fine-tuned minus outside values; may be the fine-tuned tensor itself.</summary>
    private Tensor Delta(Entry entry) => _outside == GraftOutside.Zero ? entry.FineTuned : entry.FineTuned - entry.Pre;

    private void ForEach(Action<Entry> action)
    {
        using IDisposable noGradients = no_grad();
        foreach (Entry entry in _entries)
        {
            using DisposeScope scope = NewDisposeScope();
            action(entry);
        }
    }

    private Entry Find(string name) =>
        _entries.Find(entry => entry.Name == name)
        ?? throw new ArgumentException($"'{name}' is not one of the {_entries.Count} considered parameters.", nameof(name));

    /// <param name="name">The parameter's name.</param>
    /// <param name="offset">Number of scalars in the entries before this one.</param>
    /// <param name="weight">The working model's parameter.</param>
    /// <param name="fineTuned">The caller's fine-tuned parameter.</param>
    /// <param name="pre">The pre-trained values.</param>
    /// <param name="scores">S.</param>
    private sealed class Entry(string name, long offset, Parameter weight, Tensor fineTuned, Tensor pre, Tensor scores)
    {
        public string Name => name;

        public long Offset => offset;

        public Parameter Weight => weight;

        public Tensor FineTuned => fineTuned;

        public Tensor Pre => pre;

        public Tensor Scores => scores;

        /// <summary>Flat indices of the base patch, ascending; null when empty.</summary>
        public Tensor? Base { get; set; }

        /// <summary>Flat indices of earlier grafts, ascending; null when there are none.</summary>
        public Tensor? Taken { get; init; }
    }
}
