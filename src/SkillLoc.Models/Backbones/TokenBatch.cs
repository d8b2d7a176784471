using SkillLoc.Models.Prompts;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>A right-padded batch of token ids on a device. Disposing the batch releases its tensors.</summary>
public sealed class TokenBatch : IDisposable
{
    private readonly IReadOnlyList<EncodedText> _rows;

    private TokenBatch(IReadOnlyList<EncodedText> rows, Tensor ids, Tensor? mask, Tensor? tokenTypes, Tensor positions)
    {
        _rows = rows;
        Ids = ids;
        Mask = mask;
        TokenTypes = tokenTypes;
        Positions = positions;
    }

    /// <summary>Token ids, Int64 <c>[batch, length]</c>.</summary>
    public Tensor Ids { get; }

    /// <summary>Attention mask, true for tokens, <c>[batch, 1, 1, length]</c>; null if no row is padded.</summary>
    public Tensor? Mask { get; }

    /// <summary>Segment ids, Int64 <c>[batch, length]</c>; null for models with one segment.</summary>
    public Tensor? TokenTypes { get; }

    /// <summary>The scored position of each row (that of the mask, or 0), Int64 <c>[batch]</c>.</summary>
    public Tensor Positions { get; }

    /// <summary>Pads rows to the longest of them and moves them to a device.</summary>
    /// <param name="rows">At least one row; none may be empty.</param>
    /// <param name="padId">The padding id.</param>
    /// <param name="device">The device; the CPU by default.</param>
    /// <returns>The batch.</returns>
    /// <exception cref="ArgumentException">There is no row, or a row without tokens.</exception>
    public static TokenBatch Create(IReadOnlyList<EncodedText> rows, int padId, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0)
        {
            throw new ArgumentException("A batch needs at least one row.", nameof(rows));
        }

        int batch = rows.Count;
        int length = rows.Max(row => row.Ids.Length);
        int shortest = rows.Min(row => row.Ids.Length);
        if (shortest == 0)
        {
            throw new ArgumentException("A row without tokens cannot be scored.", nameof(rows));
        }

        long[] ids = new long[batch * length];
        long[] positions = new long[batch];
        bool[]? mask = shortest == length ? null : new bool[batch * length];
        long[]? types = rows[0].TokenTypes is null ? null : new long[batch * length];
        Array.Fill(ids, padId);
        for (int i = 0; i < batch; i++)
        {
            EncodedText row = rows[i];
            positions[i] = row.Position;
            for (int j = 0, at = i * length; j < row.Ids.Length; j++, at++)
            {
                ids[at] = row.Ids[j];
                if (mask is not null)
                {
                    mask[at] = true;
                }

                if (types is not null && row.TokenTypes is not null)
                {
                    types[at] = row.TokenTypes[j];
                }
            }
        }

        return new(
            rows,
            tensor(ids, batch, length, device: device).DetachFromDisposeScope(),
            mask is null ? null : tensor(mask, batch, 1, 1, length, device: device).DetachFromDisposeScope(),
            types is null ? null : tensor(types, batch, length, device: device).DetachFromDisposeScope(),
            tensor(positions, device: device).DetachFromDisposeScope()
        );
    }

    /// <summary>Whether a row has a token other than padding.</summary>
    internal bool Holds(int id)
    {
        foreach (EncodedText row in _rows)
        {
            if (row.Ids.AsSpan().Contains(id))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Positions that are incremented at every token but one, which has the position before the first.</summary>
    /// <param name="uncounted">The token that is not counted.</param>
    /// <param name="first">The position of the first counted token.</param>
    /// <returns>Int64 <c>[batch, length]</c>; the caller disposes it.</returns>
    internal Tensor CountedPositions(int uncounted, int first)
    {
        int length = (int)Ids.size(1);
        long[] positions = new long[_rows.Count * length];
        Array.Fill(positions, first - 1);
        for (int i = 0; i < _rows.Count; i++)
        {
            int next = first;
            for (int j = 0; j < _rows[i].Ids.Length; j++)
            {
                positions[(i * length) + j] = _rows[i].Ids[j] == uncounted ? first - 1 : next++;
            }
        }

        return tensor(positions, _rows.Count, length, device: Ids.device);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Ids.Dispose();
        Mask?.Dispose();
        TokenTypes?.Dispose();
        Positions.Dispose();
    }
}
