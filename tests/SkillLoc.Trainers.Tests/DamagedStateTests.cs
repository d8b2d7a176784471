using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>A damaged training state is refused by its name, and nothing is trained from it.</summary>
public sealed class DamagedStateTests : IDisposable
{
    private static readonly Toy.Row[] Rows = Toy.Examples(8);

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private string State => Path.Join(_folder, "run.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("step", "1e300")]
    [InlineData("step", "-1")]
    [InlineData("step", "7")]
    [InlineData("step", null)]
    [InlineData("rows", "x")]
    [InlineData("seconds", "NaN")]
    [InlineData("best_step", "5")]
    [InlineData("stale", "99")]
    [InlineData("loss", "")]
    [InlineData("run", "null")]
    [InlineData("run", "{\"a\": [")]
    [InlineData("metric", "high")]
    public void AFieldIsNamed(string field, string? value)
    {
        Stop();
        Rewrite(metadata =>
        {
            metadata.Remove(field);
            if (value is not null)
            {
                metadata[field] = value;
            }
        });
        string message = Assert.Throws<InvalidDataException>(() => Fit(6)).Message;
        Assert.Contains(State, message, StringComparison.Ordinal);
        Assert.Contains($"'{field}'", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(".first", float.NaN, "NaN")]
    [InlineData(".second", float.PositiveInfinity, "infinite")]
    [InlineData(".second", -1f, "negative")]
    [InlineData(".value", float.NaN, "NaN")]
    public void AValueThatTrainingCannotHaveLeftIsNamed(string suffix, float value, string said)
    {
        // A moment that is not finite made the loss so, and the advice was a lower learning rate.
        Stop();
        string name = "roberta.encoder.layer.0.output.dense.bias" + suffix;
        Rewrite(_ => { }, tensors => tensors.Single(tensor => tensor.Name == name).Value[3] = value);
        string message = Assert.Throws<InvalidDataException>(() => Fit(6)).Message;
        Assert.Contains(State, message, StringComparison.Ordinal);
        Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Contains(said, message, StringComparison.Ordinal);
        Assert.DoesNotContain("learning rate", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATensorOfAnotherShapeOrNoneIsNamed()
    {
        Stop();
        byte[] valid = File.ReadAllBytes(State);
        Rewrite(
            _ => { },
            change: tensors => [.. tensors.Where(tensor => tensor.Name != "roberta.encoder.layer.0.output.dense.bias.first")]
        );
        Assert.Contains(
            "'roberta.encoder.layer.0.output.dense.bias.first'",
            Assert.Throws<InvalidDataException>(() => Fit(6)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllBytes(State, valid);
        Rewrite(
            _ => { },
            change: tensors =>
                [
                    .. tensors.Select(tensor =>
                        tensor.Name == "roberta.encoder.layer.0.output.dense.bias.value" ? (tensor.Name, zeros(1)) : tensor
                    ),
                ]
        );
        Assert.Contains(
            "'roberta.encoder.layer.0.output.dense.bias.value' is Float32 of the shape [1]",
            Assert.Throws<InvalidDataException>(() => Fit(6)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void AnyDamageIsRefusedOrHarmless()
    {
        Stop();
        byte[] valid = File.ReadAllBytes(State);
        foreach (byte[] mutant in Mutants.OfSafetensors(valid, 40, 1))
        {
            File.WriteAllBytes(State, mutant);
            try
            {
                Fit(6).Dispose();
            }
            catch (Exception error)
                when (error is InvalidDataException or InvalidOperationException && error.Message.Contains(State, StringComparison.Ordinal))
            {
                // InvalidOperationException: of another run.
            }
        }
    }

    private void Stop()
    {
        using var cancellation = new CancellationTokenSource();
        Fit(
                6,
                options =>
                {
                    options.CancellationToken = cancellation.Token;
                    options.Progress = new Trainings.Immediate(report =>
                    {
                        if (report.Step == 4)
                        {
                            cancellation.Cancel();
                        }
                    });
                }
            )
            .Dispose();
        Assert.True(File.Exists(State));
    }

    private TextScoringTransformer Fit(int steps, Action<PromptFineTuneTrainer.Options>? change = null) =>
        _ml.SkillLoc()
            .PromptFineTune(
                Toy.Options(options =>
                {
                    options.MaxSteps = steps;
                    options.Optimizer = OptimizerKind.AdamW;
                    options.BatchSize = 2;
                    options.StateFile = State;
                    options.StateInterval = 2;
                    options.ValidationSet = Toy.View(_ml, Rows);
                    options.EvaluationInterval = 2;
                    change?.Invoke(options);
                })
            )
            .Fit(Toy.View(_ml, Rows));

    private void Rewrite(
        Action<Dictionary<string, string>> fields,
        Action<(string Name, Tensor Value)[]>? values = null,
        Func<(string Name, Tensor Value)[], (string Name, Tensor Value)[]>? change = null
    )
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, string> metadata;
        (string Name, Tensor Value)[] tensors;
        using (var file = SafetensorsFile.Open(State))
        {
            metadata = new(file.Metadata);
            tensors = [.. file.Tensors.Select(info => (info.Name, file.Read(info.Name)))];
        }

        fields(metadata);
        values?.Invoke(tensors);
        SafetensorsWriter.Write(State, change?.Invoke(tensors) ?? tensors, metadata);
    }
}
