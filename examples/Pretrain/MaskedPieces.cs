using SkillLoc.Models.Backbones;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Pretrain;

/// <summary>A batch of pieces with some tokens hidden (Devlin et al. 2019, section 3.1), and what was hidden.</summary>
public sealed class MaskedPieces : IDisposable
{
    private MaskedPieces(TokenBatch batch, Tensor places, Tensor hidden)
    {
        Batch = batch;
        Places = places;
        Hidden = hidden;
    }

    /// <summary>What the model sees.</summary>
    public TokenBatch Batch { get; }

    /// <summary>Where tokens were chosen, Int64 <c>[chosen]</c>, counted over the rows of <c>[batch, length]</c> one after
    /// another.</summary>
    public Tensor Places { get; }

    /// <summary>The tokens that stood there, Int64 <c>[chosen]</c>.</summary>
    public Tensor Hidden { get; }

    /// <summary>Chooses tokens at random: 80 % become the mask, 10 % another token, 10 % stay.</summary>
    /// <param name="pieces">Pieces that start and end with a special token.</param>
    /// <param name="rate">The share of the other tokens that is chosen; at least one is.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="random">Decides.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="weights">By how much the rate of each token differs, by its id; null for not at all.</param>
    public static MaskedPieces Create(
        IReadOnlyList<int[]> pieces,
        double rate,
        CheckpointTokenizer tokenizer,
        Random random,
        Device? device = null,
        IReadOnlyList<double>? weights = null
    )
    {
        ArgumentNullException.ThrowIfNull(pieces);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(random);
        int length = pieces.Max(piece => piece.Length);
        var rows = new EncodedText[pieces.Count];
        List<long> places = [],
            hidden = [];
        int certain = random.Next(1, pieces[0].Length - 1);
        for (int row = 0; row < rows.Length; row++)
        {
            int[] ids = [.. pieces[row]];
            for (int i = 1; i < ids.Length - 1; i++)
            {
                if (random.NextDouble() >= rate * (weights?[ids[i]] ?? 1) && (row > 0 || i != certain))
                {
                    continue;
                }

                places.Add(((long)row * length) + i);
                hidden.Add(ids[i]);
                ids[i] = random.Next(10) switch
                {
                    < 8 => tokenizer.MaskId,
                    8 => random.Next(tokenizer.VocabularySize),
                    _ => ids[i],
                };
            }

            rows[row] = new(ids, tokenizer.UsesTokenTypes ? new int[ids.Length] : null, Position: 0);
        }

        return new(
            TokenBatch.Create(rows, tokenizer.PadId, device),
            tensor(places, device: device).DetachFromDisposeScope(),
            tensor(hidden, device: device).DetachFromDisposeScope()
        );
    }

    /// <summary>The model's scores of all words at the chosen places.</summary>
    /// <returns><c>[chosen, vocabulary]</c>.</returns>
    public Tensor Scores(LanguageModel model, bool training)
    {
        ArgumentNullException.ThrowIfNull(model);
        using DisposeScope scope = NewDisposeScope();
        Tensor states = model.Encode(Batch, training);
        return model.WordScores(states.view(-1, states.size(2)).index_select(0, Places)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Batch.Dispose();
        Places.Dispose();
        Hidden.Dispose();
    }
}
