using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Onnx;

/// <summary>Rows as the inputs of an exported graph.</summary>
internal static class OnnxRows
{
    /// <summary>The inputs of a graph that rows have, in the order of <see cref="OnnxMetadata.Inputs"/>.</summary>
    /// <exception cref="InvalidDataException">It has others.</exception>
    public static string[] InputsOf(InferenceSession session, string source)
    {
        string[] known = OnnxMetadata.Inputs;
        string[] found = [.. known.Where(session.InputMetadata.ContainsKey)];
        return found.Length >= 2 && found.Length == session.InputMetadata.Count
            ? found
            : throw new InvalidDataException(
                $"{source} has the inputs {string.Join(", ", session.InputMetadata.Keys)}; an exported model has "
                    + $"{string.Join(", ", known[..2])} and, with segments, {known[2]}."
            );
    }

    /// <summary>Computes one output, <c>[batch, size]</c>, of the rows of a batch.</summary>
    /// <param name="session">The session.</param>
    /// <param name="options">The run's options.</param>
    /// <param name="rows">All rows.</param>
    /// <param name="batch">The places of the batch's rows.</param>
    /// <param name="inputs">The graph's inputs.</param>
    /// <param name="padding">The token that rows are padded with.</param>
    /// <param name="wanted">The output.</param>
    /// <param name="results">Where a vector for each row goes.</param>
    public static void Run(
        InferenceSession session,
        RunOptions options,
        IReadOnlyList<EncodedText> rows,
        int[] batch,
        string[] inputs,
        long padding,
        string[] wanted,
        float[][] results
    )
    {
        OrtValue[] values = Values(rows, batch, hasTypes: inputs.Length > 2, padding);
        try
        {
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(options, inputs, values, wanted);
            ReadOnlySpan<float> found = outputs[0].GetTensorDataAsSpan<float>();
            int size = found.Length / batch.Length;
            for (int i = 0; i < batch.Length; i++)
            {
                results[batch[i]] = found.Slice(i * size, size).ToArray();
            }
        }
        finally
        {
            Array.ForEach(values, value => value.Dispose());
        }
    }

    /// <summary>Token ids, mask and segments of a batch, padded on the right, Int64 <c>[batch, longest]</c>.</summary>
    /// <param name="rows">All rows.</param>
    /// <param name="batch">The places of the batch's rows.</param>
    /// <param name="hasTypes">Whether the graph reads segments.</param>
    /// <param name="padding">The token that rows are padded with.</param>
    /// <returns>Values in the order of <see cref="OnnxMetadata.Inputs"/>; the caller disposes them.</returns>
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
