using System.Runtime.CompilerServices;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.NativeCalls;

/// <summary>An object may go during its last method, and its tensors with it: <c>rand(2).relu()</c> in a loop ends the process at
/// times.</summary>
public sealed class HeldTests
{
    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    public void AModelThatNobodyRefersToLivesToTheEndOfItsPass(string oracle)
    {
        using var batch = TokenBatch.Create([new EncodedText([5, 6, 7], null, 1)], 1, CPU);
        using (var model = LanguageModel.Load(Oracles.PathOf(oracle)))
        {
            // Only optimised code, which a method becomes in stages by being called often, forgets what it no longer needs.
            for (int i = 0; i < 400; i++)
            {
                model.Encode(batch, hooks: new Watch(model, collect: false).Hooks()).Dispose();
                Thread.Sleep(i % 100 == 99 ? 200 : 0);
            }
        }

        Assert.True(LivesToTheEnd(oracle, batch));
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static bool LivesToTheEnd(string oracle, TokenBatch batch)
    {
        var model = LanguageModel.Load(Oracles.PathOf(oracle));
        var watch = new Watch(model, collect: true);
        model.Encode(batch, hooks: watch.Hooks()).Dispose();
        return watch.Lives;
    }

    /// <summary>Its hooks must not refer to the model, as those of the model's points do not.</summary>
    private sealed class Watch(LanguageModel model, bool collect)
    {
        private readonly WeakReference _model = new(model);
        private readonly ActivationHooks _hooks = new(model);

        /// <summary>Whether the model was there when its last hidden states were.</summary>
        public bool Lives { get; private set; }

        public ActivationHooks Hooks()
        {
            _hooks.Add(point => point.Name.EndsWith("hook_resid_pre", StringComparison.Ordinal), (_, _) => Look());
            _hooks.Add(
                point =>
                    point.Name.EndsWith("hook_normalized", StringComparison.Ordinal)
                    || point.Name.EndsWith("hook_normalized_resid_post", StringComparison.Ordinal),
                (_, _) => Look()
            );
            return _hooks;
        }

        private Tensor? Look()
        {
            if (collect)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            Lives = _model.IsAlive;
            return null;
        }
    }
}
