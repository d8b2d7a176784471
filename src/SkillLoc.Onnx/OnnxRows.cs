using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>Rows as the inputs of an exported graph.</summary>
internal static class OnnxRows
{
    /// <summary>Token ids, mask and segments of a batch, padded on the right, Int64 <c>[batch, longest]</c>.</summary>
    /// <param name="rows">All rows.</param>
    /// <param name="batch">The places of the batch's rows.</param>
    /// <param name="hasTypes">Whether the graph reads segments.</param>
    /// <param name="padding">The token that rows are padded with.</param>
    /// <returns>Values in the order of <see cref="Models.Classification.OnnxMetadata.Inputs"/>; the caller disposes them.</returns>
    public static OrtValue[] Values(IReadOnlyList<EncodedText> rows, int[] batch, bool hasTypes, long padding)
    {
        int length = batch.Max(row => rows[row].Ids.Length);
        long[] ids = new long[batch.Length * length],
            mask = new long[ids.Length];
        long[]? types = hasTypes ? new long[ids.Length] : null;
        if (padding != 0)
        {
            Array.Fill(ids, padding);
        }

        for (int i = 0; i < batch.Length; i++)
        {
            EncodedText row = rows[batch[i]];
            int start = i * length;
            for (int j = 0; j < row.Ids.Length; j++)
            {
                ids[start + j] = row.Ids[j];
                if (types is not null && row.TokenTypes is not null)
                {
                    types[start + j] = row.TokenTypes[j];
                }
            }

            mask.AsSpan(start, row.Ids.Length).Fill(1);
        }

        long[] shape = [batch.Length, length];
        long[][] inputs = types is null ? [ids, mask] : [ids, mask, types];
        return Array.ConvertAll(inputs, input => OrtValue.CreateTensorValueFromMemory(input, shape));
    }
}
