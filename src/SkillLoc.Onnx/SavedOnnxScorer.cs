using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>The state of a saved scorer: how it scores, and which model; the model itself is a text beside it.</summary>
internal sealed record SavedOnnxScorer
{
    public const string StateColumn = "SkillLoc.OnnxState";
    public const string ModelColumn = "SkillLoc.OnnxModel";

    /// <summary>SHA-256 of the ONNX file.</summary>
    public required string Hash { get; init; }

    public int Threads { get; init; }

    public int Optimization { get; init; }

    public int BatchTokens { get; init; }

    /// <summary>The built-in transformers that contain a model and score with it.</summary>
    public static ITransformer Carrier(ScoringColumns columns, TaskOutputs outputs, OnnxTextScorer scorer, byte[] model)
    {
        var state = new SavedOnnxScorer
        {
            Hash = Convert.ToHexStringLower(SHA256.HashData(model)),
            Threads = scorer.Options.Threads,
            Optimization = (int)scorer.Options.Optimization,
            BatchTokens = scorer.Options.BatchTokens,
        };
        return ScorerCarrier.Create(
            columns,
            outputs,
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                [StateColumn] = SavedState.Write(state),
                [ModelColumn] = PackedBytes.Write(model),
            },
            ml =>
                columns.TextPair is null
                    ? ml.Transforms.CustomMapping(new OnnxScoringMapping().GetMapping(), OnnxScoringMapping.Contract)
                    : ml.Transforms.CustomMapping(new OnnxPairScoringMapping().GetMapping(), OnnxPairScoringMapping.Contract)
        );
    }

    /// <summary>The scorer of a state.</summary>
    /// <exception cref="InvalidDataException">State or model is damaged.</exception>
    public OnnxTextScorer Load(ReadOnlySpan<char> packed)
    {
        byte[] model = PackedBytes.Read(packed);
        return Convert.ToHexStringLower(SHA256.HashData(model)) == Hash
            ? OnnxTextScorer.Load(
                model,
                new()
                {
                    Threads = Threads,
                    Optimization = (GraphOptimizationLevel)Optimization,
                    BatchTokens = BatchTokens,
                }
            )
            : throw new InvalidDataException(
                "The ONNX model in the ML.NET model is damaged: its SHA-256 is another than when it was saved."
            );
    }
}

/// <summary>The scorer of a loaded model, restored at the first row. Thread-safe. Models of the same state share one.</summary>
internal sealed class RestoredOnnxScorer
{
    private static readonly Dictionary<string, WeakReference<OnnxTextScorer>> Restored = new(StringComparer.Ordinal);

    private (ReadOnlyMemory<char> State, OnnxTextScorer Scorer)? _current;
    private readonly Lock _lock = new();

    public void Score(ReadOnlyMemory<char> state, ReadOnlyMemory<char> model, string text, string? pair, ScoredRow output)
    {
        OnnxTextScorer scorer = Restore(state, model);
        output.Set(scorer.Score([scorer.Encode(text, pair)])[0], scorer.Settings);
    }

    private OnnxTextScorer Restore(ReadOnlyMemory<char> state, ReadOnlyMemory<char> model)
    {
        lock (_lock)
        {
            // The state is one constant in every row; where it also lies in one place, this compares nothing.
            if (_current is { } current && current.State.Span.SequenceEqual(state.Span))
            {
                return current.Scorer;
            }
        }

        OnnxTextScorer? scorer;
        string key = state.ToString();
        lock (Restored)
        {
            if (!Restored.TryGetValue(key, out WeakReference<OnnxTextScorer>? known) || !known.TryGetTarget(out scorer))
            {
                scorer = SavedState.Read<SavedOnnxScorer>(key).Load(model.Span);
                Restored[key] = new(scorer);
            }
        }

        lock (_lock)
        {
            _current = (state, scorer);
        }

        return scorer;
    }
}

/// <summary>Part of saved models: scores a text by the ONNX model beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxScoringMapping : CustomMappingFactory<OnnxScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.OnnxScoreText";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        var scorer = new RestoredOnnxScorer();
        return (input, output) => scorer.Score(input.State, input.Model, input.Text.ToString(), null, output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The state of the scorer.</summary>
        [ColumnName(SavedOnnxScorer.StateColumn)]
        public ReadOnlyMemory<char> State { get; set; }

        /// <summary>The ONNX model.</summary>
        [ColumnName(SavedOnnxScorer.ModelColumn)]
        public ReadOnlyMemory<char> Model { get; set; }
    }
}

/// <summary>Part of saved models: scores a pair of texts by the ONNX model beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxPairScoringMapping : CustomMappingFactory<OnnxPairScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.OnnxScoreTextPair";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        var scorer = new RestoredOnnxScorer();
        return (input, output) => scorer.Score(input.State, input.Model, input.Text.ToString(), input.TextPair.ToString(), output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The second text.</summary>
        [ColumnName(CarrierColumns.TextPair)]
        public ReadOnlyMemory<char> TextPair { get; set; }

        /// <summary>The state of the scorer.</summary>
        [ColumnName(SavedOnnxScorer.StateColumn)]
        public ReadOnlyMemory<char> State { get; set; }

        /// <summary>The ONNX model.</summary>
        [ColumnName(SavedOnnxScorer.ModelColumn)]
        public ReadOnlyMemory<char> Model { get; set; }
    }
}

/// <summary>Bytes as text, 15 bits a character, since ML.NET's models hold texts: about as many bytes in memory as there were.</summary>
internal static class PackedBytes
{
    private const int Bits = 15;

    // The first of 32,768 characters without surrogates.
    private const char First = '\u3400';

    /// <summary>Packs bytes; their number comes first.</summary>
    public static string Write(byte[] bytes)
    {
        byte[] length = BitConverter.GetBytes(bytes.LongLength);
        int count = (int)((((bytes.LongLength + length.Length) * 8) + Bits - 1) / Bits);
        return string.Create(
            count,
            (length, bytes),
            static (text, parts) =>
            {
                uint held = 0;
                int bits = 0,
                    place = 0;
                foreach (byte[] part in new[] { parts.length, parts.bytes })
                {
                    foreach (byte value in part)
                    {
                        held |= (uint)value << bits;
                        bits += 8;
                        if (bits >= Bits)
                        {
                            text[place++] = (char)(First + (held & 0x7FFF));
                            held >>= Bits;
                            bits -= Bits;
                        }
                    }
                }

                if (place < text.Length)
                {
                    text[place] = (char)(First + held);
                }
            }
        );
    }

    /// <summary>Unpacks what <see cref="Write"/> packed.</summary>
    /// <exception cref="InvalidDataException">The text is damaged.</exception>
    public static byte[] Read(ReadOnlySpan<char> text)
    {
        long all = (long)text.Length * Bits / 8;
        if (all < sizeof(long))
        {
            throw Damaged();
        }

        byte[] bytes = GC.AllocateUninitializedArray<byte>((int)all);
        uint held = 0;
        int bits = 0,
            place = 0;
        foreach (char character in text)
        {
            uint value = (uint)(character - First);
            if (value > 0x7FFF)
            {
                throw Damaged();
            }

            held |= value << bits;
            bits += Bits;
            while (bits >= 8 && place < bytes.Length)
            {
                bytes[place++] = (byte)held;
                held >>= 8;
                bits -= 8;
            }
        }

        long length = MemoryMarshal.Read<long>(bytes);
        return length >= 0 && length <= all - sizeof(long) ? bytes[sizeof(long)..(int)(sizeof(long) + length)] : throw Damaged();
    }

    private static InvalidDataException Damaged() => new("The ONNX model in the ML.NET model is damaged.");
}
