using SkillLoc.Models.Backbones;
using SkillLoc.Models.Prompts;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Rows of tokens that a graph and a model compute.</summary>
/// <param name="Batch">The rows.</param>
/// <param name="Mask">1 for tokens, Int64 <c>[rows, length]</c>.</param>
internal sealed record OnnxSample(TokenBatch Batch, Tensor Mask)
{
    /// <summary>Makes rows of several lengths, of tokens from all over the vocabulary.</summary>
    public static OnnxSample Create(int rows, int length, int vocabulary, bool hasTypes, bool hasMask, int padding)
    {
        EncodedText[] texts =
        [
            .. Enumerable
                .Range(0, rows)
                .Select(row =>
                {
                    int own = hasMask ? Math.Max(1, length * (rows - row) / rows) : length;
                    int[] ids = [.. Enumerable.Range(0, own).Select(place => (int)((((row * 1009L) + place + 1) * 7919) % vocabulary))];
                    int[]? types = hasTypes ? [.. Enumerable.Range(0, own).Select(place => place * 2 / own)] : null;
                    return new EncodedText(ids, types, 0);
                }),
        ];
        long[] mask = [.. texts.SelectMany(text => Enumerable.Range(0, length).Select(place => place < text.Ids.Length ? 1L : 0L))];
        return new(TokenBatch.Create(texts, padding), tensor(mask, rows, length));
    }
}
