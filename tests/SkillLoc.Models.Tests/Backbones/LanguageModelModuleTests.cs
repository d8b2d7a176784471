using SkillLoc.Models.Backbones;
using SkillLoc.Models.Tests.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>A model is a module to code that takes one, over the same storage.</summary>
public sealed class LanguageModelModuleTests
{
    [Theory]
    [InlineData("roberta")]
    [InlineData("bert")]
    [InlineData("gpt2")]
    [InlineData("t5_gated")]
    public void ParametersAreTheModelsByTheirHuggingFaceNames(string type)
    {
        using LanguageModel model = Toy.Model(type);
        using LanguageModelModule module = model.AsModule();
        var named = module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter);
        Assert.Equal(model.Parameters.Keys.Order(), named.Keys.Order());
        Assert.All(named, pair => Assert.Same(model.Parameters[pair.Key], pair.Value));
        Assert.Equal(model.Parameters.Keys.Order(), module.state_dict().Keys.Order());
        Assert.Equal(model.Parameters.Count, module.parameters().Count());
    }

    [Fact]
    public void AnOptimizersStepIsTheModels()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("roberta");
        using LanguageModelModule module = model.AsModule();
        using TokenBatch batch = Toy.Batch(model);
        module.eval();
        Tensor before = model.Encode(batch);
        Assert.True(before.Equals(module.call(batch)));
        foreach (Parameter parameter in module.parameters())
        {
            parameter.requires_grad_(true);
        }

        double first = 0,
            last = 0;
        using (SGD optimizer = optim.SGD(module.parameters(), learningRate: 0.01))
        {
            for (int step = 0; step < 5; step++)
            {
                optimizer.zero_grad();
                Tensor loss = module.call(batch).square().mean();
                last = loss.ToDouble();
                first = step == 0 ? last : first;
                loss.backward();
                optimizer.step();
            }
        }

        Assert.True(last < first);
        Assert.False(allclose(before, model.Encode(batch), 1e-3, 1e-3));
    }

    [Fact]
    public void AStateIsLoadedIntoTheModel()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using LanguageModel model = Toy.Model("gpt2"),
            other = Toy.Model("gpt2", seed: 9);
        using LanguageModelModule module = model.AsModule(),
            others = other.AsModule();
        using TokenBatch batch = Toy.Batch(model);
        Assert.False(other.Encode(batch).Equals(model.Encode(batch)));
        module.load_state_dict(others.state_dict());
        Assert.True(other.Encode(batch).Equals(model.Encode(batch)));
    }

    [Fact]
    public void DisposingTheModuleLeavesTheModelAndNoTensor()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (LanguageModel model = Toy.Model("bert"))
        using (TokenBatch batch = Toy.Batch(model))
        {
            model.AsModule().Dispose();
            using (LanguageModelModule module = model.AsModule())
            {
                module.call(batch).Dispose();
            }

            model.Encode(batch).Dispose();
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void WhatWouldPartItFromTheModelIsRefused()
    {
        using LanguageModel model = Toy.Model("bert");
        using LanguageModelModule module = model.AsModule();
        Assert.Throws<NotSupportedException>(() => module.to(ScalarType.Float64));
        Assert.Throws<NotSupportedException>(() => module.to(CPU));
        Assert.Throws<NotSupportedException>(() => module.to(CPU, ScalarType.BFloat16));
    }
}
