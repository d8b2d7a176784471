using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>
/// A saved scorer: ML.NET's OnnxTransformer, which holds the file, between a mapping that encodes texts and one that names what was scored.
/// Their state is the file's metadata.
/// </summary>
internal static class SavedOnnxScorer
{
    public const string StateColumn = "SkillLoc.OnnxState";
    public const string Probabilities = "probabilities";

    private static readonly StateCache<OnnxEncoder> Encoders = new(state =>
        new(SavedState.Read<Dictionary<string, string>>(state), "The ONNX model in the ML.NET model")
    );

    /// <summary>The transformers that contain a model and score with it.</summary>
    /// <param name="columns">The columns.</param>
    /// <param name="outputs">What is predicted.</param>
    /// <param name="scorer">The scorer.</param>
    /// <param name="path">Its file.</param>
    public static ITransformer Carrier(ScoringColumns columns, TaskOutputs outputs, OnnxTextScorer scorer, string path)
    {
        string[] inputs = [.. scorer.Inputs];
        return ScorerCarrier.Create(
            columns,
            outputs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [StateColumn] = SavedState.Write(scorer.Encoder.Metadata) },
            ml =>
                new EstimatorChain<ITransformer>()
                    .Append(Encoding(ml, columns))
                    .Append<ITransformer>(Applied(ml, path, inputs, Probabilities))
                    .Append<ITransformer>(ml.Transforms.CustomMapping(new OnnxScoresMapping().GetMapping(), OnnxScoresMapping.Contract)),
            between: [.. OnnxMetadata.Inputs, Probabilities]
        );
    }

    /// <summary>The transformers that contain an embedder and embed with it.</summary>
    /// <param name="columns">The text columns.</param>
    /// <param name="outputColumn">The column that is added.</param>
    /// <param name="embedder">The embedder.</param>
    /// <param name="path">Its file.</param>
    public static ITransformer Carrier(ScoringColumns columns, string outputColumn, OnnxTextEmbedder embedder, string path)
    {
        var ml = new MLContext();
        EstimatorChain<ITransformer> chain = ScorerCarrier.Texts(ml, columns, out List<string> dropped);
        string state = SavedState.Write(embedder.Encoder.Metadata);
        return chain
            .Append<ITransformer>(SavedState.Constant(ml, StateColumn, state.AsMemory()))
            .Append(Encoding(ml, columns))
            .Append<ITransformer>(Applied(ml, path, embedder.Inputs, OnnxMetadata.SentenceEmbedding))
            .Append<ITransformer>(ml.Transforms.Concatenate(outputColumn, OnnxMetadata.SentenceEmbedding))
            .Append<ITransformer>(
                ml.Transforms.DropColumns([.. dropped, StateColumn, .. OnnxMetadata.Inputs, OnnxMetadata.SentenceEmbedding])
            )
            .Fit(ScorerCarrier.EmptyInput(ml, columns));
    }

    /// <summary>The encoder of a state. Thread-safe; a state that lies in one place is compared by its place.</summary>
    public static Func<ReadOnlyMemory<char>, OnnxEncoder> Restored()
    {
        Current? current = null;
        return state =>
        {
            Current? known = current;
            if (known is null || !known.State.Span.SequenceEqual(state.Span))
            {
                current = known = new(state, Encoders.Get(state.ToString()));
            }

            return known.Encoder;
        };
    }

    private static OnnxScoringEstimator Applied(MLContext ml, string path, string[] inputs, string output) =>
        ml.Transforms.ApplyOnnxModel(
            new OnnxOptions
            {
                ModelFile = path,
                InputColumns = inputs,
                OutputColumns = [output],
            }
        );

    private static IEstimator<ITransformer> Encoding(MLContext ml, ScoringColumns columns) =>
        columns.TextPair is null
            ? ml.Transforms.CustomMapping(new OnnxEncodingMapping().GetMapping(), OnnxEncodingMapping.Contract)
            : ml.Transforms.CustomMapping(new OnnxPairEncodingMapping().GetMapping(), OnnxPairEncodingMapping.Contract);

    private sealed record Current(ReadOnlyMemory<char> State, OnnxEncoder Encoder);
}
