using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Writes a pre-trained model as ONNX, once for all its grafts.</summary>
public static class OnnxBase
{
    private const string Labels = "labels";

    /// <summary>
    /// Writes a base model as one ONNX file (operator set 17, float32) whose task comes from a graft: <c>LoadOnnxModelSet</c> of the package
    /// SkillLoc.Onnx scores it with any number of graft files. In: <c>input_ids</c>, <c>attention_mask</c> and, for models with segments,
    /// <c>token_type_ids</c>, Int64 <c>[batch, sequence]</c>; <c>positions</c>, Int64 <c>[batch]</c>, the scored ones; and what differs
    /// from task to task: <c>words</c>, Int64 <c>[words]</c>, and the weights of a head. Out, float <c>[batch, words or labels]</c>: logits
    /// of the words and of the head.
    /// </summary>
    /// <param name="checkpoint">The base's checkpoint folder, or a name that <see cref="CheckpointHub"/> resolves.</param>
    /// <param name="path">The file, which is created or replaced at once.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such checkpoint.</exception>
    /// <exception cref="NotSupportedException">The model is an encoder-decoder (T5), which scores answers.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void Save(string checkpoint, string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        ArgumentException.ThrowIfNullOrEmpty(path);
        string folder = CheckpointHub.Resolve(checkpoint);
        using var model = LanguageModel.Load(folder);
        if (model.Config.IsEncoderDecoder)
        {
            throw new NotSupportedException(
                $"'{folder}' is a {model.Config.ModelType}, which scores answers: export each of its grafts with SaveOnnx."
            );
        }

        var tokenizer = CheckpointTokenizer.Load(folder);
        AtomicFile.Write(path, stream => Write(model, tokenizer, stream));
    }

    private static void Write(LanguageModel model, CheckpointTokenizer tokenizer, Stream stream)
    {
        using IDisposable gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        var graph = new OnnxModelBuilder();
        var layers = new OnnxLayers(graph, quantizes: false);
        var inputs = OnnxInputs.Add(graph, OnnxExport.HasTypes(model, tokenizer));
        graph.Input(OnnxMetadata.Positions, OnnxType.Int64, OnnxInputs.Batch);
        IOnnxBackbone backbone = model is Gpt2ForCausalLM gpt2
            ? new Gpt2Graph(layers, gpt2)
            : new EncoderGraph(layers, (MaskedLanguageModel)model);
        string hidden = backbone.HiddenAt(inputs with { Positions = OnnxMetadata.Positions });
        if (model.HasHead)
        {
            graph.Input(OnnxMetadata.Words, OnnxType.Int64, OnnxMetadata.Words);
            Output(OnnxMetadata.WordScores, backbone.WordScores(hidden, OnnxMetadata.Words), OnnxMetadata.Words);
        }

        ClassifierForm form = Architecture.Of(model.Config).Classifier;
        string width = $"{model.Config.HiddenSize}";
        graph.Input(OnnxMetadata.OutputWeight, OnnxType.Float, Labels, width);
        graph.Input(OnnxMetadata.OutputBias, OnnxType.Float, Labels);
        Output(OnnxMetadata.LinearScores, Projected(hidden), Labels);
        if (form.Dense.Length > 0)
        {
            graph.Input(OnnxMetadata.DenseWeight, OnnxType.Float, width, width);
            graph.Input(OnnxMetadata.DenseBias, OnnxType.Float, width);
            string dense = layers.Linear(hidden, OnnxMetadata.DenseWeight, OnnxMetadata.DenseBias);
            Output(OnnxMetadata.ClassScores, Projected(layers.Activate(dense, form.Activation, model.Config.Source)), Labels);
        }

        graph.Metadata(OnnxMetadata.Base, Description(model, graph).ToJson());
        OnnxExport.AddTokenizer(graph, tokenizer);
        graph.Write(stream);

        string Projected(string x) => layers.Linear(x, OnnxMetadata.OutputWeight, OnnxMetadata.OutputBias);

        void Output(string name, string value, string count)
        {
            graph.AddNamed("Identity", [value], [name]);
            graph.Output(name, OnnxType.Float, OnnxInputs.Batch, count);
        }
    }

    private static OnnxBaseModel Description(LanguageModel model, OnnxModelBuilder graph)
    {
        IReadOnlyDictionary<string, Parameter> parameters = model.Parameters;
        using LanguageModel encoder = model.Clone(_ => true, withHead: false);
        ClassifierForm form = Architecture.Of(model.Config).Classifier;
        (string Name, FloatWeight Weight)[] known =
        [
            .. graph.Floats.Where(pair => parameters.ContainsKey(pair.Value.Parameter)).Select(pair => (pair.Key, pair.Value)),
        ];
        return new()
        {
            Fingerprint = model.HasHead ? model.Fingerprint() : null,
            EncoderFingerprint = encoder.Fingerprint(),
            MaxLength = model.MaxLength,
            Width = model.Config.HiddenSize,
            Dense = form.Dense,
            Output = form.Output,
            Weights = known
                .Where(pair => !pair.Weight.IsDerived)
                .ToDictionary(pair => pair.Name, pair => Place(pair.Weight, parameters[pair.Weight.Parameter]), StringComparer.Ordinal),
            Derived =
            [
                .. known.Where(pair => pair.Weight.IsDerived).Select(pair => pair.Weight.Parameter).Distinct(StringComparer.Ordinal),
            ],
        };
    }

    private static OnnxWeight Place(FloatWeight weight, Tensor parameter) =>
        new(weight.Parameter, weight.Tensor.storage_offset() - parameter.storage_offset(), weight.Tensor.shape, weight.Tensor.stride());
}
