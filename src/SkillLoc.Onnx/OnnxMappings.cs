using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>Part of saved models: a text as the inputs of an exported graph.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxEncodingMapping : CustomMappingFactory<OnnxEncodingMapping.Input, OnnxGraphInputs>
{
    internal const string Contract = "SkillLoc.OnnxEncodeText";

    /// <inheritdoc/>
    public override Action<Input, OnnxGraphInputs> GetMapping()
    {
        Func<ReadOnlyMemory<char>, OnnxEncoder> encoder = SavedOnnxScorer.Restored();
        return (input, output) => output.Set(encoder(input.State).Encode(input.Text.ToString(), null));
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The metadata of the ONNX file.</summary>
        [ColumnName(SavedOnnxScorer.StateColumn)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>Part of saved models: a pair of texts as the inputs of an exported graph.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxPairEncodingMapping : CustomMappingFactory<OnnxPairEncodingMapping.Input, OnnxGraphInputs>
{
    internal const string Contract = "SkillLoc.OnnxEncodeTextPair";

    /// <inheritdoc/>
    public override Action<Input, OnnxGraphInputs> GetMapping()
    {
        Func<ReadOnlyMemory<char>, OnnxEncoder> encoder = SavedOnnxScorer.Restored();
        return (input, output) => output.Set(encoder(input.State).Encode(input.Text.ToString(), input.TextPair.ToString()));
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

        /// <summary>The metadata of the ONNX file.</summary>
        [ColumnName(SavedOnnxScorer.StateColumn)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>The output of the encoding mappings of saved models.</summary>
public sealed class OnnxGraphInputs
{
    /// <summary>Token ids, <c>[length]</c>.</summary>
    [ColumnName("input_ids")]
    public long[] Ids { get; set; } = [];

    /// <summary>1 for each token, <c>[length]</c>.</summary>
    [ColumnName("attention_mask")]
    public long[] Mask { get; set; } = [];

    /// <summary>Segments, <c>[length]</c>; zeros for models without.</summary>
    [ColumnName("token_type_ids")]
    public long[] Types { get; set; } = [];

    /// <summary>Sets the inputs of a row.</summary>
    internal void Set(EncodedText row)
    {
        Ids = Array.ConvertAll(row.Ids, id => (long)id);
        Mask = new long[Ids.Length];
        Array.Fill(Mask, 1);
        Types = row.TokenTypes is null ? new long[Ids.Length] : Array.ConvertAll(row.TokenTypes, type => (long)type);
    }
}

/// <summary>Part of saved models: the probabilities of a graph as labels and scores.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxScoresMapping : CustomMappingFactory<OnnxScoresMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.OnnxScores";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        Func<ReadOnlyMemory<char>, OnnxEncoder> encoder = SavedOnnxScorer.Restored();
        return (input, output) => output.Set(input.Probabilities, encoder(input.State).Settings);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>One probability per label.</summary>
        [ColumnName(SavedOnnxScorer.Probabilities)]
        public float[] Probabilities { get; set; } = [];

        /// <summary>The metadata of the ONNX file.</summary>
        [ColumnName(SavedOnnxScorer.StateColumn)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}
