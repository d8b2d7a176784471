using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Interpolation;

/// <summary>Where models on a plane are.</summary>
public sealed class ParameterPlaneTests
{
    [Fact]
    public void TheThreeModelsAreThemselvesBitForBit()
    {
        using TextClassifier first = Model(1),
            second = Model(2),
            third = Model(3);
        using var plane = ParameterPlane.Through(first, second, third);
        using TextClassifier walker = plane.CreateWalker(Precision.Float32);
        foreach ((int i, TextClassifier model) in new[] { first, second, third }.Index())
        {
            plane.MoveToModel(walker, i);
            Same(model, walker);
        }

        plane.MoveTo(walker, 0, 0);
        Same(first, walker);

        // A weight of 1 is not the whole sum.
        plane.MoveTo(walker, plane.Length + plane.ThirdX, plane.ThirdY);
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, Parameter parameter) in walker.Parameters)
        {
            Tensor expected = second.Parameters[name] + third.Parameters[name] - first.Parameters[name];
            Assert.True(parameter.allclose(expected, 1e-4, 1e-5), name);
        }
    }

    [Theory]
    [InlineData("tiny-roberta", "roberta.encoder.layer.1.output.dense.weight", "roberta.encoder.layer.1.output.dense.bias", 1)]
    [InlineData("tiny-roberta", "roberta.embeddings.word_embeddings.weight", "roberta.embeddings.LayerNorm.weight", 1)]
    [InlineData("tiny-gpt2", "transformer.h.1.mlp.c_fc.weight", "transformer.h.1.ln_1.weight", 0)]
    public void RowsOfDirectionsAreAsLongAsTheModels(string checkpoint, string matrix, string vector, int along)
    {
        using TextClassifier model = Model(1, checkpoint);
        using var plane = ParameterPlane.Around(model, 5);
        using TextClassifier walker = plane.CreateWalker(Precision.Float32);
        plane.MoveTo(walker, 0, 0);
        Same(model, walker);
        Assert.DoesNotContain(vector, plane.Names);
        using DisposeScope scope = NewDisposeScope();
        Tensor own = model.Parameters[matrix].detach(),
            first = Direction(1, 0),
            second = Direction(0, 1);
        foreach (Tensor direction in new[] { first, second })
        {
            Assert.True((direction * direction).sum(along).allclose((own * own).sum(along), 1e-3, 1e-4));
        }

        // Independent of each other.
        Assert.InRange(((first * second).sum() / (own * own).sum()).item<float>(), -0.2f, 0.2f);
        plane.MoveTo(walker, 1, 1);
        Assert.True((walker.Parameters[matrix] - own).allclose(first + second, 1e-3, 1e-5));

        Tensor Direction(double x, double y)
        {
            plane.MoveTo(walker, x, y);
            return (walker.Parameters[matrix] - own).detach();
        }
    }

    [Fact]
    public void OfATunedModelWhatIsTunedMoves()
    {
        using var model = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            new()
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Tuning = new LoraOptions { Rank = 2 },
            },
            seed: 1
        );
        using var plane = ParameterPlane.Around(model, 1);
        Assert.NotEmpty(plane.Names);
        Assert.All(plane.Names, name => Assert.Contains("lora_", name, StringComparison.Ordinal));
    }

    private static TextClassifier Model(int seed, string checkpoint = "tiny-roberta")
    {
        var model = TextClassifier.Create(
            Oracles.PathOf(checkpoint),
            new() { Head = HeadKind.SequenceClassification, Labels = ["neg", "pos"] },
            seed: seed
        );
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in model.Parameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * 0.1);
        }

        return model;
    }

    private static void Same(TextClassifier expected, TextClassifier actual)
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.All(expected.Parameters, pair => Assert.True(actual.Parameters[pair.Key].Equals((Tensor)pair.Value), pair.Key));
    }
}
