using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Grafts;

/// <summary>Base patch, scores, rounded masks, losses and logits of tests/oracles/grafting.safetensors.</summary>
public sealed class GraftMaskOracleTests
{
    private const int MaskId = 4;

    [Theory]
    [InlineData("s0.001", 1e-3)]
    [InlineData("s0.01", 1e-2)]
    public void ThreeEpochsAreTheOracles(string prefix, double sparsity)
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = SafetensorsFile.Open(Oracles.PathOf("grafting.safetensors"));
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        using var tuned = LanguageModel.Load(Oracles.PathOf("tiny-roberta-finetuned"));
        IReadOnlyList<string> considered = new ParameterSelection().Of(model);
        using var mask = new GraftMask(model, tuned, considered);
        Assert.Equal(long.Parse(oracle.Metadata["N"]), mask.Count);

        Dictionary<string, int> offsets = [];
        int total = 0;
        foreach (string name in considered)
        {
            offsets[name] = total;
            total += (int)model.Parameters[name].numel();
        }

        float[] scores = Floats("S0");
        foreach (string name in considered)
        {
            mask.SetScores(name, scores.AsSpan(offsets[name], (int)model.Parameters[name].numel()));
        }

        mask.SetBasePatch(sparsity);
        Assert.Equal(Longs("base_indices"), Flat());

        Tensor words = oracle.Read("label_words");
        mask.RequireGradients(true);
        for (int epoch = 1; epoch <= 3; epoch++)
        {
            mask.ApplySoft();
            double loss = 0;
            EncodedText[] rows = Rows(oracle);
            long[] labels = oracle.Read("labels").data<long>().ToArray();
            foreach (int[] part in Enumerable.Range(0, rows.Length).Chunk(8))
            {
                using var batch = TokenBatch.Create([.. part.Select(i => rows[i])], 1);
                Tensor logits = model.WordScores(model.EncodeAt(batch), words);
                Tensor mean = nn.functional.cross_entropy(logits, tensor(part.Select(i => labels[i]).ToArray())) / (rows.Length / 8f);
                mean.backward();
                loss += mean.item<float>();
            }

            Close(oracle.Read($"{prefix}.epoch{epoch}.soft_loss").item<float>(), (float)loss, 1e-4f);
            mask.Step(1e7);
            float[] wanted = Floats($"epoch{epoch}.S");
            float[] actual = [.. considered.SelectMany(mask.Scores)];
            double distance = Math.Sqrt(wanted.Zip(actual).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2)));
            double moved = Math.Sqrt(wanted.Zip(scores).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2)));
            Assert.True(distance < 1e-3 * moved, $"epoch {epoch}: scores are {distance / moved:E2} of the way off");

            // Scores move by thousands in a step, so float32 rounding may carry one that comes to rest on the threshold to its other side.
            long[] expected = Longs($"epoch{epoch}.mask_indices"),
                rounded = Flat();
            long[] differing = [.. expected.Except(rounded), .. rounded.Except(expected)];
            Assert.All(differing, i => Assert.InRange(wanted[i], 9.9, 10.1));
            Assert.True(differing.Length <= 1, $"epoch {epoch}: {differing.Length} of {expected.Length} mask entries differ");

            mask.ApplyRounded();
            using (no_grad())
            {
                using var all = TokenBatch.Create(rows, 1);
                Tensor logits = model.WordScores(model.EncodeAt(all), words);
                Tensor reference = oracle.Read($"{prefix}.epoch{epoch}.label_logits");
                double off = (logits - reference).norm().ToDouble() / reference.norm().ToDouble();
                Assert.True(off < (differing.Length == 0 ? 1e-4 : 2e-2), $"epoch {epoch}: logits {off:E2} off");
            }
        }

        mask.RequireGradients(false);
        mask.Reset();
        using var again = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        Assert.Equal(again.Fingerprint(), model.Fingerprint());

        long[] Flat() => [.. mask.Parts().SelectMany(part => part.Indices.Select(i => (long)i + offsets[part.Name]))];
        float[] Floats(string name) => oracle.Read($"{prefix}.{name}").data<float>().ToArray();
        long[] Longs(string name) => oracle.Read($"{prefix}.{name}").data<long>().ToArray();
    }

    private static EncodedText[] Rows(SafetensorsFile oracle)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] ids = oracle.Read("rows").data<long>().ToArray(),
            lengths = oracle.Read("row_lengths").data<long>().ToArray();
        int start = 0;
        return
        [
            .. lengths.Select(length =>
            {
                int[] row = [.. ids.Skip(start).Take((int)length).Select(id => (int)id)];
                start += (int)length;
                return new EncodedText(row, null, Array.IndexOf(row, MaskId));
            }),
        ];
    }

    private static void Close(float wanted, float actual, float tolerance) =>
        Assert.True(MathF.Abs(wanted - actual) <= tolerance * MathF.Abs(wanted), $"{actual} is not {wanted}");
}
