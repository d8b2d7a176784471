using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Backbones;

/// <summary>The feed-forward layers' non-linearities by the names that configurations give them.</summary>
internal static class Activation
{
    private static readonly OrderedDictionary<string, Func<Tensor, Tensor>> Known = new(StringComparer.Ordinal)
    {
        ["gelu"] = x => F.gelu(x),
        ["gelu_new"] = TanhGelu,
        ["gelu_fast"] = TanhGelu,
        ["gelu_pytorch_tanh"] = TanhGelu,
        ["relu"] = x => F.relu(x),
        ["silu"] = x => F.silu(x),
        ["swish"] = x => F.silu(x),
        ["tanh"] = x => x.tanh(),
    };

    /// <summary>The activation that a configuration names.</summary>
    /// <exception cref="NotSupportedException">It is not one of those known; the message lists them.</exception>
    public static Func<Tensor, Tensor> Of(ModelConfig config) =>
        Known.TryGetValue(config.HiddenActivation, out Func<Tensor, Tensor>? activation) ? activation : throw new NotSupportedException(
            $"The activation '{config.HiddenActivation}' of {config.Source} is not supported; it must be one of "
            + $"{string.Join(", ", Known.Keys.Select(name => $"'{name}'"))}.");

    /// <summary>
    /// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the approximation of Hendrycks and Gimpel (2016). Since
    /// (1 + tanh(u)) / 2 is the sigmoid of 2u, it is computed as x sigmoid(x (a + b x^2)).
    /// </summary>
    public static Tensor TanhGelu(Tensor x)
    {
        const double Linear = 1.5957691216057308, Cubic = 0.044715 * Linear;
        return x * ((x * x).Mul_(Cubic).Add_(Linear) * x).sigmoid_();
    }
}
