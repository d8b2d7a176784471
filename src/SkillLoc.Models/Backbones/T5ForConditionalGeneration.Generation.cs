using SkillLoc.Models.Generation;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

public sealed partial class T5ForConditionalGeneration
{
    /// <summary>Number of steps that the caches have room for at first: the default limit.</summary>
    private const int FirstRoom = TextToTextTask.DefaultMaxOutputLength;

    /// <summary>
    /// Generates greedily: the most likely token at each step. Keys and values of earlier steps are cached, so each token costs one pass
    /// over one position; a batch ends when all its rows have ended.
    /// </summary>
    /// <param name="batch">Token ids of the encoder's texts.</param>
    /// <param name="maxNewTokens">Maximum number of tokens per row, end token included.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <returns>The token ids of each row, without the start and end tokens.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxNewTokens"/> is below 1.</exception>
    /// <exception cref="InvalidOperationException">The model was loaded without its head.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public IReadOnlyList<int[]> Generate(TokenBatch batch, int maxNewTokens, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        using Lifetime.Hold hold = Hold();
        using IDisposable inference = no_grad();
        using DisposeScope scope = NewDisposeScope();
        int rows = (int)batch.Ids.size(0);
        Tensor encoded = Encode(batch);
        Tensor? unread = Unread(batch),
            prefix = PeftModule?.KeyValues(decoder: true);
        long before = prefix?.size(3) ?? 0,
            past = PeftModule?.PastPositions ?? 0;

        // The caches have room for this many steps and grow when needed, so a high limit is free while answers are short.
        int room = Math.Min(maxNewTokens, FirstRoom);
        var pass = new T5Stack.Pass(false, HooksOf(batch, false, null));
        Cache[] caches =
        [
            .. Decoder.Layers.Select(
                (layer, i) => new Cache(Decoder.KeysAndValues(layer.Cross!, encoded, pass), Steps(prefix?[i, 0]), Steps(prefix?[i, 1]))
            ),
        ];

        // Distances of the last step to all before it, a past's included; those of step t are the last t + 1.
        Tensor distances = Decoder.PositionBias(past + room - 1, 1, past + room);
        List<int>[] written = [.. Enumerable.Range(0, rows).Select(_ => new List<int>())];
        bool[] ended = new bool[rows];
        IReadOnlyList<int> ends = Config.EosTokenIds;
        Tensor ids = TensorArithmetic.Full([rows, 1], StartId, batch.Ids.device);
        for (int step = 0; step < maxNewTokens && Array.Exists(ended, done => !done); step++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (step == room)
            {
                room = (int)Math.Min(maxNewTokens, 2L * room);
                caches = Array.ConvertAll(caches, cache => cache with { Keys = Grown(cache.Keys), Values = Grown(cache.Values) });
                distances.Dispose();
                distances = Decoder.PositionBias(past + room - 1, 1, past + room);
            }

            using DisposeScope one = NewDisposeScope();
            Tensor bias = Behind(before - past, distances.narrow(3, room - 1 - step, past + step + 1))!;
            Tensor? positions = pass.Hooks is null ? null : TensorArithmetic.Full([rows, 1], step, batch.Ids.device);
            Tensor hidden = Step(ids, before + step, caches, bias, unread, pass with { Positions = positions });
            Tensor next = WordScores(hidden.squeeze(1)).argmax(1);
            long[] chosen = next.cpu().data<long>().ToArray();
            for (int row = 0; row < rows; row++)
            {
                ended[row] |= ends.Contains((int)chosen[row]);
                if (!ended[row])
                {
                    written[row].Add((int)chosen[row]);
                }
            }

            // A row that has ended still runs; its tokens are ignored.
            ids = next.unsqueeze(1).MoveToOuterDisposeScope();
        }

        return [.. written.Select(row => row.ToArray())];

        // Keys or values: the known ones (a prefix's at first), and room for those of the steps.
        Tensor Steps(Tensor? known)
        {
            Tensor steps = zeros([rows, Config.Heads, before + room, Config.HeadSize], encoded.dtype, encoded.device);
            if (known is not null)
            {
                steps.narrow(2, 0, known.size(-2)).copy_(known);
            }

            return steps;
        }

        Tensor Grown(Tensor known)
        {
            Tensor grown = Steps(known);
            known.Dispose();
            return grown;
        }
    }

    /// <summary>Runs one step of the decoder: one token per row, whose keys and values are added to the caches.</summary>
    /// <param name="ids">Int64 <c>[rows, 1]</c>.</param>
    /// <param name="place">Position in the caches, after a prefix and the earlier steps.</param>
    /// <param name="caches">Keys and values of each layer.</param>
    /// <param name="bias">Added to the scores of the self-attention, <c>[1, heads, 1, place + 1]</c>.</param>
    /// <param name="unread">True where the encoder's output is padding; null without padding.</param>
    /// <param name="pass">The pass.</param>
    private Tensor Step(Tensor ids, long place, Cache[] caches, Tensor bias, Tensor? unread, T5Stack.Pass pass)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor hidden = Decoder.Start(WordsOf(ids), pass);
        for (int i = 0; i < caches.Length; i++)
        {
            (T5Stack.Attention self, T5Stack.Attention cross) = (Decoder.Layers[i].Self, Decoder.Layers[i].Cross!);
            BlockHookPoints points = Decoder.Layers[i].Points;
            hidden = pass.At(points.ResidPre, hidden);
            Tensor normed = Decoder.Normalise(hidden, self.Norm);
            (Tensor key, Tensor value) = Decoder.KeysAndValues(self, normed, pass);
            caches[i].Keys.narrow(2, place, 1).copy_(key);
            caches[i].Values.narrow(2, place, 1).copy_(value);
            Tensor keys = caches[i].Keys.narrow(2, 0, place + 1),
                values = caches[i].Values.narrow(2, 0, place + 1);
            hidden = pass.At(points.ResidMid, hidden.Add(Decoder.Attend(self, normed, keys, values, bias, pass)));
            (keys, values) = caches[i].Text;
            hidden = pass.At(
                points.ResidMidCross!,
                hidden.Add(Decoder.Attend(cross, Decoder.Normalise(hidden, cross.Norm), keys, values, null, pass, unread))
            );
            hidden = Decoder.FeedForward(i, hidden, pass);
        }

        return Decoder.End(hidden, pass).MoveToOuterDisposeScope();
    }

    /// <summary>Keys and values of a decoder layer: those of the text, computed once, and those of the steps so far.</summary>
    private sealed record Cache((Tensor Keys, Tensor Values) Text, Tensor Keys, Tensor Values);
}
