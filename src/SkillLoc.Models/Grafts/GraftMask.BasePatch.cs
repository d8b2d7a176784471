using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Grafts;

// The base patch (methods, A.12, step 2, and the baselines of A.13).
public sealed partial class GraftMask
{
    /// <summary>Number of surplus candidates collected before they are sorted.</summary>
    private const int RankingSlack = 1 << 20;
    private const int NamedDifferences = 3;

    /// <summary>Flat indices over all considered scalars, largest movement first, ties in index order; null until computed.</summary>
    private Tensor? _ranking;

    /// <summary>
    /// Sets the base patch to the K = floor(sparsity N) coordinates with the largest |fine-tuned - pre|; ties go to the lowest flat index
    /// (methods, A.12).
    /// </summary>
    /// <param name="sparsity">Share of the considered scalars, in [0, 1].</param>
    public void SetBasePatch(double sparsity)
    {
        long wanted = Wanted(sparsity);
        if (wanted == Count)
        {
            SetBase(FreeIndices);
            return;
        }

        RankMovement(sparsity);
        long[] chosen = [];
        if (wanted > 0)
        {
            using Tensor prefix = _ranking!.narrow(0, 0, wanted);
            using Tensor local = prefix.cpu();
            chosen = local.data<long>().ToArray();
            Array.Sort(chosen);
        }

        SetBase(chosen);
    }

    /// <summary>
    /// Ranks the coordinates by movement once for several base patches: later calls of <see cref="SetBasePatch(double)"/> with this
    /// sparsity or a smaller one only select from the ranking.
    /// </summary>
    /// <param name="sparsity">The largest share of the considered scalars that will be asked for, in [0, 1].</param>
    public void RankMovement(double sparsity)
    {
        long wanted = Wanted(sparsity);
        if (wanted <= (_ranking?.numel() ?? 0) || wanted == Count)
        {
            return;
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        List<Tensor> values = [],
            places = [];
        long gathered = 0;
        float bound = -1;
        foreach (Entry entry in _entries)
        {
            using DisposeScope each = NewDisposeScope();

            // The entries come in index order, so what only equals the last of those kept has lost against it.
            Tensor movement = Free(entry, (entry.FineTuned - entry.Pre).to(ScalarType.Float32).abs_(), -1).view(-1);
            Tensor inside = movement.Gt(bound).nonzero().view(-1);
            values.Add(movement.index_select(0, inside).MoveToOtherDisposeScope(scope));
            places.Add(inside.Add(entry.Offset).MoveToOtherDisposeScope(scope));
            gathered += inside.numel();
            if (gathered - wanted > Math.Max(wanted, RankingSlack))
            {
                Keep();
                bound = values[0][wanted - 1].item<float>();
            }
        }

        Keep();
        _ranking?.Dispose();
        _ranking = places[0].DetachFromDisposeScope();

        void Keep()
        {
            using DisposeScope each = NewDisposeScope();

            // Only what reaches the K-th largest is sorted; a stable sort keeps ties in index order.
            Tensor all = cat(values);
            Tensor reaching = all.ge(all.topk((int)wanted, sorted: false).Item1.min()).nonzero().view(-1);
            (Tensor sorted, Tensor order) = all.index_select(0, reaching).sort(0, descending: true, stable: true);
            Tensor first = sorted.narrow(0, 0, wanted).clone();
            Tensor firstPlaces = cat(places).index_select(0, reaching.index_select(0, order.narrow(0, 0, wanted)));
            foreach (Tensor old in values.Concat(places))
            {
                old.Dispose();
            }

            values = [first.MoveToOtherDisposeScope(scope)];
            places = [firstPlaces.MoveToOtherDisposeScope(scope)];
            gathered = wanted;
        }
    }

    /// <summary>Sets the base patch to K = floor(sparsity N) coordinates drawn uniformly: a random control (methods, D.6).</summary>
    /// <param name="sparsity">Share of the considered scalars, in [0, 1].</param>
    /// <param name="seed">Seed of the draw.</param>
    public void SetRandomBasePatch(double sparsity, int seed)
    {
        // Selection sampling: each coordinate is taken with probability wanted / left, which gives exactly K of them in order.
        var random = new Random(seed);
        long wanted = Wanted(sparsity),
            left = Count;
        SetBase(entry =>
        {
            HashSet<long> taken = entry.Taken is null ? [] : [.. entry.Taken.cpu().data<long>().ToArray()];
            var chosen = new List<long>();
            for (long i = 0, count = entry.Pre.numel(); i < count && wanted > 0; i++)
            {
                if (taken.Contains(i))
                {
                    continue;
                }

                if (random.NextDouble() * left < wanted)
                {
                    chosen.Add(i);
                    wanted--;
                }

                left--;
            }

            return tensor(chosen.ToArray(), device: entry.Pre.device);
        });
    }

    /// <summary>Sets the base patch to all coordinates of selected parameters, such as all biases.</summary>
    /// <param name="selects">Returns true for the names of parameters in the patch.</param>
    public void SetBasePatch(Func<string, bool> selects)
    {
        ArgumentNullException.ThrowIfNull(selects);
        SetBase(entry => selects(entry.Name) ? FreeIndices(entry) : null);
    }

    /// <summary>
    /// Reads the base patch from a file: a graft's coordinates, or one tensor per considered parameter. If any entry of those tensors is
    /// above 1 they are scores, and sigmoid(S - beta) is taken first; then they are clipped to [0, 1] and rounded.
    /// </summary>
    /// <param name="path">A graft, or any safetensors file.</param>
    /// <param name="baseFingerprint">The fingerprint of the base model that a graft must have been made for.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or belongs to another base model or other parameters.</exception>
    public void ReadBasePatch(string path, string baseFingerprint)
    {
        using var file = SafetensorsFile.Open(path);
        if (Graft.IsGraft(file))
        {
            TakeCoordinates(Graft.Load(path), path, baseFingerprint);
            return;
        }

        CheckParameters(path, file.Tensors.Select(info => (info.Name, (long[]?)info.Shape)), whole: true);
        bool scores = _entries.Exists(entry =>
        {
            using DisposeScope scope = NewDisposeScope();
            return file.Read(entry.Name, ScalarType.Float32).max().item<float>() > 1;
        });
        SetBase(entry =>
        {
            Tensor values = file.Read(entry.Name, ScalarType.Float32, entry.Pre.device);
            values = scores ? values.Sub_(_sigmoidBias).sigmoid_() : values;
            return Free(entry, values.Clamp_(0, 1).round_()).view(-1).nonzero().view(-1);
        });
    }

    private void TakeCoordinates(Graft graft, string path, string baseFingerprint)
    {
        if (graft.BaseFingerprint != baseFingerprint)
        {
            throw new InvalidDataException(
                $"{path} is a graft for the base model with fingerprint {graft.BaseFingerprint}, and this base has {baseFingerprint}."
            );
        }

        CheckParameters(path, graft.Parts.Select(part => (part.Name, (long[]?)null)), whole: false);
        var indices = graft.Parts.ToDictionary(part => part.Name, part => part.Indices, StringComparer.Ordinal);
        SetBase(entry =>
        {
            if (!indices.TryGetValue(entry.Name, out int[]? given))
            {
                return null;
            }

            if (given.Length > 0 && (given[0] < 0 || given[^1] >= entry.Pre.numel()))
            {
                throw new InvalidDataException($"{path} has scalar {given[^1]} of '{entry.Name}', which has {entry.Pre.numel()} scalars.");
            }

            Tensor mask = zeros([entry.Pre.numel()], dtype: ScalarType.Bool, device: entry.Pre.device);
            mask.IndexFill_(0, tensor(Array.ConvertAll(given, i => (long)i), device: mask.device), 1);
            return Free(entry, mask).nonzero().view(-1);
        });
    }

    /// <summary>Throws unless a mask file's parameters are considered ones, of the same shapes, and all of them where it must be
    /// whole.</summary>
    private void CheckParameters(string path, IEnumerable<(string Name, long[]? Shape)> given, bool whole)
    {
        var own = _entries.ToDictionary(entry => entry.Name, entry => entry.Pre.shape, StringComparer.Ordinal);
        List<string> differences = [];
        foreach ((string name, long[]? shape) in given)
        {
            if (!own.Remove(name, out long[]? considered))
            {
                differences.Add($"'{name}' is not considered");
            }
            else if (shape is not null && !shape.SequenceEqual(considered))
            {
                differences.Add($"'{name}' is [{string.Join(", ", shape)}] and should be [{string.Join(", ", considered)}]");
            }
        }

        if (whole)
        {
            differences.AddRange(own.Keys.Select(name => $"'{name}' is missing"));
        }

        if (differences.Count > 0)
        {
            throw new InvalidDataException(
                $"{path} is a mask for other parameters than the {_entries.Count} considered: "
                    + $"{string.Join("; ", differences.Take(NamedDifferences))}"
                    + (differences.Count > NamedDifferences ? $"; and {differences.Count - NamedDifferences} more." : ".")
            );
        }
    }

    private long Wanted(double sparsity)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sparsity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sparsity, 1);
        return (long)Math.Floor(sparsity * Count);
    }

    private static Tensor FreeIndices(Entry entry) =>
        entry.Taken is null
            ? TensorArithmetic.Arange(0, entry.Pre.numel(), entry.Pre.device)
            : Free(entry, ones([entry.Pre.numel()], dtype: ScalarType.Bool, device: entry.Pre.device)).nonzero().view(-1);

    /// <summary>Sets the base patch from ascending flat indices over all considered scalars.</summary>
    private void SetBase(long[] flat)
    {
        int start = 0;
        SetBase(entry =>
        {
            int end = start;
            while (end < flat.Length && flat[end] < entry.Offset + entry.Pre.numel())
            {
                flat[end] -= entry.Offset;
                end++;
            }

            Tensor own = tensor(flat[start..end], device: entry.Pre.device);
            start = end;
            return own;
        });
    }

    private void SetBase(Func<Entry, Tensor?> indices) =>
        ForEach(entry =>
        {
            Tensor? chosen = indices(entry);
            entry.Base?.Dispose();
            entry.Base = chosen is null || chosen.numel() == 0 ? null : chosen.DetachFromDisposeScope();
        });
}
