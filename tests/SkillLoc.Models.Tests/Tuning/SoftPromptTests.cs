using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

public sealed class SoftPromptTests
{
    [Fact]
    public void ActivationsLogitsLossAndGradientAreTransformers()
    {
        using DisposeScope scope = NewDisposeScope();
        using var expected = SafetensorsFile.Open(Oracles.PathOf("tiny-roberta", "expected.safetensors"));
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        model.PeftModule = new SoftPromptOptions { Size = 8, MaskTokenId = 4 }.Create(model);
        Parameter prompt = model.PeftModule!.Parameters["prompt"];
        using (no_grad())
        {
            prompt.copy_(expected.Read("prompt.vectors"));
        }

        Tensor mask = expected.Read("attention_mask");
        long[] ids = expected.Read("input_ids").data<long>().ToArray(),
            lengths = mask.sum(dim: 1).data<long>().ToArray();
        int columns = (int)mask.size(1);

        // The positions do not matter: the prompt's own slot is scored.
        using var batch = TokenBatch.Create(
            [
                .. lengths.Select(
                    (length, row) => new EncodedText([.. ids.Skip(row * columns).Take((int)length).Select(id => (int)id)], null, 1)
                ),
            ],
            1
        );
        var recorder = new Recording(model, scope);
        using (no_grad())
        {
            model.Encode(batch, hooks: recorder.Hooks);
        }

        Tensor all = cat([ones([mask.size(0), 8], ScalarType.Int64), mask], 1).to(ScalarType.Float32).unsqueeze(-1);
        Assert.Equal(3, recorder.FeedForward.Count);
        for (int i = 0; i < 3; i++)
        {
            AssertClose(expected.Read($"prompt.ffn.{i}") * all, recorder.FeedForward[i] * all);
        }

        prompt.requires_grad_(true);
        Tensor logits = model.WordScores(model.EncodeAt(batch), expected.Read("label_words"));
        AssertClose(expected.Read("prompt.label_logits"), logits.detach());
        Tensor loss = nn.functional.cross_entropy(logits, expected.Read("labels"));
        AssertClose(expected.Read("prompt.loss"), loss.detach());
        loss.backward();
        AssertClose(expected.Read("prompt.grad"), prompt.grad!);
    }

    /// <summary>Prompt vectors that are words' embeddings do what those words would.</summary>
    [Theory]
    [InlineData("roberta")]
    [InlineData("bert")]
    [InlineData("gpt2")]
    public void VectorsOfWordsAreWords(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using IDisposable inference = no_grad();
        bool causal = model is Gpt2ForCausalLM;
        int[] words = causal ? [8, 21, 4] : [21, 8];
        int[][] texts =
        [
            [7, 4, 9, 11, 3],
            [5, 6],
        ];
        using var plain = TokenBatch.Create(
            [
                .. texts.Select(text =>
                    causal
                        ? new EncodedText([.. text, .. words], null, text.Length + 2)
                        : new EncodedText([4, .. words, .. text], type == "bert" ? [0, 0, 0, .. text.Select(id => id % 2)] : null, 0)
                ),
            ],
            1
        );
        using var prompted = TokenBatch.Create(
            [
                .. texts.Select(text => new EncodedText(
                    text,
                    type == "bert" ? [.. text.Select(id => id % 2)] : null,
                    causal ? text.Length - 1 : 0
                )),
            ],
            1
        );
        Tensor wanted = model.EncodeAt(plain),
            wantedAll = model.Encode(plain);
        int longest = model.MaxLength;
        model.PeftModule = new SoftPromptOptions { Size = 3, MaskTokenId = 4 }.Create(model);
        string table = model.Parameters.Keys.First();
        model.PeftModule!.Parameters["prompt"].copy_(model.Parameters[table][tensor(words.Select(id => (long)id).ToArray())].unsqueeze(0));
        Toy.AssertClose(wanted, model.EncodeAt(prompted), 1e-5);
        Tensor all = model.Encode(prompted);
        Toy.AssertClose(wantedAll[0], all[0], 1e-5);
        Toy.AssertClose(wantedAll[1].narrow(0, 0, 5), all[1].narrow(0, 0, 5), 1e-5);
        Assert.Equal(longest - 3, model.MaxLength);
    }

    [Fact]
    public void NewVectorsAreSmallAndDependOnTheSeed()
    {
        using DisposeScope scope = NewDisposeScope();
        using var model = LanguageModel.Create(ModelConfig.Roberta(64, 1, 2, 8, 30, 200), 1);
        var options = new SoftPromptOptions { Size = 101, MaskTokenId = 4 };
        using PeftModule first = options.Create(model, 1)!,
            again = options.Create(model, 1)!,
            other = options.Create(model, 2)!;
        Tensor prompt = first.Parameters["prompt"];
        Assert.Equal([1, 100, 64], prompt.shape);
        Assert.Equal(1.0 / 30, prompt.std().ToDouble(), 2e-3);
        Assert.True(prompt.Equals(again.Parameters["prompt"]));
        Assert.False(prompt.Equals(other.Parameters["prompt"]));
    }

    [Theory]
    [InlineData(1, 4, "Size is 1")]
    [InlineData(17, 4, "Size is 17")]
    [InlineData(4, 30, "MaskTokenId is 30")]
    [InlineData(4, -1, "MaskTokenId is -1")]
    [InlineData(4, null, "mask token")]
    public void AbsurdOptionsAreRefused(int size, int? mask, string reason)
    {
        using LanguageModel model = Toy.Model("roberta");
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            new SoftPromptOptions { Size = size, MaskTokenId = mask }.Create(model)
        );
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        double distance = (actual - expected).norm().ToDouble(),
            size = expected.norm().ToDouble();
        Assert.True(distance <= 1e-4 * size, $"relative distance {distance / size:E2}");
    }
}
