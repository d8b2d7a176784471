using System.Text.Json.Nodes;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Writes embedders as ONNX.</summary>
public static class OnnxEmbedder
{
    private const float Smallest = 1e-12f;

    /// <summary>
    /// Writes an embedder as one ONNX file (operator set 17, standard operators): <c>input_ids</c>, <c>attention_mask</c> and, for models
    /// with segments, <c>token_type_ids</c>, Int64 <c>[batch, sequence]</c>, in; the hidden states of its layer,
    /// <c>[batch, sequence, hidden]</c>, called <c>last_hidden_state</c> for the last layer and <c>token_embeddings</c> for others, and
    /// <c>sentence_embedding</c>, float <c>[batch, size]</c>, out: pooled, through dense layers and normalised as the embedder does it. What a
    /// tuning method learnt is in the weights or beside them. Template, prompt, length and tokenizer are in the file's
    /// metadata; <c>LoadOnnxEmbedder</c> of the package SkillLoc.Onnx loads it.
    /// </summary>
    /// <param name="embedder">The embedder.</param>
    /// <param name="path">The file, which is created or replaced at once.</param>
    /// <param name="quantization">The numbers that the model's linear layers compute with; dense layers behind pooling stay float32.</param>
    /// <exception cref="NotSupportedException">The model cannot be exported; the message says why. Nothing is written.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void SaveOnnx(this TextEmbedder embedder, string path, OnnxQuantization quantization = OnnxQuantization.None)
    {
        ArgumentNullException.ThrowIfNull(embedder);
        AtomicFile.Write(path, stream => Write(embedder, stream, quantization));
    }

    /// <summary>Writes an embedder as a folder of sentence-transformers that runs on ONNX: <c>onnx/model.onnx</c> as <see cref="SaveOnnx"/>
    /// writes it, <c>config.json</c>, the tokenizer, <c>modules.json</c>, what says how vectors are pooled, computed and
    /// normalised, and the prompts, of which the embedder's is the default.</summary>
    /// <param name="embedder">The embedder: of an encoder's last layer, without template.</param>
    /// <param name="folder">The folder; files of the same names in it are replaced, all at once.</param>
    /// <param name="quantization">The numbers that the model's linear layers compute with.</param>
    /// <exception cref="NotSupportedException">The model cannot be exported, or such a folder cannot say what the embedder does; the message
    /// says why. Nothing is written.</exception>
    /// <exception cref="IOException">The folder cannot be written; what was there before is unchanged.</exception>
    public static void SaveOnnxFolder(this TextEmbedder embedder, string folder, OnnxQuantization quantization = OnnxQuantization.None)
    {
        ArgumentNullException.ThrowIfNull(embedder);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ActivationReader reader = embedder.Reader;
        string? other =
            reader.Model is not MaskedLanguageModel { Architecture: var architecture } ? $"a {reader.Model.Config.ModelType} is no encoder"
            : embedder.Layer != reader.Model.Config.Layers ? $"it embeds with layer {embedder.Layer}, which is not the last"
            : reader.Template is not null ? "it has a template"
            : embedder.Pooling == TextPooling.ScoredPosition ? $"it pools by {embedder.Pooling}"
            : null;
        if (other is not null)
        {
            throw new NotSupportedException(
                $"A folder of sentence-transformers cannot say what this embedder does: {other}. SaveOnnx writes it as a file."
            );
        }

        ModelConfig config = reader.Model.Config;
        config = config.WithArchitecture(Architecture.Of(config).ClassPrefix + "Model");
        AtomicFolder.Write(
            folder,
            stage =>
            {
                File.WriteAllText(Path.Join(stage, "config.json"), config.ToJson());
                CheckpointTokenizer tokenizer = reader.Tokenizer!;
                foreach (string file in tokenizer.Files)
                {
                    File.WriteAllBytes(Path.Join(stage, Path.GetFileName(file)), File.ReadAllBytes(file));
                }

                SentenceModules.Write(stage, embedder.Pooling, reader.Model.Config.HiddenSize, reader.MaxLength, reader.Modules);
                Directory.CreateDirectory(Path.Join(stage, "onnx"));
                using FileStream stream = File.Create(Path.Join(stage, "onnx", "model.onnx"));
                Write(embedder, stream, quantization);
            }
        );
    }

    private static void Write(TextEmbedder embedder, Stream stream, OnnxQuantization quantization)
    {
        ActivationReader reader = embedder.Reader;
        CheckpointTokenizer tokenizer = reader.Tokenizer!;
        using IDisposable gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = OnnxExport.Folded(reader.Model);
        var graph = new OnnxModelBuilder();
        var layers = new OnnxLayers(graph, quantization == OnnxQuantization.Int8);
        var inputs = OnnxInputs.Add(graph, OnnxExport.HasTypes(model, tokenizer));
        string hidden = model switch
        {
            MaskedLanguageModel encoder => new EncoderGraph(layers, encoder).Hidden(inputs, embedder.Layer),
            Gpt2ForCausalLM gpt2 => new Gpt2Graph(layers, gpt2).Hidden(inputs.Ids, embedder.Layer),
            T5ForConditionalGeneration t5 => new T5Graph(layers, t5).Hidden(inputs, embedder.Layer),
            _ => throw new NotSupportedException($"A {model.Config.ModelType} cannot be exported to ONNX."),
        };
        string tokens = embedder.Layer == model.Config.Layers ? "last_hidden_state" : "token_embeddings";
        graph.AddNamed("Identity", [hidden], [tokens]);
        graph.Output(tokens, OnnxType.Float, OnnxInputs.Batch, "sequence", $"{reader.Point.Size}");
        string vector = Finish(layers, Pool(layers, hidden, inputs, reader, model), reader.Modules);
        graph.AddNamed("Identity", [vector], [OnnxMetadata.SentenceEmbedding]);
        graph.Output(OnnxMetadata.SentenceEmbedding, OnnxType.Float, OnnxInputs.Batch, $"{embedder.Size}");
        var description = new OnnxEmbeddingModel
        {
            Template = reader.Template,
            Prompt = embedder.Prompt,
            MaxLength = reader.MaxLength,
            ScoresLast = model.Config.IsCausal && reader.Template is null,
            Size = embedder.Size,
        };
        graph.Metadata(OnnxMetadata.Embedding, description.ToJson());
        OnnxExport.AddTokenizer(graph, tokenizer);
        graph.Write(stream);
    }

    private static string Pool(OnnxLayers layers, string hidden, OnnxInputs inputs, ActivationReader reader, LanguageModel model)
    {
        OnnxModelBuilder graph = layers.Graph;
        string axis = graph.Int64([1]),
            last = graph.Int64([-1]),
            mask = inputs.Mask;
        if (reader.UnpooledTokens > 0)
        {
            string place = graph.Add("CumSum", [mask, graph.Scalar(1)]);
            string isPooled = graph.Add("Greater", [place, graph.Scalar((long)reader.UnpooledTokens)]);
            mask = layers.Mul(mask, graph.Add("Cast", [isPooled], ("to", (long)OnnxType.Int64)));
        }

        switch (reader.Pooling)
        {
            case TextPooling.FirstToken:
                return graph.Add("Gather", [hidden, graph.Scalar(0)], ("axis", 1L));
            case TextPooling.ScoredPosition:
                string places = layers.Positions(
                    inputs,
                    model.Config.IsCausal && reader.Template is null,
                    reader.Template,
                    reader.Tokenizer!
                );
                return graph.Add("Squeeze", [layers.At(hidden, places), axis]);
            case TextPooling.Max:
                string isToken = graph.Add("Cast", [graph.Add("Unsqueeze", [mask, last])], ("to", (long)OnnxType.Bool));
                string read = graph.Add("Where", [isToken, hidden, graph.Scalar(ActivationReader.Lowest)]);
                return graph.Add("ReduceMax", [read], ("axes", new long[] { 1 }), ("keepdims", 0L));
            default:
                string counts = graph.Add("Cast", [graph.Add("Unsqueeze", [mask, last])], ("to", (long)OnnxType.Float));
                string sum = graph.Add("ReduceSum", [layers.Mul(hidden, counts), axis], ("keepdims", 0L)),
                    count = graph.Add("ReduceSum", [counts, axis], ("keepdims", 0L));
                return graph.Add("Div", [sum, reader.UnpooledTokens > 0 ? graph.Add("Max", [count, graph.Scalar(1f)]) : count]);
        }
    }

    private static string Finish(OnnxLayers layers, string vector, SentenceModules? modules)
    {
        OnnxModelBuilder graph = layers.Graph;
        for (int i = 0; i < modules?.Dense.Count; i++)
        {
            SentenceDense dense = modules.Dense[i];
            vector = layers.Linear(vector, $"dense.{i}", dense.Weight, dense.Bias, isHead: true);
            vector = layers.Activate(vector, dense.Activation, "the dense layer");
        }

        if (modules?.IsNormalised != true)
        {
            return vector;
        }

        string length = graph.Add("ReduceL2", [vector], ("axes", new long[] { 1 }), ("keepdims", 1L));
        return graph.Add("Div", [vector, graph.Add("Max", [length, graph.Scalar(Smallest)])]);
    }
}
