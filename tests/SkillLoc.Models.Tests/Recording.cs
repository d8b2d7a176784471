using SkillLoc.Models.Backbones;
using SkillLoc.Models.Hooks;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests;

/// <summary>Copies of the activations that a pass comes by, by the names of their hook points, in the order of the pass.</summary>
internal sealed class Recording
{
    public Recording(LanguageModel model, DisposeScope scope, Func<HookPoint, bool>? which = null)
    {
        Hooks = new(model);
        Hooks.Add(
            which ?? (_ => true),
            (activation, context) =>
            {
                Seen.Add(context.Point.Name, activation.clone().MoveToOtherDisposeScope(scope));
                return null;
            }
        );
    }

    public ActivationHooks Hooks { get; }

    public OrderedDictionary<string, Tensor> Seen { get; } = [];

    /// <summary>The hidden states as transformers counts them: the embeddings, and each layer's output, the last after a final
    /// norm.</summary>
    public IReadOnlyList<Tensor> Hidden =>
        [.. Seen.Where(pair => pair.Key.EndsWith(".hook_resid_pre", StringComparison.Ordinal)).Select(pair => pair.Value), Last];

    public IReadOnlyList<Tensor> FeedForward =>
        [.. Seen.Where(pair => pair.Key.EndsWith(".mlp.hook_post", StringComparison.Ordinal)).Select(pair => pair.Value)];

    private Tensor Last => Seen.Last(pair => pair.Key.Contains("hook_normalized", StringComparison.Ordinal)).Value;
}
