using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>What the tests of the training loop share.</summary>
internal static class Trainings
{
    public static TextScoringTransformer Fit(Toy.Row[] rows, Action<PromptFineTuneTrainer.Options> change)
    {
        var ml = new MLContext(seed: 1);
        return ml.SkillLoc().PromptFineTune(Toy.Options(change)).Fit(Toy.View(ml, rows));
    }

    /// <summary>A model's weights by name, as they are now.</summary>
    public static Dictionary<string, float[]> Weights(TextClassifier classifier) =>
        classifier
            .Backbone.Parameters.Concat(classifier.Head.Parameters)
            .ToDictionary(pair => pair.Key, pair => Values(pair.Value), StringComparer.Ordinal);

    public static Dictionary<string, float[]> Start()
    {
        using var model = LanguageModel.Load(Toy.Checkpoint);
        return model.Parameters.ToDictionary(pair => pair.Key, pair => Values(pair.Value), StringComparer.Ordinal);
    }

    public static void Set(TextClassifier classifier, IReadOnlyDictionary<string, float[]> weights)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, Parameter? parameter) in classifier.Backbone.Parameters)
        {
            parameter.copy_(tensor(weights[name]).view(parameter.shape));
        }
    }

    /// <summary>The mean cross-entropy of some rows in one plain pass, and its gradients.</summary>
    public static (double Loss, Dictionary<string, float[]> Gradients) Gradients(
        TextClassifier classifier,
        Toy.Row[] rows,
        Func<TextClassifier, Tensor>? penalty = null
    )
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (Parameter parameter in classifier.Backbone.Parameters.Values)
        {
            parameter.requires_grad_(true);
            parameter.grad = null!;
        }

        using TokenBatch batch = classifier.Batch([.. rows.Select(row => classifier.Encode(row.Text))]);
        Tensor labels = tensor(rows.Select(row => row.Label == classifier.Settings.Labels[0] ? 0L : 1L).ToArray());
        Tensor loss = nn.functional.cross_entropy(classifier.Logits(batch), labels);
        if (penalty is not null)
        {
            loss += penalty(classifier);
        }

        loss.backward();
        return (
            loss.item<float>(),
            classifier.Backbone.Parameters.ToDictionary(
                pair => pair.Key,
                pair => pair.Value.grad is { } gradient ? Values(gradient) : new float[pair.Value.numel()],
                StringComparer.Ordinal
            )
        );
    }

    public static bool SameBits(ReadOnlySpan<float> left, ReadOnlySpan<float> right) =>
        System
            .Runtime.InteropServices.MemoryMarshal.AsBytes(left)
            .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(right));

    private static float[] Values(Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        return tensor.detach().data<float>().ToArray();
    }

    public sealed class Immediate(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }
}
