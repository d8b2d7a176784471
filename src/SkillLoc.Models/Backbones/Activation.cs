using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>Activation functions by their names in configurations.</summary>
internal static class Activation
{
    private static readonly OrderedDictionary<string, Func<Tensor, Tensor>> Known = new(StringComparer.Ordinal)
    {
        ["gelu"] = Gelu,
        ["gelu_python"] = Gelu,
        ["gelu_new"] = TanhGelu,
        ["gelu_fast"] = TanhGelu,
        ["gelu_accurate"] = TanhGelu,
        ["gelu_pytorch_tanh"] = TanhGelu,
        ["gelu_python_tanh"] = TanhGelu,
        ["gelu_10"] = x => F.gelu(x).Clamp_(-10, 10),
        ["quick_gelu"] = x => x * x.Mul(1.702).sigmoid_(),
        ["relu"] = x => F.relu(x),
        ["relu2"] = x => F.relu(x).Square(),
        ["relu6"] = x => F.relu6(x),
        ["leaky_relu"] = x => x.maximum(x.Mul(0.01)),
        ["silu"] = x => F.silu(x),
        ["swish"] = x => F.silu(x),
        ["hardswish"] = x => F.hardswish(x),
        ["mish"] = x => x * x.logaddexp(zeros_like(x)).tanh(),
        ["sigmoid"] = x => x.sigmoid(),
        ["tanh"] = x => x.tanh(),
        ["linear"] = x => x.alias(),
    };

    /// <summary>Returns the activation function with a name.</summary>
    /// <exception cref="NotSupportedException">The name is unknown; the message lists the known ones.</exception>
    public static Func<Tensor, Tensor> Of(ModelConfig config) =>
        Known.TryGetValue(config.HiddenActivation, out Func<Tensor, Tensor>? activation)
            ? activation
            : throw new NotSupportedException(
                $"{config.Source}: the activation '{config.HiddenActivation}' ({ConfigFields.ActivationKey(config)}) is not "
                    + "supported; it must be one of "
                    + $"{string.Join(", ", Known.Keys.Select(name => $"'{name}'"))}."
            );

    /// <summary>Returns a known activation function.</summary>
    public static Func<Tensor, Tensor> Named(string name) => Known[name];

    /// <summary>x times the standard normal cumulative distribution function at x.</summary>
    public static Tensor Gelu(Tensor x) => F.gelu(x);

    /// <summary>
    /// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the approximation of Hendrycks and Gimpel (2016). Since
    /// (1 + tanh(u)) / 2 is the sigmoid of 2u, it is computed as x sigmoid(x (a + b x^2)).
    /// </summary>
    public static Tensor TanhGelu(Tensor x)
    {
        const double Linear = 1.5957691216057308,
            Cubic = 0.044715 * Linear;
        return x * ((x * x).Mul_(Cubic).Add_(Linear) * x).sigmoid_();
    }
}
