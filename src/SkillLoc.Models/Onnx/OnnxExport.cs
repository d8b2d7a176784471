using System.Globalization;
using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>Writes a classifier as one ONNX file: token ids in, logits, probabilities and labels out.</summary>
internal sealed class OnnxExport
{
    private const string Batch = OnnxInputs.Batch;

    private readonly TextClassifier _classifier;
    private readonly OnnxExportOptions _options;
    private readonly OnnxModelBuilder _graph = new();
    private readonly OnnxLayers _layers;

    private OnnxExport(TextClassifier classifier, OnnxExportOptions options)
    {
        _classifier = classifier;
        _options = options;
        _layers = new(_graph, options.Quantization == OnnxQuantization.Int8);
    }

    /// <summary>Writes a classifier.</summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="stream">Where the file goes.</param>
    /// <param name="options">What is written.</param>
    /// <exception cref="NotSupportedException">No graph for this kind of model is known; the message says why.</exception>
    public static void Write(TextClassifier classifier, Stream stream, OnnxExportOptions options)
    {
        using IDisposable gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Folded(classifier.Backbone);
        var export = new OnnxExport(classifier, options);
        export.Build(model);
        export._graph.Write(stream);
    }

    /// <summary>A copy with what a tuning method changed folded into the weights, as far as it can be. The rest is shared.</summary>
    internal static LanguageModel Folded(LanguageModel model)
    {
        LanguageModel copy = model.Clone(name => model.PeftModule?.FoldsInto(name) != true);
        copy.FoldAdaptation();
        return copy;
    }

    private void Build(LanguageModel model)
    {
        ClassifierSettings settings = _classifier.Settings;
        CheckpointTokenizer tokenizer = _classifier.Tokenizer;
        if (settings.Labels.Count == 0)
        {
            throw new NotSupportedException("A model that writes free text cannot be exported to ONNX; one whose labels are answers can.");
        }

        bool hasTypes = HasTypes(model, tokenizer);
        OnnxInputs inputs = IsEmbedded ? new OnnxTextInputs(_graph, settings, tokenizer).Add(hasTypes) : OnnxInputs.Add(_graph, hasTypes);
        string logits = model switch
        {
            MaskedLanguageModel encoder => OfHead(new EncoderGraph(_layers, encoder), model, inputs),
            Gpt2ForCausalLM gpt2 when _classifier.Head is OptionHead options => OfOptions(new(_layers, gpt2), options, inputs),
            Gpt2ForCausalLM gpt2 => OfHead(new Gpt2Graph(_layers, gpt2), model, inputs),
            T5ForConditionalGeneration t5 => new T5Graph(_layers, t5).LogLikelihoods(inputs, ((AnswerHead)_classifier.Head).Answers!),
            _ => throw new NotSupportedException($"A {model.Config.ModelType} cannot be exported to ONNX."),
        };
        Outputs(logits, settings);
        _graph.Metadata(OnnxMetadata.Settings, settings.ToJson());
        if (IsEmbedded)
        {
            return;
        }

        AddTokenizer(_graph, tokenizer);
    }

    /// <summary>Whether a graph reads segments.</summary>
    internal static bool HasTypes(LanguageModel model, CheckpointTokenizer tokenizer) =>
        tokenizer.UsesTokenTypes && model is MaskedLanguageModel;

    /// <summary>Adds what turns texts into the inputs of a graph to its metadata.</summary>
    internal static void AddTokenizer(OnnxModelBuilder graph, CheckpointTokenizer tokenizer)
    {
        graph.Metadata(OnnxMetadata.Padding, tokenizer.PadId.ToString(CultureInfo.InvariantCulture));
        string config = Path.Combine(tokenizer.Folder, "config.json");
        foreach (string path in File.Exists(config) ? tokenizer.Files.Append(config) : tokenizer.Files)
        {
            graph.Metadata(OnnxMetadata.Tokenizer + Path.GetFileName(path), Convert.ToBase64String(File.ReadAllBytes(path)));
        }
    }

    private bool IsEmbedded => _options.Tokenizer == OnnxTokenizer.Embedded;

    private string OfHead(IOnnxBackbone backbone, LanguageModel model, OnnxInputs inputs)
    {
        string hidden = backbone.HiddenAt(inputs with { Positions = Positions(model, inputs) });
        ClassificationHead head = _classifier.Head;
        switch (head)
        {
            case VerbalizerHead words:
                return backbone.WordScores(hidden, words.Words);
            case SequenceClassificationHead classifier:
                ClassifierForm form = classifier.Form;
                return form.Dense.Length == 0
                    ? Linear(form.Output, hidden)
                    : Linear(form.Output, _layers.Activate(Linear(form.Dense, hidden), form.Activation, model.Config.Source));
            case LinearHead:
                return Linear(LinearHead.Projection, hidden);
            default:
                throw new NotSupportedException($"A head of the kind {head.Kind} cannot be exported to ONNX.");
        }

        string Linear(string name, string x) =>
            _layers.Linear(
                x,
                name,
                head.Parameters[name + ".weight"],
                head.Parameters.TryGetValue(name + ".bias", out Parameter? bias) ? bias : null,
                isHead: true
            );
    }

    /// <summary>The scored position of each row, Int64 <c>[batch]</c>.</summary>
    private string Positions(LanguageModel model, OnnxInputs inputs)
    {
        ClassifierSettings settings = _classifier.Settings;
        bool readsMask = settings.Template is not null && settings.Head is HeadKind.LabelWords or HeadKind.MaskTokenLinear;
        return _layers.Positions(inputs, model.Config.IsCausal, readsMask ? settings.Template : null, _classifier.Tokenizer);
    }

    /// <summary>Mean log-likelihoods of whole options after the text: each row once per option.</summary>
    private string OfOptions(Gpt2Graph model, OptionHead head, OnnxInputs inputs)
    {
        int[][] options = head.Options;
        int longest = options.Max(option => option.Length);
        string axis = _graph.Int64([1]);
        string length = _graph.Add("ReduceSum", [inputs.Mask, axis], ("keepdims", 1L));
        string rows = _graph.Add("Slice", [_graph.Add("Shape", [inputs.Ids]), _graph.Int64([0]), _graph.Int64([1])]);
        string room = _graph.Add("Concat", [rows, _graph.Int64([longest])], ("axis", 0L));
        string padded = _graph.Add("Concat", [inputs.Ids, _graph.Add("Expand", [_graph.Int64([0], 1, 1), room])], ("axis", 1L));

        // Each row's text, then the option: [options batch, sequence + longest], all rows of an option together.
        string places = _graph.Int64([.. Enumerable.Range(0, longest).Select(place => (long)place)], 1, longest);
        string behind = _layers.Sum(length, places);
        string[] sequences =
        [
            .. options.Select(option =>
            {
                long[] tokens = [.. option.Select(id => (long)id), .. Enumerable.Repeat(0L, longest - option.Length)];
                string written = _graph.Add("Expand", [_graph.Int64(tokens, 1, longest), room]);
                return _graph.Add("ScatterElements", [padded, behind, written], ("axis", 1L));
            }),
        ];
        string ids = _graph.Add("Concat", sequences, ("axis", 0L));
        string positions = _graph.Add("Sub", [behind, _graph.Scalar(1)]);
        positions = _graph.Add("Concat", [.. options.Select(_ => positions)], ("axis", 0L));
        string scores = _graph.Add("LogSoftmax", [model.AllScores(model.HiddenAt(ids, positions))], ("axis", -1L));

        // What each option's own tokens have, and their mean.
        string[] means =
        [
            .. options.Select(
                (option, label) =>
                {
                    string first = _layers.Mul(rows, _graph.Int64([label]));
                    string own = _graph.Add("Slice", [scores, first, _graph.Add("Add", [first, rows]), _graph.Int64([0])]);
                    string indices = _graph.Int64([.. option.SelectMany((id, place) => new[] { place, (long)id })], option.Length, 2);
                    string turned = _graph.Add("Transpose", [own], ("perm", new long[] { 1, 2, 0 }));
                    return _graph.Add(
                        "ReduceMean",
                        [_graph.Add("GatherND", [turned, indices])],
                        ("axes", new long[] { 0 }),
                        ("keepdims", 1L)
                    );
                }
            ),
        ];
        return _graph.Add("Transpose", [_graph.Add("Concat", means, ("axis", 0L))], ("perm", new long[] { 1, 0 }));
    }

    private void Outputs(string logits, ClassifierSettings settings)
    {
        string labels = settings.Labels.Count.ToString(CultureInfo.InvariantCulture);
        if (_options.Temperature != 1)
        {
            logits = _graph.Add("Div", [logits, _graph.Scalar((float)_options.Temperature)]);
        }

        if (IsEmbedded)
        {
            NamedOutputs(logits, settings);
            return;
        }

        _graph.AddNamed("Identity", [logits], ["logits"]);
        _graph.Output("logits", OnnxType.Float, Batch, labels);
        if (settings.IsMultiLabel)
        {
            _graph.AddNamed("Sigmoid", ["logits"], ["probabilities"]);
        }
        else
        {
            _graph.AddNamed("Softmax", ["logits"], ["probabilities"], ("axis", -1L));
        }

        _graph.Output("probabilities", OnnxType.Float, Batch, labels);
        if (settings.ScoreRange is { } range)
        {
            _graph.AddNamed("Identity", [InRange("probabilities", _graph.Scalar(1), range)], ["score"]);
            _graph.Output("score", OnnxType.Float, Batch);
        }
        else if (!settings.IsMultiLabel)
        {
            string best = _graph.Add("ArgMax", ["logits"], ("axis", -1L), ("keepdims", 0L));
            _graph.AddNamed("Gather", [_graph.Texts("labels", settings.Labels), best], ["label"], ("axis", 0L));
            _graph.Output("label", OnnxType.Text, Batch);
        }
    }

    private string InRange(string probabilities, string index, ScoreRange range)
    {
        string share = _graph.Add("Gather", [probabilities, index], ("axis", 1L));
        return _layers.Sum(_layers.Mul(share, _graph.Scalar(range.Highest - range.Lowest)), _graph.Scalar(range.Lowest));
    }

    /// <summary>Outputs that are called as ML.NET's columns. Its OnnxTransformer takes the slots' names from a node of a certain
    /// name.</summary>
    private void NamedOutputs(string logits, ClassifierSettings settings)
    {
        string probabilities = settings.IsMultiLabel ? _graph.Add("Sigmoid", [logits]) : _graph.Add("Softmax", [logits], ("axis", -1L));
        if (settings.ScoreRange is { } range)
        {
            _graph.AddNamed("Identity", [InRange(probabilities, _graph.Int64([1]), range)], ["Score"]);
            _graph.Output("Score", OnnxType.Float, "1", "1");
            return;
        }

        _graph.AddNamed("Identity", [probabilities], ["Score"]);
        _graph.Output("Score", OnnxType.Float, "1", settings.Labels.Count.ToString(CultureInfo.InvariantCulture));
        string labels = _graph.Texts("labels", settings.Labels);
        string best = _graph.Add("ArgMax", [logits], ("axis", -1L), ("keepdims", 0L));
        string label = _graph.Add("Gather", [labels, best], ("axis", 0L));
        _graph.AddForeign(
            "ai.onnx.ml",
            "LabelEncoder",
            "mlnet.Score.SlotNames",
            [label],
            ["PredictedSlot"],
            ("keys_strings", settings.Labels.ToArray()),
            ("values_int64s", Enumerable.Range(0, settings.Labels.Count).Select(slot => (long)slot).ToArray())
        );
        if (!settings.IsMultiLabel)
        {
            _graph.AddNamed("Identity", [label], ["PredictedLabel"]);
            _graph.Output("PredictedLabel", OnnxType.Text, "1");
        }
    }
}
