using System.Collections.Concurrent;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Hooks;

/// <summary>Hooks edit what a pass goes on with, in order, and nothing else.</summary>
public sealed class ActivationHooksTests
{
    private const string Point = "blocks.1.mlp.hook_post";

    [Theory]
    [MemberData(nameof(HookPointTests.Models), MemberType = typeof(HookPointTests))]
    public void AnEditAtAnyPointChangesTheOutputAndNoneChangesNothing(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        Tensor plain = Run(model, batch, null);
        foreach (HookPoint point in model.HookPoints)
        {
            using (var generator = new Generator(7))
            {
                IDisposable edit = model.Hooks.Add(point.Name, (x, _) => x + randn(x.shape, generator: generator));
                Assert.False(allclose(plain, Run(model, batch, null), 1e-3, 1e-3), point.Name);
                edit.Dispose();
            }

            Assert.True(plain.Equals(Run(model, batch, null)), point.Name);
            var looking = new ActivationHooks(model);
            looking.Add(point.Name, (_, _) => null);
            Assert.True(plain.Equals(Run(model, batch, looking)), point.Name);
        }
    }

    /// <summary>Activation patching: with another text's residual stream put in, the rest of the model computes what it does of
    /// that.</summary>
    [Theory]
    [InlineData("roberta", "blocks.1.hook_resid_pre")]
    [InlineData("roberta", "blocks.1.hook_resid_post")]
    [InlineData("gpt2", "blocks.1.hook_resid_pre")]
    [InlineData("gpt2", "blocks.1.hook_resid_post")]
    [InlineData("t5_gated", "encoder_final_ln.hook_normalized")]
    [InlineData("t5_gated", "decoder_final_ln.hook_normalized")]
    public void AnotherTextsActivationGivesItsOutput(string type, string point)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch donor = Batch([5, 6, 7, 8], [9, 10, 11, 12]),
            batch = Batch([12, 11, 10, 9], [3, 4, 5, 6]);
        var recording = new Recording(model, scope, other => other.Name == point);
        Tensor wanted = Run(model, donor, recording.Hooks);
        var patch = new ActivationHooks(model);
        patch.Add(point, (_, _) => recording.Seen[point]);
        Assert.True(wanted.Equals(Run(model, batch, patch)));

        // It stays the hook's own.
        Assert.True(wanted.Equals(Run(model, batch, patch)));
    }

    [Fact]
    public void HooksOfAPointAreCalledInOrderTheModelsFirst()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("gpt2");
        using TokenBatch batch = Toy.Batch(model);
        var seen = new List<string>();
        var own = new ActivationHooks(model);
        own.Add(Point, Named("pass", 8, 8));
        IDisposable first = model.Hooks.Add(Point, Named("first", null, 3));
        ActivationHook again = Named("again", 3, 8);
        IDisposable second = model.Hooks.Add(Point, again),
            third = model.Hooks.Add(Point, again);
        second.Dispose();
        second.Dispose();
        model.Encode(batch, hooks: own);
        Assert.Equal(["first", "again", "pass"], seen);
        third.Dispose();
        first.Dispose();
        seen.Clear();
        model.Encode(batch);
        Assert.Empty(seen);

        ActivationHook Named(string name, double? wanted, double next) =>
            (x, _) =>
            {
                seen.Add(name);
                Assert.True(wanted is null || x.eq((float)wanted).all().item<bool>());
                return full_like(x, next);
            };
    }

    [Fact]
    public void AHookIsToldWhereItIs()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("roberta");
        using TokenBatch batch = Batch([5, 6, 7], [8, 9]);
        var told = new List<(bool All, bool Training, string Name)>();
        model.Hooks.Add(
            point => point.Name is "blocks.0.hook_attn_out" or "blocks.1.attn.hook_k" or Point,
            (x, context) =>
            {
                Assert.Same(batch, context.Batch);
                Assert.True(context.Positions is null || context.Positions.shape.SequenceEqual(x.shape.Take(2)));
                Assert.True(context.Positions is null || context.Positions.squeeze(1).Equals(batch.Positions));
                told.Add((context.Positions is null, context.IsTraining, context.Point.Name));
                return null;
            }
        );
        model.Encode(batch, training: true);
        Assert.Equal([(true, true, "blocks.0.hook_attn_out"), (true, true, "blocks.1.attn.hook_k"), (true, true, Point)], told);
        told.Clear();
        model.EncodeAt(batch);
        Assert.Equal([(true, false, "blocks.0.hook_attn_out"), (true, false, "blocks.1.attn.hook_k"), (false, false, Point)], told);
    }

    [Fact]
    public void StepsOfWritingAreSeenOneByOne()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = (T5ForConditionalGeneration)Toy.Model("t5");
        using TokenBatch batch = Toy.Batch(model);
        var steps = new List<long>();
        model.Hooks.Add(
            "decoder.2.mlp.hook_post",
            (x, context) =>
            {
                Assert.Equal([2, 1], x.shape.Take(2));
                Assert.Equal([2, 1], context.Positions!.shape);
                steps.Add(context.Positions[0, 0].item<long>());
                return null;
            }
        );
        int longest = model.Generate(batch, 4).Max(row => row.Length);
        Assert.InRange(steps.Count, Math.Max(1, longest), 4);
        Assert.Equal(Enumerable.Range(0, steps.Count).Select(step => (long)step), steps);
    }

    [Fact]
    public void AnEditThatDoesNotFitIsRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("roberta"),
            other = Toy.Model("gpt2");
        using TokenBatch batch = Toy.Batch(model);
        foreach (ActivationHook wrong in new ActivationHook[] { (x, _) => x.narrow(2, 0, 3), (x, _) => x.to(ScalarType.Float64) })
        {
            using IDisposable added = model.Hooks.Add(Point, wrong);
            string message = Assert.Throws<InvalidOperationException>(() => model.Encode(batch)).Message;
            Assert.Contains(Point, message, StringComparison.Ordinal);
            Assert.Contains("12] on cpu", message, StringComparison.Ordinal);
        }

        Assert.Throws<ArgumentException>(() => model.Encode(batch, hooks: new ActivationHooks(other)));
        model.Encode(batch, hooks: new ActivationHooks(model.Clone()));
    }

    [Fact]
    public void GradientsFlowThroughAnEdit()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("roberta");
        using TokenBatch batch = Toy.Batch(model);
        Tensor direction = zeros(8).requires_grad_(true);
        var steering = new ActivationHooks(model);
        steering.Add("blocks.0.hook_normalized_resid_post", (x, _) => x + direction);
        model.EncodeAt(batch, hooks: steering).square().sum().backward();
        Assert.True(direction.grad!.abs().sum().item<float>() > 0);
    }

    [Fact]
    public void CopiesAndPassesOfOtherThreadsKnowNothingOfIt()
    {
        using LanguageModel model = Toy.Model("roberta");
        float[] plain = Values(model, null);
        var results = new ConcurrentBag<(int Shift, float[] Values)>();
        float[][] alone = [.. Enumerable.Range(0, 4).Select(shift => Values(model, Shifting(shift)))];
        Assert.NotEqual(alone[1], alone[2]);
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(shift => new Thread(() =>
                {
                    for (int i = 0; i < 20; i++)
                    {
                        results.Add((shift, Values(model, shift == 0 ? null : Shifting(shift))));
                        if (shift == 3)
                        {
                            // It comes and goes while the others run, and changes nothing.
                            using IDisposable passing = model.Hooks.Add(_ => true, (_, _) => null);
                            results.Add((shift, Values(model, Shifting(shift))));
                        }
                    }
                })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Equal(100, results.Count);
        Assert.All(results, result => Assert.Equal(result.Shift == 0 ? plain : alone[result.Shift], result.Values));

        model.Hooks.Add(Point, (x, _) => x * 2);
        using LanguageModel clone = model.Clone();
        Assert.Equal(plain, Values(clone, null));
        Assert.NotEqual(plain, Values(model, null));

        ActivationHooks Shifting(int shift)
        {
            var hooks = new ActivationHooks(model);
            hooks.Add(
                Point,
                (x, _) =>
                {
                    using Scalar by = shift;
                    return x.add(by);
                }
            );
            return hooks;
        }

        static float[] Values(LanguageModel model, ActivationHooks? hooks)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable inference = no_grad();
            using TokenBatch batch = Batch([5, 6, 7], [8, 9]);
            return model.EncodeAt(batch, hooks: hooks).data<float>().ToArray();
        }
    }

    [Theory]
    [InlineData("bert")]
    [InlineData("gpt2")]
    [InlineData("t5_gated")]
    public void NoTensorIsLeft(string type)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (LanguageModel model = Toy.Model(type))
        using (TokenBatch batch = Toy.Batch(model))
        using (no_grad())
        {
            // New tensors, views, the same in place, and what is made and forgotten; nobody but the model has a scope.
            model.Hooks.Add(
                _ => true,
                (x, context) =>
                    (context.Point.Size % 3) switch
                    {
                        0 => x * 2,
                        1 => x.alias(),
                        _ => x.abs_(),
                    }
            );
            model.Hooks.Add(
                _ => true,
                (x, _) =>
                {
                    x.clone();
                    return null;
                }
            );
            Run(model, batch, null).Dispose();
            model.EncodeAt(batch).Dispose();
            (model as T5ForConditionalGeneration)?.Generate(batch, 3);
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static Tensor Run(LanguageModel model, TokenBatch batch, ActivationHooks? hooks)
    {
        using Tensor answers = tensor(new long[] { 0, 8, 3, 0, 2, 29 }, 2, 3);
        return model is T5ForConditionalGeneration t5 ? t5.Decode(batch, answers, hooks: hooks) : model.Encode(batch, hooks: hooks);
    }

    private static TokenBatch Batch(params int[][] rows) =>
        TokenBatch.Create([.. rows.Select(row => new EncodedText(row, null, row.Length - 1))], 1);
}
