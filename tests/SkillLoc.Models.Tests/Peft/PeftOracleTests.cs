using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Peft;

/// <summary>BottleneckAdapter that PEFT wrote against what PEFT computes with them (tests/oracles/peft).</summary>
public sealed class PeftOracleTests : IDisposable
{
    private const double Tolerance = 1e-5;
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("dora-roberta", "tiny-roberta")]
    [InlineData("ia3-roberta", "tiny-roberta")]
    [InlineData("lora-bert-all-linear", "tiny-bert")]
    [InlineData("lora-gpt2", "tiny-gpt2")]
    [InlineData("lora-roberta", "tiny-roberta")]
    [InlineData("lora-roberta-patterns", "tiny-roberta")]
    [InlineData("lora-t5", "tiny-t5")]
    [InlineData("p-tuning-gpt2", "tiny-gpt2")]
    [InlineData("prefix-gpt2", "tiny-gpt2")]
    [InlineData("prefix-t5", "tiny-t5")]
    [InlineData("prompt-gpt2", "tiny-gpt2")]
    [InlineData("prompt-t5", "tiny-t5")]
    [InlineData("shira-roberta", "tiny-roberta")]
    public void LogitsAreThoseOfPython(string adapter, string basis)
    {
        using DisposeScope scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("peft", adapter, "expected.safetensors"));
        using LanguageModel model = PeftAdapter.Load(Oracles.PathOf("peft", adapter)).LoadModel(Oracles.PathOf(basis));

        // Python's float32 logits are up to 0.98e-5 from those of a pass in double precision, and so are ours: each is compared with that.
        using LanguageModel exact = model.Clone(dtype: ScalarType.Float64);
        Tensor target = expected.Read("logits"),
            logits = Logits(model, expected);
        Assert.Equal(target.shape, logits.shape);
        Check(adapter, Logits(exact, expected), target, expected, Tolerance);
        Check(adapter, logits, target, expected, 2 * Tolerance);
    }

    [Theory]
    [InlineData("lora-roberta", "tiny-roberta", "lm_head.bias", "lm_head.decoder.bias")]
    [InlineData("lora-bert-all-linear", "tiny-bert", "cls.predictions.bias", "cls.predictions.decoder.bias")]
    public void BiasesOfHeadsMayHaveBothOfTheirNames(string adapter, string basis, string name, string other)
    {
        // PEFT saves both with bias "all", and with the head among modules_to_save.
        using DisposeScope scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("peft", adapter, "expected.safetensors"));
        string source = Oracles.PathOf("peft", adapter);
        using LanguageModel plain = PeftAdapter.Load(source).LoadModel(Oracles.PathOf(basis));
        using var weights = SafetensorsFile.Open(Path.Join(source, PeftAdapter.WeightsFile));
        using var stored = CheckpointFolder.Open(Oracles.PathOf(basis));
        Tensor bias = stored.Weights.Read(name),
            shift = linspace(-1, 1, bias.numel());
        SafetensorsWriter.Write(
            Path.Join(_folder, PeftAdapter.WeightsFile),
            [
                .. weights.Tensors.Select(info => (info.Name, weights.Read(info.Name))),
                ($"base_model.model.{name}", bias + shift),
                ($"base_model.model.{other}", bias + shift),
            ],
            new Dictionary<string, string>(StringComparer.Ordinal)
        );
        File.Copy(Path.Join(source, "adapter_config.json"), Path.Join(_folder, "adapter_config.json"));
        using LanguageModel model = PeftAdapter.Load(_folder).LoadModel(Oracles.PathOf(basis));
        Tensor error = Logits(model, expected) - Logits(plain, expected) - shift;
        Assert.True(error.abs().max().item<double>() < Tolerance, $"{error.abs().max().item<double>()}");
    }

    private static Tensor Logits(LanguageModel model, SafetensorsFile expected)
    {
        EncodedText[] rows = Rows(expected);
        using var batch = TokenBatch.Create(rows, model.Config.PadTokenId ?? 0);
        Tensor hidden = model is T5ForConditionalGeneration t5 ? t5.Decode(batch, expected.Read("decoder_input_ids")) : model.Encode(batch);
        return model.WordScores(hidden.flatten(0, 1)).view(hidden.size(0), hidden.size(1), -1).to(ScalarType.Float64);
    }

    private static void Check(string adapter, Tensor logits, Tensor target, SafetensorsFile expected, double tolerance)
    {
        // Padded positions' values are not meaningful.
        Tensor error = (logits - target).abs().amax(-1);
        Tensor mask = expected.Read("attention_mask").to(ScalarType.Float64);
        if (!expected.Contains("decoder_input_ids"))
        {
            error = error * cat([ones([mask.size(0), error.size(1) - mask.size(1)], ScalarType.Float64), mask], 1);
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{adapter}: largest error {error.max().item<double>()}, tolerance {tolerance}, size {target.abs().max().item<float>()}"
        );
        Assert.True(error.max().item<double>() <= tolerance, $"{adapter}: largest error {error.max().item<double>()}");
    }

    [Theory]
    [InlineData("lora-bert-classifier", "tiny-bert")]
    [InlineData("prompt-roberta-classifier", "tiny-roberta")]
    public void ClassifiersAreThoseOfPython(string adapter, string basis)
    {
        using DisposeScope scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("peft", adapter, "expected.safetensors"));

        // A base with the pooler that a masked language model does not have.
        string folder = Path.Join(_folder, "base");
        using (var checkpoint = CheckpointFolder.Open(Oracles.PathOf(basis)))
        {
            CheckpointFolder.Save(
                folder,
                checkpoint.Config,
                [
                    .. checkpoint.Weights.ReadAll(),
                    .. expected
                        .Tensors.Where(info => info.Name.StartsWith("base.", StringComparison.Ordinal))
                        .Select(info => (info.Name["base.".Length..], expected.Read(info.Name))),
                ],
                checkpoint.TokenizerFiles
            );
        }

        using TextClassifier classifier = PeftAdapter
            .Load(Oracles.PathOf("peft", adapter))
            .LoadClassifier(folder, new() { Labels = ["one", "two"], Head = HeadKind.SequenceClassification });
        using TokenBatch batch = classifier.Batch(Rows(expected));
        Tensor error = (classifier.Logits(batch) - expected.Read("logits")).abs().max();
        Assert.True(error.item<float>() <= Tolerance, $"{adapter}: largest error {error.item<float>()}");
    }

    private static EncodedText[] Rows(SafetensorsFile expected)
    {
        long[] ids = expected.Read("input_ids").data<long>().ToArray(),
            mask = expected.Read("attention_mask").data<long>().ToArray();
        int length = (int)expected.Tensors.First(info => info.Name == "input_ids").Shape[1];
        return
        [
            .. Enumerable
                .Range(0, ids.Length / length)
                .Select(row =>
                {
                    int count = (int)mask.Skip(row * length).Take(length).Sum();
                    return new EncodedText([.. ids.Skip(row * length).Take(count).Select(id => (int)id)], null, 0);
                }),
        ];
    }
}
