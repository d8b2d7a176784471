using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Backbones;

/// <summary>Dropout from a generator that is given drops what libtorch's own would with the same seed, and leaves that one alone.</summary>
public sealed class DropoutTests
{
    public static TheoryData<string, ScalarType> Models()
    {
        var data = new TheoryData<string, ScalarType>();
        foreach (string name in new[] { "tiny-roberta", "tiny-bert", "tiny-gpt2", "tiny-t5", "tiny-t5-v11" })
        {
            data.Add(name, ScalarType.Float32);
            data.Add(name, ScalarType.BFloat16);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void AGeneratorOfItsOwnDropsTheSameAsLibtorchs(string name, ScalarType dtype)
    {
        using var model = LanguageModel.Load(Oracles.PathOf(name), dtype: dtype);
        model.Dropout = 0.3;
        manual_seed(11);
        (float[] hidden, float[][] gradients) = Pass(model);
        using Tensor before = get_rng_state();
        using var generator = new Generator(11);
        model.DropoutGenerator = generator;
        (float[] own, float[][] ownGradients) = Pass(model);
        using Tensor after = get_rng_state();
        Assert.Equal(hidden, own);
        Assert.Equal(gradients, ownGradients);
        Assert.True(before.Equals(after));
        Assert.NotEqual(own, Pass(model).Hidden);
    }

    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-t5")]
    public void WithoutTrainingOrDropoutNothingIsDrawn(string name)
    {
        using var model = LanguageModel.Load(Oracles.PathOf(name));
        using var generator = new Generator(11);
        using Tensor before = generator.get_state();
        float[] plain = Pass(model, training: false).Hidden;
        model.DropoutGenerator = generator;
        Assert.Equal(plain, Pass(model, training: false).Hidden);
        model.Dropout = 0;
        Assert.Equal(plain, Pass(model).Hidden);
        using Tensor after = generator.get_state();
        Assert.True(before.Equals(after));
    }

    [Fact]
    public void ACopyHasNoGenerator()
    {
        using var model = LanguageModel.Create(ModelConfig.Roberta(8, 1, 2, 12, 30, 20), 1);
        using var generator = new Generator(11);
        model.DropoutGenerator = generator;
        using LanguageModel copy = model.Clone();
        Assert.Null(copy.DropoutGenerator);
    }

    /// <summary>Hidden states of rows of different lengths, and the gradients of their squares' sum.</summary>
    private static (float[] Hidden, float[][] Gradients) Pass(LanguageModel model, bool training = true)
    {
        using DisposeScope scope = NewDisposeScope();
        using var batch = TokenBatch.Create([new([0, 7, 4, 9, 2], null, 2), new([0, 5, 2], null, 0)], 1);
        Parameter[] parameters = [.. model.Parameters.Values];
        foreach (Parameter parameter in parameters)
        {
            parameter.requires_grad_(true);
            parameter.grad = null!;
        }

        Tensor hidden = model.EncodeAt(batch, training);
        hidden.square().sum().backward();
        float[][] gradients = [.. parameters.Select(parameter => parameter.grad is { } gradient ? Values(gradient) : [])];
        foreach (Parameter parameter in parameters)
        {
            parameter.requires_grad_(false);
            parameter.grad = null!;
        }

        return (Values(hidden), gradients);
    }

    private static float[] Values(Tensor tensor) => tensor.detach().to(ScalarType.Float32).contiguous().data<float>().ToArray();
}
