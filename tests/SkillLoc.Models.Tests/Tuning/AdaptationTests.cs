using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Tuning;

/// <summary>What the methods compute, and what they leave alone.</summary>
public sealed class AdaptationTests
{
    [Theory]
    [InlineData("roberta")]
    [InlineData("bert")]
    [InlineData("gpt2")]
    public void AFreshAdapterOrLoraChangesNoBit(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        Tensor plain = model.Encode(batch);
        foreach (string method in Toy.StartingFromTheModel)
        {
            using PeftModule adaptation = Toy.Options(method).Create(model)!;
            model.PeftModule = adaptation;
            Assert.True(plain.Equals(model.Encode(batch)), method);
            Toy.Shake(adaptation.Parameters.Values);
            Assert.False(allclose(plain, model.Encode(batch), 1e-2, 1e-2), method);
            model.PeftModule = null;
        }
    }

    [Theory]
    [MemberData(nameof(Toy.MethodsOfTheSameLength), MemberType = typeof(Toy))]
    public void RobertaWithItIsThePapersFormulas(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("roberta");
        using IDisposable inference = no_grad();
        model.PeftModule = Toy.Options(method).Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        int[][] rows =
        [
            [0, 7, 4, 9, 2],
            [0, 5, 2],
        ];
        using var batch = TokenBatch.Create([.. rows.Select(row => new EncodedText(row, null, 1))], 1);
        Tensor all = model.Encode(batch),
            scored = model.EncodeAt(batch);
        var reference = new ReferencePass(model);
        for (int i = 0; i < rows.Length; i++)
        {
            Tensor expected = reference.Run(rows[i]);
            Toy.AssertClose(expected, all[i].narrow(0, 0, rows[i].Length).to(ScalarType.Float64), 1e-5, method);
            Toy.AssertClose(expected[1], scored[i].to(ScalarType.Float64), 1e-5, method);
        }
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void ScoringOnePositionEqualsScoringAll(string method)
    {
        foreach (string type in new[] { "roberta", "bert", "gpt2" })
        {
            using DisposeScope scope = NewDisposeScope();
            using LanguageModel model = Toy.Model(type);
            using IDisposable inference = no_grad();
            model.PeftModule = Toy.Options(method).Create(model);
            Toy.Shake(model.PeftModule!.Parameters.Values);
            using TokenBatch batch = Toy.Batch(model);
            long[] read = (method, type) switch
            {
                ("soft_prompt", "gpt2") => [8, 5],
                ("soft_prompt", _) => [0, 0],
                (_, "gpt2") => [4, 1],
                _ => [2, 0],
            };
            Tensor all = model.Encode(batch);
            Toy.AssertClose(stack([all[0, read[0]], all[1, read[1]]]), model.EncodeAt(batch), 1e-5, type);
        }
    }

    /// <summary>Mode connectivity's study of initialisations (methods, C.3): both projections N(r_mean, r_std), near or far.</summary>
    [Theory]
    [InlineData("roberta", 0, 0.02)]
    [InlineData("bert", 0, 0.08)]
    [InlineData("gpt2", -0.1, 0.08)]
    [InlineData("t5", 0.1, 0.02)]
    public void BothProjectionsAreDrawnAsAsked(string type, double mean, double deviation)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        var options = new AdapterOptions
        {
            BottleneckSize = 200,
            InitialMean = mean,
            InitialDeviation = deviation,
            InitialUpDeviation = deviation,
        };
        using PeftModule adaptation = options.Create(model, seed: 4)!,
            near = (options with { InitialMean = 0, InitialUpDeviation = 0 }).Create(model)!;
        foreach (string which in new[] { "down", "up" })
        {
            Tensor drawn = Of(adaptation, which + ".weight");
            Assert.Equal(mean, drawn.mean().ToDouble(), deviation / 10);
            Assert.Equal(deviation, (drawn - mean).square().mean().sqrt().ToDouble(), deviation / 10);
            Assert.Equal(0, Of(adaptation, which + ".bias").abs().max().ToDouble());
        }

        Assert.Equal(0, Of(near, "up.weight").abs().max().ToDouble());

        static Tensor Of(PeftModule adaptation, string end) =>
            cat(
                [
                    .. adaptation
                        .Parameters.Where(pair => pair.Key.EndsWith(end, StringComparison.Ordinal))
                        .Select(pair => pair.Value.flatten()),
                ],
                0
            );
    }

    [Theory]
    [InlineData("roberta", "lora_all")]
    [InlineData("bert", "lora_all")]
    [InlineData("gpt2", "lora_all")]
    [InlineData("roberta", "lora_bias")]
    [InlineData("bert", "lora_bias")]
    [InlineData("gpt2", "lora_bias")]
    [InlineData("roberta", "low_rank_bias")]
    [InlineData("bert", "low_rank_bias_mlp")]
    [InlineData("gpt2", "low_rank_bias_mlp")]
    public void FoldedItIsOrdinaryWeights(string type, string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        string before = model.Fingerprint();
        model.PeftModule = Toy.Options(method).Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        Tensor tuned = model.Encode(batch);
        Assert.Equal(before, model.Fingerprint());
        model.FoldAdaptation();
        Assert.Null(model.PeftModule);
        Assert.NotEqual(before, model.Fingerprint());
        Toy.AssertClose(tuned, model.Encode(batch), 1e-5);
    }

    /// <summary>A tanh stands in the way of folding, and so does the lack of a bias.</summary>
    [Theory]
    [InlineData("roberta", "lora_mlp")]
    [InlineData("gpt2", "lora_mlp_bias")]
    [InlineData("t5", "lora_mlp")]
    [InlineData("t5", "lora_bias")]
    [InlineData("t5_gated", "low_rank_bias")]
    public void WhatNoParameterCanTakeOverStays(string type, string method)
    {
        using LanguageModel model = Toy.Model(type);
        PeftModule adaptation = Toy.Options(method).Create(model)!;
        model.PeftModule = adaptation;
        Toy.Shake(adaptation.Parameters.Values);
        string before = model.Fingerprint();
        model.FoldAdaptation();
        Assert.Same(adaptation, model.PeftModule);
        Assert.Equal(before, model.Fingerprint());
    }

    /// <summary>Low-rank biases (methods, C.3): what they add is a bias like the model's own, summed here by hand.</summary>
    [Theory]
    [InlineData("roberta", false, false)]
    [InlineData("bert", true, false)]
    [InlineData("gpt2", false, true)]
    [InlineData("gpt2", true, false)]
    public void ALowRankBiasIsABias(string type, bool shared, bool mlp)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type),
            biased = model.Clone();
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        model.PeftModule = new LowRankBiasOptions
        {
            Rank = 2,
            Alpha = 3,
            Targets = Toy.Biased,
            ShareR = shared,
            Mlp = mlp,
        }.Create(model);
        IReadOnlyDictionary<string, Parameter> added = model.PeftModule!.Parameters;
        Toy.Shake(added.Values);
        string[] maps =
        [
            .. added
                .Keys.Where(name => name.EndsWith(".lora_B.weight", StringComparison.Ordinal))
                .Select(name => name[..^".lora_B.weight".Length]),
        ];
        Assert.Equal(2 * 5, maps.Length);
        foreach (string map in maps)
        {
            Parameter b = added[map + ".lora_B.weight"],
                r = added[shared ? "lora_R.weight" : map + ".lora_R.weight"];
            double[] sums = [.. Enumerable.Range(0, (int)b.size(0)).Select(o => (At(b, o, 0) * At(r, 0, 0)) + (At(b, o, 1) * At(r, 1, 0)))];
            double[] bias = !mlp
                ? sums
                : [.. sums.Select((_, o) => sums.Select((sum, i) => At(added[map + ".lora_C.weight"], o, i) * Math.Tanh(sum)).Sum())];

            // GPT-2's queries and values are thirds of one map.
            string own = map.Replace(".query", "", StringComparison.Ordinal).Replace(".value", "", StringComparison.Ordinal);
            long start = type == "gpt2" && map.EndsWith(".value", StringComparison.Ordinal) ? 16 : 0;
            biased
                .Parameters[(type == "gpt2" ? own : map) + ".bias"]
                .narrow(0, start, bias.Length)
                .add_(tensor([.. bias.Select(value => (float)(1.5 * value))]));
        }

        Toy.AssertClose(biased.Encode(batch), model.Encode(batch), 1e-5);
        model.FoldAdaptation();
        Assert.All(biased.Parameters, pair => Toy.AssertClose(pair.Value, model.Parameters[pair.Key], 1e-6, pair.Key));

        static double At(Tensor matrix, long row, long column) => matrix[row, column].item<float>();
    }

    [Fact]
    public void VariantsOfLoraHaveTheTensorsOfC3()
    {
        using LanguageModel model = Toy.Model("roberta"),
            causal = Toy.Model("gpt2");
        const TargetModules Up = TargetModules.Up;
        Has(
            model,
            new LoraOptions
            {
                Rank = 2,
                Targets = Up,
                Bias = true,
                Mlp = true,
            },
            ["A.weight", "A.bias", "B.weight", "B.bias", "C.weight"]
        );
        Has(
            model,
            new LoraOptions
            {
                Rank = 2,
                Targets = Up,
                Bias = true,
            },
            ["A.weight", "A.bias", "B.weight", "B.bias"]
        );
        Has(
            causal,
            new LoraOptions
            {
                Rank = 2,
                Targets = Up,
                Mlp = true,
            },
            ["A.weight", "B.weight", "C.weight"]
        );
        Has(model, new LowRankBiasOptions { Rank = 2, Targets = Up }, ["R.weight", "B.weight"]);
        Has(
            causal,
            new LowRankBiasOptions
            {
                Rank = 2,
                Targets = Up,
                Mlp = true,
                ShareR = true,
            },
            ["B.weight", "C.weight"]
        );

        static void Has(LanguageModel model, TuningOptions options, string[] tensors)
        {
            using PeftModule adaptation = options.Create(model)!;
            string[] shared = options is LowRankBiasOptions { ShareR: true } ? ["lora_R.weight"] : [];
            string[] maps =
                model is Gpt2ForCausalLM
                    ? ["transformer.h.0.mlp.c_fc", "transformer.h.1.mlp.c_fc"]
                    : ["roberta.encoder.layer.0.intermediate.dense", "roberta.encoder.layer.1.intermediate.dense"];
            Assert.Equal(
                [.. shared, .. maps.SelectMany(map => tensors.Select(tensor => $"{map}.lora_{tensor}"))],
                adaptation.Parameters.Keys
            );
            long inner = model.Config.FeedForwardSizes[0];
            Assert.All(
                adaptation.Parameters,
                pair =>
                    Assert.Equal(
                        pair.Key[^8..] switch
                        {
                            "A.weight" => [2, 8],
                            "R.weight" => [2, 1],
                            "B.weight" => [inner, 2],
                            "C.weight" => [inner, inner],
                            _ => pair.Key.EndsWith("A.bias", StringComparison.Ordinal) ? [2] : new long[] { inner },
                        },
                        pair.Value.shape
                    )
            );
        }
    }

    /// <summary>B and biases zero, A and R uniform within 1 / sqrt(columns), C N(0, 0.02) (methods, C.3).</summary>
    [Fact]
    public void VariantsOfLoraAreDrawnAsInC3()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("t5_gated");
        using PeftModule lora = new LoraOptions
        {
            Rank = 100,
            Targets = Toy.AllMaps,
            Bias = true,
            Mlp = true,
        }.Create(model, seed: 3)!;
        using PeftModule low = new LowRankBiasOptions
        {
            Rank = 100,
            Targets = Toy.AllMaps,
            Mlp = true,
        }.Create(model, seed: 3)!;
        foreach ((string name, Parameter parameter) in lora.Parameters.Concat(low.Parameters))
        {
            double largest = parameter.abs().max().ToDouble();
            if (name.EndsWith(".bias", StringComparison.Ordinal) || name.EndsWith("B.weight", StringComparison.Ordinal))
            {
                Assert.Equal(0, largest);
            }
            else if (!name.EndsWith("C.weight", StringComparison.Ordinal))
            {
                double bound = 1 / Math.Sqrt(parameter.size(1));
                Assert.InRange(largest, 0.85 * bound, bound);
            }
        }

        foreach (PeftModule adaptation in new[] { lora, low })
        {
            Tensor drawn = cat(
                [
                    .. adaptation
                        .Parameters.Where(pair => pair.Key.EndsWith("C.weight", StringComparison.Ordinal))
                        .Select(pair => pair.Value.flatten()),
                ],
                0
            );
            Assert.Equal(0, drawn.mean().ToDouble(), 0.002);
            Assert.Equal(0.02, drawn.square().mean().sqrt().ToDouble(), 0.002);
        }
    }

    [Theory]
    [InlineData("roberta")]
    [InlineData("gpt2")]
    public void AFoldedPrefixIsKeysAndValues(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        model.PeftModule = Toy.Options("prefix").Create(model);
        Toy.Shake(model.PeftModule!.Parameters.Values);
        Tensor tuned = model.Encode(batch);
        model.FoldAdaptation();
        (string name, Parameter value) = Assert.Single(model.PeftModule!.Parameters);
        Assert.Equal("prefix.key_values", name);
        Assert.Equal([2, 2, 2, 3, 4], value.shape);
        Assert.Equal(new PrefixOptions { Length = 3, ProjectionSize = null }, model.PeftModule.Options);
        Toy.AssertClose(tuned, model.Encode(batch), 1e-6);
    }

    /// <summary>A prefix that holds a first token's keys and values does what that token would, where positions do not count.</summary>
    [Fact]
    public void Gpt2SeesAPrefixAsWhatStandsBefore()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("gpt2");
        using IDisposable inference = no_grad();
        model.Parameters["transformer.wpe.weight"].zero_();
        using TokenBatch whole = TokenBatch.Create([new([13, 7, 4, 9], null, 3)], 0),
            rest = TokenBatch.Create([new([7, 4, 9], null, 2)], 0);
        var recorder = new Recording(model, scope);
        Tensor wanted = model.Encode(whole, hooks: recorder.Hooks);
        model.PeftModule = new PrefixOptions { Length = 1, ProjectionSize = null }.Create(model);
        Parameter prefix = model.PeftModule!.Parameters["prefix.key_values"];
        for (int i = 0; i < 2; i++)
        {
            string layer = $"transformer.h.{i}.";
            Tensor normed = nn.functional.layer_norm(
                recorder.Hidden[i][0].narrow(0, 0, 1),
                [8],
                model.Parameters[layer + "ln_1.weight"],
                model.Parameters[layer + "ln_1.bias"],
                1e-5
            );
            Tensor mapped = normed.mm(model.Parameters[layer + "attn.c_attn.weight"]) + model.Parameters[layer + "attn.c_attn.bias"];
            prefix[i].copy_(mapped.narrow(1, 8, 16).view(2, 2, 1, 4));
        }

        Toy.AssertClose(wanted[0].narrow(0, 1, 3), model.Encode(rest)[0], 1e-5);
        Toy.AssertClose(wanted[0, 3], model.EncodeAt(rest)[0], 1e-5);
    }

    /// <summary>An adapter of which only the last bias is not zero adds that bias to the projection that it follows.</summary>
    [Theory]
    [InlineData(AdapterPlacement.Pfeiffer)]
    [InlineData(AdapterPlacement.Houlsby)]
    public void Gpt2sAdaptersFollowItsProjections(AdapterPlacement placement)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model("gpt2"),
            biased = model.Clone();
        using TokenBatch batch = Toy.Batch(model);
        using IDisposable inference = no_grad();
        model.PeftModule = new AdapterOptions { Placement = placement, BottleneckSize = 2 }.Create(model);
        KeyValuePair<string, Parameter>[] biases = model
            .PeftModule!.Parameters.Where(pair => pair.Key.EndsWith(".up.bias", StringComparison.Ordinal))
            .ToArray();
        Assert.Equal(placement == AdapterPlacement.Houlsby ? 4 : 2, biases.Length);
        Toy.Shake(biases.Select(pair => pair.Value));
        foreach ((string name, Parameter bias) in biases)
        {
            biased.Parameters[name.Replace(".adapter.up", "", StringComparison.Ordinal)].add_(bias);
        }

        Toy.AssertClose(biased.Encode(batch), model.Encode(batch), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void GradientsReachTheTunedParametersAndNoOthers(string method)
    {
        foreach (string type in new[] { "roberta", "gpt2" })
        {
            using DisposeScope scope = NewDisposeScope();
            using LanguageModel model = Toy.Model(type);
            TuningOptions options = Toy.Options(method);
            model.PeftModule = options.Create(model);
            Toy.Shake(model.PeftModule!.Parameters.Values);
            Assert.Equal(model.PeftModule.Parameters, options.ParametersOf(model));
            foreach (Parameter parameter in options.ParametersOf(model).Values)
            {
                parameter.requires_grad_(true);
            }

            using TokenBatch batch = Toy.Batch(model);
            model.WordScores(model.EncodeAt(batch, training: true)).square().sum().backward();
            Assert.All(model.PeftModule.Parameters, pair => Assert.True(pair.Value.grad?.norm().ToDouble() > 1e-9, pair.Key));
            Assert.All(model.Parameters.Values, parameter => Assert.Null(parameter.grad));
        }
    }

    [Theory]
    [InlineData("roberta")]
    [InlineData("bert")]
    [InlineData("gpt2")]
    public void BitFitTrainsEveryBias(string type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Toy.Model(type);
        Assert.Null(new BitFitOptions().Create(model));
        string[] names = [.. new BitFitOptions().ParametersOf(model).Keys];
        int expected = type == "gpt2" ? (2 * 6) + 1 : (2 * 8) + 1 + 3;
        Assert.Equal(expected, names.Length);
        Assert.All(names, name => Assert.EndsWith("bias", name, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Toy.Methods), MemberType = typeof(Toy))]
    public void CopiesAreTheirOwnAndNothingStaysAlive(string method)
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (string type in new[] { "roberta", "gpt2" })
        {
            using IDisposable inference = no_grad();
            using LanguageModel model = Toy.Model(type);
            model.PeftModule = Toy.Options(method).Create(model);
            Toy.Shake(model.PeftModule!.Parameters.Values);
            using TokenBatch batch = Toy.Batch(model);
            using Tensor first = model.EncodeAt(batch);
            using (LanguageModel copy = model.Clone())
            {
                using Tensor same = copy.EncodeAt(batch);
                Assert.True(first.Equals(same));
                Toy.Shake(copy.PeftModule!.Parameters.Values, 9);
                using Tensor other = copy.EncodeAt(batch);
                Assert.False(first.Equals(other));
                copy.FoldAdaptation();
                copy.Encode(batch).Dispose();
            }

            using Tensor again = model.EncodeAt(batch);
            Assert.True(first.Equals(again));
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void AModelOfAnotherKindOrSizeRefusesIt()
    {
        using LanguageModel model = Toy.Model("roberta"),
            other = LanguageModel.Create(ModelConfig.Roberta(16, 2, 2, 12, 30, 20), 1);
        using PeftModule adaptation = new LoraOptions().Create(model)!;
        ArgumentException error = Assert.Throws<ArgumentException>(() => other.PeftModule = adaptation);
        Assert.Contains("hidden size 8", error.Message, StringComparison.Ordinal);
        Assert.Contains("hidden size 16", error.Message, StringComparison.Ordinal);
        using LanguageModel causal = Toy.Model("gpt2");
        Assert.Throws<ArgumentException>(() => causal.PeftModule = adaptation);
        Assert.Throws<ArgumentException>(() => new LoraOptions().ParametersOf(other));
    }

    [Fact]
    public void AbsurdOptionsAreRefused()
    {
        using LanguageModel model = Toy.Model("roberta");
        Refused(new LoraOptions { Rank = 0 }, "Rank");
        Refused(new LoraOptions { Alpha = double.NaN }, "Alpha");
        Refused(new LoraOptions { Targets = TargetModules.None }, "Targets");
        Refused(new LoraOptions { Targets = (TargetModules)64 }, "Targets");
        Refused(new LowRankBiasOptions { Rank = -1 }, "Rank");
        Refused(new LowRankBiasOptions { Alpha = 0 }, "Alpha");
        Refused(new LowRankBiasOptions { Targets = (TargetModules)64 }, "Targets");
        Refused(new AdapterOptions { BottleneckSize = 0 }, "BottleneckSize");
        Refused(new AdapterOptions { InitialDeviation = -1 }, "InitialDeviation");
        Refused(new AdapterOptions { InitialUpDeviation = -1 }, "InitialUpDeviation");
        Refused(new AdapterOptions { InitialMean = double.NaN }, "InitialMean");
        Refused(new PrefixOptions { Length = 0 }, "Length");
        Refused(new PrefixOptions { ProjectionSize = 0 }, "ProjectionSize");

        void Refused(TuningOptions options, string name) =>
            Assert.Contains(name, Assert.Throws<ArgumentException>(() => options.Create(model)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OptionsTravelAsJson()
    {
        foreach (string method in Toy.Names)
        {
            TuningOptions options = Toy.Options(method);
            Assert.Equal(options, TuningOptions.FromJson(options.ToJson(), "x"));
        }

        var far = new AdapterOptions
        {
            InitialMean = 0.5,
            InitialDeviation = 0.08,
            InitialUpDeviation = 0.07,
        };
        Assert.Equal(far, TuningOptions.FromJson(far.ToJson(), "x"));
        Assert.Equal(new BitFitOptions(), TuningOptions.FromJson("""{"kind":"bit_fit"}""", "x"));
        Assert.Equal(new LoraOptions { Rank = 3 }, TuningOptions.FromJson("""{"kind":"lora","rank":3}""", "x"));
        Assert.Equal(
            new LowRankBiasOptions { ShareR = true, Mlp = true },
            TuningOptions.FromJson("""{"kind":"low_rank_bias","share_r":true,"mlp":true}""", "x")
        );
        Assert.Contains("\"targets\":\"query, value\"", new LoraOptions().ToJson(), StringComparison.Ordinal);
        foreach (string wrong in new[] { "{}", "null", "[]", """{"kind":"compacter"}""", """{"kind":"lora","rank":"x"}""" })
        {
            Assert.Contains(
                "x.json",
                Assert.Throws<InvalidDataException>(() => TuningOptions.FromJson(wrong, "x.json")).Message,
                StringComparison.Ordinal
            );
        }
    }
}
