using System.Runtime.CompilerServices;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.NativeCalls;

/// <summary>An object may go during its last method, and its tensors with it: <c>rand(2).relu()</c> in a loop ends the process at times.</summary>
public sealed class HeldTests
{
    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    [InlineData("tiny-t5")]
    public void A_model_that_nobody_refers_to_lives_to_the_end_of_its_pass(string oracle)
    {
        using TokenBatch batch = TokenBatch.Create([new EncodedText([5, 6, 7], null, 1)], 1, CPU);
        using (LanguageModel model = LanguageModel.Load(Oracles.PathOf(oracle)))
        {
            // Only optimised code, which a method becomes in stages by being called often, forgets what it no longer needs.
            for (int i = 0; i < 400; i++)
            {
                model.Encode(batch, observer: new Watch(model, collect: false)).Dispose();
                Thread.Sleep(i % 100 == 99 ? 200 : 0);
            }
        }

        Assert.True(LivesToTheEnd(oracle, batch));
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static bool LivesToTheEnd(string oracle, TokenBatch batch)
    {
        LanguageModel model = LanguageModel.Load(Oracles.PathOf(oracle));
        var watch = new Watch(model, collect: true);
        model.Encode(batch, observer: watch).Dispose();
        return watch.Lives;
    }

    private sealed class Watch(LanguageModel model, bool collect) : IForwardObserver
    {
        private readonly WeakReference _model = new(model);

        /// <summary>Whether the model was there when its last hidden states were.</summary>
        public bool Lives { get; private set; }

        public void OnHidden(int layer, Tensor hidden)
        {
            if (collect)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }

            Lives = _model.IsAlive;
        }

        public void OnFeedForward(int layer, Tensor activations)
        {
        }
    }
}
