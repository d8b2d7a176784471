using SkillLoc.Models.Classification;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests.Curves;

/// <summary>Models to train something between.</summary>
internal static class Ends
{
    public static TuningOptions? Tuning(string method) =>
        method switch
        {
            "adapter" => new AdapterOptions { BottleneckSize = 8 },
            "lora" => new LoraOptions(),
            "prefix" => new PrefixOptions { Length = 4, ProjectionSize = 16 },
            "soft prompt" => new SoftPromptOptions { Size = 5 },
            _ => null,
        };

    /// <summary>A model whose weights, or whose tuned parameters, are far from those of another seed.</summary>
    public static TextScoringTransformer Model(string method, int seed, double deviation = 0.1)
    {
        TuningOptions? tuning = Tuning(method);
        string? template = tuning is SoftPromptOptions ? null : "*cls**sent_0*_It_was*mask*.*sep+*";
        var classifier = TextClassifier.Create(
            Toy.Checkpoint,
            new ClassifierSettings
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Template = template,
                Tuning = tuning,
            },
            seed: seed
        );
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in tuning is null ? classifier.Backbone.Parameters.Values : classifier.TunedParameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator) * deviation);
        }

        return new(classifier, new ScoringColumns());
    }

    /// <summary>The mean loss of rows, in nats, from the probabilities alone.</summary>
    public static double Loss(TextClassifier model, Toy.Row[] rows)
    {
        float[][] scores = model.Score([.. rows.Select(row => model.Encode(row.Text))]);
        return -rows.Select((row, i) => Math.Log(scores[i][row.Label == "pos" ? 1 : 0])).Average();
    }

    /// <summary>The share of rows that are right.</summary>
    public static double Accuracy(TextClassifier model, Toy.Row[] rows)
    {
        float[][] scores = model.Score([.. rows.Select(row => model.Encode(row.Text))]);
        return rows.Select((row, i) => scores[i][1] > scores[i][0] == (row.Label == "pos") ? 1.0 : 0.0).Average();
    }

    public sealed class Sink<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }

    /// <summary>Ends a training as a killed process would.</summary>
    public sealed class KilledException : Exception
    {
        public KilledException() { }

        public KilledException(string message)
            : base(message) { }

        public KilledException(string message, Exception innerException)
            : base(message, innerException) { }
    }
}
