using SkillLoc.Models.Backbones;
using SkillLoc.Models.Onnx;
using static SkillLoc.Models.Tests.Onnx.ProtobufBytes;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>How a file differs from what PyTorch's newer exporter (<c>dynamo=True</c>) writes at operator set 18.</summary>
internal enum DynamoLayout
{
    /// <summary>Weights transposed and named <c>val_</c>, GELU of several operators, attention scaled on both sides.</summary>
    Opset18,

    /// <summary>The operator Gelu.</summary>
    Opset20,

    /// <summary>The operators Gelu and Attention, with the mask as truth values.</summary>
    Opset23,

    /// <summary>Attention whose heads are an attribute.</summary>
    JointHeads,

    /// <summary>What ONNX Runtime's optimiser makes of it: MultiHeadAttention with one bias for queries, keys and values.</summary>
    MultiHead,

    /// <summary>Not optimised: functions for norms and GELU, and weights that a node transposes.</summary>
    Functions,
}

/// <summary>Writes a BERT as PyTorch's newer exporter does. onnxscript, which that needs, is in no registry that the tests reach; the
/// operators are those that PyTorch 2.14's <c>_torchlib</c> and onnxscript's give for each of ATen's.</summary>
internal sealed class DynamoExport(LanguageModel model, DynamoLayout layout)
{
    private const string Library = "pkg.onnxscript.torch_lib";

    private readonly OnnxModelBuilder _graph = new();
    private int _weights;

    /// <summary>Writes the encoder with shapes that are fixed where they are given.</summary>
    public byte[] Write(string rows = "batch", string length = "sequence")
    {
        foreach (string input in new[] { "input_ids", "attention_mask", "token_type_ids" })
        {
            _graph.Input(input, OnnxType.Int64, rows, length);
        }

        string x = Embed();
        string mask = Mask();
        for (int i = 0; i < model.Config.Layers; i++)
        {
            x = Layer(x, mask, $"bert.encoder.layer.{i}");
        }

        _graph.AddNamed("Identity", [x], ["last_hidden_state"]);
        _graph.Output("last_hidden_state", OnnxType.Float, rows, length, $"{model.Config.HiddenSize}");
        using var file = new MemoryStream();
        _graph.Write(file);
        return [.. file.ToArray(), .. layout == DynamoLayout.Functions ? Functions() : []];
    }

    private string Embed()
    {
        const string Prefix = "bert.embeddings.";
        string words = _graph.Add("Gather", [Parameter(Prefix + "word_embeddings.weight"), "input_ids"], ("axis", 0L));
        string types = _graph.Add("Gather", [Parameter(Prefix + "token_type_embeddings.weight"), "token_type_ids"], ("axis", 0L));

        // The buffer of all positions, cut to the length.
        long most = model.Config.MaxPositions;
        string all = _graph.Int64([.. Enumerable.Range(0, (int)most).Select(place => (long)place)], 1, most);
        string length = _graph.Add("Shape", ["input_ids"], ("start", 1L), ("end", 2L));
        string places = _graph.Add("Slice", [all, _graph.Int64([0], 1), length, _graph.Int64([1], 1), _graph.Int64([1], 1)]);
        string positions = _graph.Add("Gather", [Parameter(Prefix + "position_embeddings.weight"), places], ("axis", 0L));
        return Norm(_graph.Add("Add", [_graph.Add("Add", [words, types]), positions]), Prefix + "LayerNorm");
    }

    /// <summary>Truth values, or 0 and minus infinity.</summary>
    private string Mask()
    {
        string read = _graph.Add("Cast", ["attention_mask"], ("to", (long)OnnxTypeOf.Bool));
        read = _graph.Add("Unsqueeze", [read, _graph.Int64([1, 2], 2)]);
        string length = _graph.Add("Shape", ["input_ids"], ("start", 1L), ("end", 2L));
        string rows = _graph.Add("Shape", ["input_ids"], ("start", 0L), ("end", 1L));
        string shape = _graph.Add("Concat", [rows, _graph.Int64([1], 1), length, length], ("axis", 0L));
        read = _graph.Add("Expand", [read, shape]);
        return layout is DynamoLayout.Opset23 or DynamoLayout.JointHeads
            ? read
            : _graph.Add("Where", [read, _graph.Scalar(0f), _graph.Scalar(float.MinValue)]);
    }

    private string Layer(string x, string mask, string prefix)
    {
        string attention = prefix + ".attention";
        string context =
            layout == DynamoLayout.MultiHead
                ? MultiHead(x, attention + ".self.", mask)
                : Attention(
                    Linear(x, attention + ".self.query"),
                    Linear(x, attention + ".self.key"),
                    Linear(x, attention + ".self.value"),
                    mask
                );
        x = Norm(_graph.Add("Add", [Linear(context, attention + ".output.dense"), x]), attention + ".output.LayerNorm");
        string up = Gelu(Linear(x, prefix + ".intermediate.dense"));
        return Norm(_graph.Add("Add", [Linear(up, prefix + ".output.dense"), x]), prefix + ".output.LayerNorm");
    }

    private string Attention(string query, string key, string value, string mask)
    {
        long heads = model.Config.Heads,
            width = model.Config.HiddenSize;
        float scale = 1 / MathF.Sqrt((float)width / heads);
        if (layout == DynamoLayout.JointHeads)
        {
            return _graph.Add("Attention", [query, key, value, mask], ("q_num_heads", heads), ("kv_num_heads", heads), ("scale", scale));
        }

        string q = Split(query),
            k = Split(key),
            v = Split(value);
        string context;
        if (layout == DynamoLayout.Opset23)
        {
            context = _graph.Add("Attention", [q, k, v, mask], ("scale", scale), ("is_causal", 0L));
        }
        else
        {
            // Keys are transposed with rows and heads in one dimension.
            string first = _graph.Add("Shape", [k], ("end", -2L)),
                length = _graph.Add("Shape", [k], ("start", -2L), ("end", -1L)),
                size = _graph.Add("Shape", [k], ("start", -1L));
            string joint = _graph.Add("Concat", [_graph.Int64([-1], 1), length, size], ("axis", 0L));
            k = _graph.Add("Transpose", [_graph.Add("Reshape", [k, joint])], ("perm", new long[] { 0, 2, 1 }));
            k = _graph.Add("Reshape", [k, _graph.Add("Concat", [first, size, length], ("axis", 0L))]);
            string root = _graph.Add("Sqrt", [_graph.Add("CastLike", [_graph.Scalar(scale), q])]);
            string scores = _graph.Add("MatMul", [_graph.Add("Mul", [q, root]), _graph.Add("Mul", [k, root])]);
            string weights = _graph.Add("Softmax", [_graph.Add("Add", [scores, mask])], ("axis", -1L));
            context = _graph.Add("MatMul", [weights, v]);
        }

        context = _graph.Add("Transpose", [context], ("perm", new long[] { 0, 2, 1, 3 }));
        return _graph.Add("Reshape", [context, _graph.Int64([0, 0, width], 3)]);

        string Split(string x) =>
            _graph.Add(
                "Transpose",
                [_graph.Add("Reshape", [x, _graph.Int64([0, 0, heads, width / heads], 4)])],
                ("perm", new long[] { 0, 2, 1, 3 })
            );
    }

    private string MultiHead(string x, string prefix, string mask)
    {
        string[] names = ["query", "key", "value"],
            inputs = [.. names.Select(name => Product(x, prefix + name))];
        string bias = _graph.Add(
            $"qkv_bias_{_weights++}",
            cat([.. names.Select(name => (Tensor)model.Parameters[$"{prefix}{name}.bias"])], 0)
        );
        string output = $"attention_{_weights++}";
        _graph.AddForeign(
            "com.microsoft",
            "MultiHeadAttention",
            output,
            [.. inputs, bias, "", mask],
            [output],
            ("num_heads", (long)model.Config.Heads)
        );
        return output;
    }

    private string Linear(string x, string name) => _graph.Add("Add", [Product(x, name), Parameter(name + ".bias")]);

    private string Product(string x, string name)
    {
        string weight =
            layout == DynamoLayout.Functions
                ? _graph.Add("Transpose", [Parameter(name + ".weight")], ("perm", new long[] { 1, 0 }))
                : _graph.Add($"val_{_weights++}", model.Parameters[name + ".weight"].t().contiguous());
        return _graph.Add("MatMul", [x, weight]);
    }

    private string Norm(string x, string name)
    {
        string[] inputs = [x, Parameter(name + ".weight"), Parameter(name + ".bias")];
        return layout == DynamoLayout.Functions
            ? Call("_aten_layer_norm_onnx", inputs, ("axis", -1L), ("eps", (float)model.Config.LayerNormEpsilon))
            : _graph.Add("LayerNormalization", inputs, ("axis", -1L), ("epsilon", (float)model.Config.LayerNormEpsilon));
    }

    private string Gelu(string x)
    {
        switch (layout)
        {
            case DynamoLayout.Functions:
                return Call("_aten_gelu_approximate_none", [x]);
            case DynamoLayout.Opset18:
                string erf = _graph.Add("Erf", [_graph.Add("Div", [x, _graph.Scalar(MathF.Sqrt(2))])]);
                erf = _graph.Add("Mul", [_graph.Scalar(0.5f), _graph.Add("Add", [erf, _graph.Scalar(1f)])]);
                return _graph.Add("Mul", [x, erf]);
            default:
                return _graph.Add("Gelu", [x], ("approximate", "none"));
        }
    }

    private string Call(string function, string[] inputs, params (string Name, object Value)[] attributes)
    {
        string output = $"{function}_{_weights++}";
        _graph.AddForeign(Library, function, "node_" + output, inputs, [output], attributes);
        return output;
    }

    private string Parameter(string name) => _graph.Add(name, model.Parameters[name]);

    /// <summary>The two functions, one of which calls a third.</summary>
    private static byte[] Functions()
    {
        byte[] epsilon = Field(5, [.. Text(1, "epsilon"), .. Varint(20, 1), .. Text(21, "eps")]),
            axis = Field(5, [.. Text(1, "axis"), .. Varint(20, 2), .. Text(21, "axis")]),
            stash = Field(5, [.. Text(1, "stash_type"), .. Varint(20, 2), .. Text(21, "none")]),
            half = Field(5, [.. Text(1, "value_float"), .. Fixed(2, 0.5f)]),
            one = Field(5, [.. Text(1, "value_float"), .. Fixed(2, 1)]),
            root = Field(5, [.. Text(1, "value_float"), .. Text(21, "root")]);
        return
        [
            .. Function(
                "_aten_layer_norm_onnx",
                ["input", "weight", "bias"],
                "result",
                Text(6, "axis"),
                Text(6, "eps"),
                Node("LayerNormalization", ["input", "weight", "bias"], "result", [.. epsilon, .. axis, .. stash])
            ),
            .. Function(
                "_aten_gelu_approximate_none",
                ["self"],
                "return_val",
                Node("Constant", [], "half", half),
                Node("_erf_of", ["self"], "inner", Text(7, Library)),
                Node("Mul", ["self", "half"], "small"),
                Node("Mul", ["small", "inner"], "return_val")
            ),
            .. Function(
                "_erf_of",
                ["self"],
                "all",
                Field(11, [.. Text(1, "root"), .. Fixed(2, MathF.Sqrt(2)), .. Varint(20, 1)]),
                Node("Constant", [], "root", root),
                Node("Constant", [], "one", one),
                Node("Div", ["self", "root"], "inner"),
                Node("Erf", ["inner"], "erf"),
                Node("Add", ["erf", "one"], "all")
            ),
        ];

        static byte[] Function(string name, string[] inputs, string output, params byte[][] fields) =>
            Field(
                25,
                [
                    .. Text(1, name),
                    .. inputs.SelectMany(input => Text(4, input)),
                    .. Text(5, output),
                    .. fields.SelectMany(field => field),
                    .. Text(10, Library),
                ]
            );

        static byte[] Node(string kind, string[] inputs, string output, byte[]? more = null) =>
            Field(7, [.. inputs.SelectMany(input => Text(1, input)), .. Text(2, output), .. Text(4, kind), .. more ?? []]);
    }

    private static class OnnxTypeOf
    {
        public const int Bool = 9;
    }
}
