using System.Numerics;
using System.Runtime.InteropServices;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Onnx;

/// <summary>The layers that the architectures share, as standard operators in the shapes that ONNX Runtime fuses.</summary>
/// <param name="graph">The graph they are added to.</param>
/// <param name="quantizes">Whether linear layers compute in int8.</param>
internal sealed class OnnxLayers(OnnxModelBuilder graph, bool quantizes)
{
    // What is added where attention must not look: its exponential is 0 in float32, and float16 can hold it.
    internal const float Masked = -10000;

    // Below this a number counts as 0, so that nothing is divided by it.
    private const float Smallest = 1e-12f;

    // Rounded, 64: ONNX Runtime adds two products of bytes in 16 bits where a processor lacks VNNI, and 255 * (64 + 64) still fits.
    private const float LargestWeight = 63.5f;

    // Numbers that are rotated together before they are quantised: enough to spread an outlier, few enough to cost next to nothing.
    private const int LargestBlock = 32;

    private readonly Dictionary<string, (string[] Whole, string Size)> _quantized = new(StringComparer.Ordinal);

    /// <summary>The graph.</summary>
    public OnnxModelBuilder Graph => graph;

    /// <summary>x · weightᵀ + bias, for x <c>[..., in]</c> and a weight <c>[out, in]</c> as Hugging Face stores it.</summary>
    /// <param name="x">The input.</param>
    /// <param name="name">The layer's name.</param>
    /// <param name="weight">The weight, which must live until the file is written.</param>
    /// <param name="bias">The bias; null for none.</param>
    /// <param name="isHead">Whether it is a head's, which stays float32: it is small, and its errors are those of the scores.</param>
    /// <param name="parameters">The names of the parameters that weight and bias are views of; by default those of the layer's name.</param>
    public string Linear(
        string x,
        string name,
        Tensor weight,
        Tensor? bias,
        bool isHead = false,
        (string? Weight, string? Bias) parameters = default
    )
    {
        (long rows, long columns) = (weight.size(1), weight.size(0));
        string product;
        if (quantizes && !isHead)
        {
            // Symmetric, one step a column of [in, out].
            (string[] whole, string size) = Quantized(x, rows);

            // The steps are written right after the values, and found with them.
            float[] steps = [];
            graph.Add(
                $"{name}.weight_int8",
                OnnxType.Int8,
                [rows, columns],
                1,
                () =>
                {
                    (byte[] values, steps) = Quantize(weight);
                    return values;
                }
            );
            graph.Add(
                $"{name}.weight_scale",
                OnnxType.Float,
                [columns],
                sizeof(float),
                () => MemoryMarshal.AsBytes<float>(steps).ToArray()
            );
            string sum = graph.Add("MatMulInteger", [whole[0], $"{name}.weight_int8", whole[2]]);
            string step = Mul(whole[1], $"{name}.weight_scale");
            product = Mul(Mul(graph.Add("Cast", [sum], ("to", (long)OnnxType.Float)), step), size);
        }
        else
        {
            graph.Add($"{name}.weight", weight.detach().transpose(0, 1), parameters.Weight);
            product = graph.Add("MatMul", [x, $"{name}.weight"]);
        }

        return bias is null ? product : graph.Add("Add", [product, graph.Add($"{name}.bias", bias, parameters.Bias)]);
    }

    /// <summary>x · weightᵀ + bias, for a weight <c>[out, in]</c> and a bias that are inputs of the graph.</summary>
    public string Linear(string x, string weight, string bias) =>
        Sum(graph.Add("MatMul", [x, graph.Add("Transpose", [weight], ("perm", new long[] { 1, 0 }))]), bias);

    /// <summary>The products of hidden states with some rows of a table.</summary>
    /// <param name="x"><c>[batch, width]</c>.</param>
    /// <param name="table"><c>[rows, width]</c>.</param>
    /// <param name="rows">Int64 <c>[count]</c>.</param>
    /// <returns><c>[batch, count]</c>.</returns>
    public string Rows(string x, string table, string rows)
    {
        string some = graph.Add("Gather", [table, rows], ("axis", 0L));
        return graph.Add("MatMul", [x, graph.Add("Transpose", [some], ("perm", new long[] { 1, 0 }))]);
    }

    /// <summary>A value in bytes, their step and their zero, and what each token was divided by before: its largest number, so that an
    /// outlier of one token costs the others nothing. Layers that read the same value share it.</summary>
    /// <remarks>Blocks of the value are rotated by a Hadamard matrix before, and those of the weights likewise, which leaves their product
    /// as it is and spreads outliers (Ashkboos et al. 2024, arXiv:2404.00456, section 3).</remarks>
    private (string[] Whole, string Size) Quantized(string x, long width)
    {
        if (!_quantized.TryGetValue(x, out (string[] Whole, string Size) found))
        {
            string rotated = Rotated(x, width);
            string largest = graph.Add("ReduceMax", [graph.Add("Abs", [rotated])], ("axes", new long[] { -1 }), ("keepdims", 1L));
            string size = graph.Add("Max", [largest, graph.Scalar(Smallest)]);
            string[] whole = [$"{x}_bytes", $"{x}_step", $"{x}_zero"];
            graph.AddNamed("DynamicQuantizeLinear", [graph.Add("Div", [rotated, size])], whole);
            found = (whole, size);
            _quantized.Add(x, found);
        }

        return found;
    }

    /// <summary>A value whose blocks are multiplied by a Hadamard matrix.</summary>
    private string Rotated(string x, long width)
    {
        int block = Block(width);
        string rotation = graph.Numbers(Hadamard(block), block, block);
        string blocks = graph.Add("MatMul", [graph.Add("Reshape", [x, graph.Int64([-1, block])]), rotation]);
        return graph.Add("Reshape", [blocks, graph.Add("Shape", [x])]);
    }

    /// <summary>The greatest power of two that divides a width, at most <see cref="LargestBlock"/>.</summary>
    private static int Block(long width) => (int)Math.Min(width & -width, LargestBlock);

    /// <summary>The Hadamard matrix of Sylvester, symmetric and orthogonal, <c>[size, size]</c> row by row.</summary>
    /// <param name="size">A power of two.</param>
    private static float[] Hadamard(int size)
    {
        float[] matrix = new float[size * size];
        for (int i = 0; i < matrix.Length; i++)
        {
            float sign = BitOperations.PopCount((uint)(i / size & i % size)) % 2 == 0 ? 1 : -1;
            matrix[i] = sign / MathF.Sqrt(size);
        }

        return matrix;
    }

    /// <summary>Layer normalisation over the last dimension.</summary>
    public string Normalise(string x, string name, Tensor weight, Tensor bias, double epsilon) =>
        graph.Add(
            "LayerNormalization",
            [x, graph.Add($"{name}.weight", weight), graph.Add($"{name}.bias", bias)],
            ("axis", -1L),
            ("epsilon", (float)epsilon)
        );

    /// <summary>An activation function.</summary>
    /// <exception cref="NotSupportedException">No graph for it is known.</exception>
    public string Activate(string x, ModelConfig config) => Activate(x, config.HiddenActivation, config.Source);

    /// <summary>An activation function by its name in configurations.</summary>
    /// <exception cref="NotSupportedException">No graph for it is known.</exception>
    public string Activate(string x, string name, string source) =>
        name switch
        {
            "gelu" or "gelu_python" => Gelu(x),
            "gelu_new" or "gelu_fast" or "gelu_accurate" or "gelu_pytorch_tanh" or "gelu_python_tanh" => TanhGelu(x),
            "relu" => graph.Add("Relu", [x]),
            "silu" or "swish" => Mul(x, graph.Add("Sigmoid", [x])),
            "quick_gelu" => Mul(x, graph.Add("Sigmoid", [Mul(x, graph.Scalar(1.702f))])),
            "tanh" => graph.Add("Tanh", [x]),
            "sigmoid" => graph.Add("Sigmoid", [x]),
            "linear" => x,
            string other => throw new NotSupportedException($"The activation '{other}' of {source} cannot be exported to ONNX."),
        };

    /// <summary>x/2 (1 + erf(x/√2)).</summary>
    public string Gelu(string x)
    {
        string erf = graph.Add("Erf", [graph.Add("Div", [x, graph.Scalar((float)Math.Sqrt(2))])]);
        return Mul(Mul(x, graph.Add("Add", [erf, graph.Scalar(1f)])), graph.Scalar(0.5f));
    }

    /// <summary>x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))).</summary>
    public string TanhGelu(string x)
    {
        string cube = graph.Add("Pow", [x, graph.Scalar(3f)]);
        string inner = graph.Add("Add", [x, Mul(cube, graph.Scalar(0.044715f))]);
        string tanh = graph.Add("Tanh", [Mul(inner, graph.Scalar((float)Math.Sqrt(2 / Math.PI)))]);
        return Mul(Mul(x, graph.Scalar(0.5f)), graph.Add("Add", [tanh, graph.Scalar(1f)]));
    }

    /// <summary>The product of two values.</summary>
    public string Mul(string first, string second) => graph.Add("Mul", [first, second]);

    /// <summary>The sum of two values.</summary>
    public string Sum(string first, string second) => graph.Add("Add", [first, second]);

    /// <summary>What attention scores get added: 0 for tokens, a large negative number for padding, <c>[batch, 1, 1, keys]</c>.</summary>
    /// <param name="mask">Int64 <c>[batch, keys]</c>, 1 for tokens.</param>
    public string Bias(string mask)
    {
        string inverted = graph.Add("Sub", [graph.Scalar(1f), graph.Add("Cast", [mask], ("to", (long)OnnxType.Float))]);
        return Mul(graph.Add("Unsqueeze", [inverted, graph.Int64([1, 2])]), graph.Scalar(Masked));
    }

    /// <summary>The same for keys after a query, <c>[queries, keys]</c>.</summary>
    /// <param name="queries">Int64 places of the queries, <c>[..., queries, 1]</c>.</param>
    /// <param name="keys">Int64 places of the keys, <c>[keys]</c>.</param>
    public string LookingBack(string queries, string keys) =>
        Mul(graph.Add("Cast", [graph.Add("Greater", [keys, queries])], ("to", (long)OnnxType.Float)), graph.Scalar(Masked));

    /// <summary>Biases by the distance from a query to a key; beyond the largest distance all share one.</summary>
    /// <param name="name">The name of the table.</param>
    /// <param name="table">The biases of the distances from -<paramref name="farthest"/> to it, <c>[distances, heads]</c>.</param>
    /// <param name="farthest">The largest distance.</param>
    /// <param name="queries">Int64 places of the queries, <c>[batch, queries]</c>, where batch may be 1.</param>
    /// <param name="keys">Int64 places of the keys, <c>[keys]</c>.</param>
    /// <returns><c>[batch, heads, queries, keys]</c>.</returns>
    public string ByDistance(string name, Tensor table, int farthest, string queries, string keys)
    {
        string distance = graph.Add("Sub", [keys, graph.Add("Unsqueeze", [queries, graph.Int64([-1])])]);
        distance = graph.Add("Clip", [distance, graph.Scalar(-farthest), graph.Scalar(farthest)]);
        string index = Sum(distance, graph.Scalar(farthest));
        string bias = graph.Add("Gather", [graph.Add(name, table, isDerived: true), index], ("axis", 0L));
        return graph.Add("Transpose", [bias], ("perm", new long[] { 0, 3, 1, 2 }));
    }

    /// <summary>The scored position of each row, Int64 <c>[batch]</c>: of a causal model the last token's, else the mask's that a template
    /// has, else the first.</summary>
    /// <param name="inputs">The graph's inputs.</param>
    /// <param name="isCausal">Whether the model is causal.</param>
    /// <param name="template">The template; null for none.</param>
    /// <param name="tokenizer">The tokenizer, which has the mask.</param>
    public string Positions(OnnxInputs inputs, bool isCausal, string? template, CheckpointTokenizer tokenizer)
    {
        if (isCausal)
        {
            string length = graph.Add("ReduceSum", [inputs.Mask, graph.Int64([1])], ("keepdims", 0L));
            return graph.Add("Sub", [length, graph.Scalar(1)]);
        }

        if (template is null)
        {
            return Mul(graph.Add("Gather", [inputs.Mask, graph.Scalar(0)], ("axis", 1L)), graph.Scalar(0));
        }

        // A text may hold the mask's token too: what counts is the first one where the template's stands before all texts, else the last.
        string masks = graph.Add("Equal", [inputs.Ids, graph.Scalar(tokenizer.MaskId)]);
        bool isFirst = PromptTemplate.Parse(template).MaskComesFirst;
        return graph.Add(
            "ArgMax",
            [graph.Add("Cast", [masks], ("to", (long)OnnxType.Int32))],
            ("axis", 1L),
            ("keepdims", 0L),
            ("select_last_index", isFirst ? 0L : 1L)
        );
    }

    /// <summary>Int64 0, 1, ... as many as a value's dimension has.</summary>
    public string Places(string x, long axis) => graph.Add("Range", [graph.Scalar(0), Size(x, axis), graph.Scalar(1)]);

    /// <summary>A dimension of a value, Int64 without dimensions.</summary>
    public string Size(string x, long axis) => graph.Add("Gather", [graph.Add("Shape", [x]), graph.Scalar(axis)], ("axis", 0L));

    /// <summary>One position of each row, <c>[batch, 1, width]</c>.</summary>
    /// <param name="x"><c>[batch, length, width]</c>.</param>
    /// <param name="positions">Int64 <c>[batch]</c>.</param>
    public string At(string x, string positions)
    {
        string rows = graph.Add("Range", [graph.Scalar(0), Size(x, 0), graph.Scalar(1)]);
        string axis = graph.Int64([-1]);
        string indices = graph.Add(
            "Concat",
            [graph.Add("Unsqueeze", [rows, axis]), graph.Add("Unsqueeze", [positions, axis])],
            ("axis", -1L)
        );
        return graph.Add("Unsqueeze", [graph.Add("GatherND", [x, indices]), graph.Int64([1])]);
    }

    /// <summary>Splits <c>[batch, length, width]</c> into heads, <c>[batch, heads, length, size]</c>; keys as <c>[batch, heads, size,
    /// length]</c>.</summary>
    public string SplitHeads(string x, long heads, long size, bool isKeys = false) =>
        graph.Add(
            "Transpose",
            [graph.Add("Reshape", [x, graph.Int64([0, 0, heads, size])])],
            ("perm", isKeys ? new long[] { 0, 2, 3, 1 } : [0, 2, 1, 3])
        );

    /// <summary>Attention: softmax(query · keys / divisor + bias) · values, the heads joined again.</summary>
    /// <param name="query"><c>[batch, heads, queries, size]</c>.</param>
    /// <param name="keys"><c>[batch, heads, size, keys]</c>.</param>
    /// <param name="values"><c>[batch, heads, keys, size]</c>.</param>
    /// <param name="bias">Added to the scores; null for nothing.</param>
    /// <param name="divisor">What scores are divided by.</param>
    /// <param name="width">Heads times size.</param>
    public string Attend(string query, string keys, string values, string? bias, double divisor, long width)
    {
        string scores = graph.Add("MatMul", [query, keys]);
        if (divisor != 1)
        {
            scores = graph.Add("Div", [scores, graph.Scalar((float)divisor)]);
        }

        scores = bias is null ? scores : Sum(scores, bias);
        string context = graph.Add("MatMul", [graph.Add("Softmax", [scores], ("axis", -1L)), values]);
        return graph.Add("Reshape", [graph.Add("Transpose", [context], ("perm", new long[] { 0, 2, 1, 3 })), graph.Int64([0, 0, width])]);
    }

    /// <summary>Whole numbers from -64 to 64 of the rotated weight, <c>[in, out]</c>, and the step of each column.</summary>
    /// <param name="weight"><c>[out, in]</c>.</param>
    private static (byte[] Values, float[] Steps) Quantize(Tensor weight)
    {
        (int columns, int rows) = ((int)weight.size(0), (int)weight.size(1));
        int block = Block(rows);
        using DisposeScope scope = NewDisposeScope();
        Tensor rotated = weight.detach().to(ScalarType.Float32).reshape(-1, block).mm(tensor(Hadamard(block), [block, block]));
        float[] values = TensorValues.Of(rotated).Values;
        byte[] whole = new byte[values.Length];
        float[] steps = new float[columns];
        for (int column = 0; column < columns; column++)
        {
            ReadOnlySpan<float> own = values.AsSpan(column * rows, rows);
            float largest = 0;
            foreach (float value in own)
            {
                largest = Math.Max(largest, Math.Abs(value));
            }

            float step = Math.Max(largest, Smallest) / LargestWeight;
            steps[column] = step;
            for (int row = 0; row < rows; row++)
            {
                whole[(row * columns) + column] = (byte)(sbyte)MathF.Round(own[row] / step);
            }
        }

        return (whole, steps);
    }
}
