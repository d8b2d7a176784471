using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Peft;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Merges of folders: what they write, and what they refuse.</summary>
public sealed class ModelMergeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static string Base => Oracles.PathOf("tiny-roberta");

    private static string Tuned => Oracles.PathOf("tiny-roberta-finetuned");

    private string Target => Path.Join(_folder, "merged");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TheResultIsAFolderWithACard()
    {
        MergeReport report = ModelMerge.Run(
            new()
            {
                Method = "task_arithmetic",
                BaseModel = Base,
                Models = [Tuned],
                Parameters = new Dictionary<string, MergeSetting> { ["lambda"] = 0.5 },
            },
            Target
        );
        Assert.Equal(2, report.Models.Count);
        using var merged = CheckpointFolder.Open(Target);
        using var basis = CheckpointFolder.Open(Base);
        using var tuned = CheckpointFolder.Open(Tuned);
        foreach (TensorInfo info in merged.Weights.Tensors)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor expected = (basis.Weights.Read(info.Name) + tuned.Weights.Read(info.Name)) / 2;
            Assert.True((merged.Weights.Read(info.Name) - expected).abs().max().item<float>() < 1e-6, info.Name);
        }

        string card = File.ReadAllText(Path.Join(Target, "README.md"));
        Assert.Contains("task_arithmetic", card, StringComparison.Ordinal);
        Assert.Contains(CheckpointFingerprint.Compute(tuned.Weights), card, StringComparison.Ordinal);
        Assert.Contains(CheckpointFingerprint.Compute(basis.Weights), card, StringComparison.Ordinal);
        using var model = LanguageModel.Load(Target);
        Assert.NotEmpty(basis.TokenizerFiles);
        Assert.Equal(
            basis.TokenizerFiles.Select(file => Path.GetFileName(file)),
            merged.TokenizerFiles.Select(file => Path.GetFileName(file))
        );
    }

    [Fact]
    public void NegativeWeightsForgetAndTypesAreStored()
    {
        ModelMerge.Run(
            new()
            {
                Method = "task_arithmetic",
                BaseModel = Base,
                Models = [new MergeInput(Tuned) { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = -1 } }],
                StoreAs = ScalarType.BFloat16,
            },
            Target
        );
        using var merged = CheckpointFolder.Open(Target);
        Assert.All(merged.Weights.Tensors, info => Assert.Equal(ScalarType.BFloat16, info.Dtype));
        Assert.Contains("bfloat16", File.ReadAllText(Path.Join(Target, "config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void GraftsAdaptersAndModelsInMemoryAreModels()
    {
        Graft graft = GraftAdapterTests.Random("tiny-roberta", 0.01, everywhere: true);
        string file = Path.Join(_folder, "a.graft.safetensors");
        graft.Save(file);
        using var classifier = TextClassifier.Create(
            WithTokenizer(Tuned),
            new()
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Head = HeadKind.LabelWords,
            }
        );
        MergeModel[] models =
        [
            MergeModel.At($"{Base}+{file}"),
            MergeModel.Of(Base, graft),
            MergeModel.At($"{Base}+{Oracles.PathOf("peft", "lora-roberta")}"),
            MergeModel.Of(classifier, "fine-tuned"),
        ];
        var merged = ModelMerge
            .Tensors(new() { Method = "linear", Models = [.. models.Select(model => new MergeInput(model))] })
            .ToDictionary(tensor => tensor.Name, tensor => tensor.Value);
        using var grafted = LanguageModel.Load(Base);
        graft.MergeInto(grafted);
        using var tuned = CheckpointFolder.Open(Tuned);
        using DisposeScope scope = NewDisposeScope();
        const string Dense = "roberta.encoder.layer.1.output.dense.weight";
        using var basis = CheckpointFolder.Open(Base);
        Tensor expected = ((grafted.Parameters[Dense] * 2) + basis.Weights.Read(Dense) + tuned.Weights.Read(Dense)) / 4;
        Assert.True((expected - merged[Dense]).abs().max().item<float>() < 1e-6);
        foreach (Tensor tensor in merged.Values)
        {
            tensor.Dispose();
        }
    }

    [Fact]
    public void RandomMethodsDependOnTheirSeedAlone()
    {
        foreach (string method in new[] { "dare_linear", "dare_ties", "della", "della_linear" })
        {
            float[] one = Run(1),
                same = Run(1),
                other = Run(2);
            Assert.Equal(one, same);
            Assert.NotEqual(one, other);

            float[] Run(int seed) => Merged(method, seed, ("density", 0.5));
        }
    }

    [Fact]
    public void DareKeepsTheExpectation()
    {
        // The share that is kept, mergekit's sum of magnitudes, and the paper's quotients.
        using var basis = CheckpointFolder.Open(Base);
        using var tuned = CheckpointFolder.Open(Tuned);
        using DisposeScope scope = NewDisposeScope();
        const string Name = "roberta.encoder.layer.0.intermediate.dense.weight";
        float[] difference = (tuned.Weights.Read(Name) - basis.Weights.Read(Name)).data<float>().ToArray();
        float[] start = basis.Weights.Read(Name).data<float>().ToArray();
        float[] rescaled = Moved(("density", 0.7)),
            quotients = Moved(("density", 0.7), ("rescale_norm", "density")),
            plain = Moved(("density", 0.7), ("rescale", false));
        int moved = difference.Count(value => value != 0);
        Assert.InRange(plain.Count(value => MathF.Abs(value) > 1e-9f), 0.66 * moved, 0.74 * moved);
        Assert.Equal(difference.Sum(MathF.Abs), rescaled.Sum(MathF.Abs), 0.01 * difference.Sum(MathF.Abs));
        for (int i = 0; i < difference.Length; i++)
        {
            Assert.True(MathF.Abs(quotients[i]) < 1e-6f || MathF.Abs(quotients[i] - (difference[i] / 0.7f)) < 1e-5f);
        }

        float[] Moved(params (string, MergeSetting)[] parameters)
        {
            float[] merged = Merged("dare_linear", 3, parameters, Name);
            return [.. merged.Zip(start, (x, y) => x - y)];
        }
    }

    [Fact]
    public void BreadcrumbsKeepWhatIsLeftOfSmallTensors()
    {
        // 48 scalars times 0.01 is no outlier; mergekit drops the whole tensor then.
        using var basis = CheckpointFolder.Open(Base);
        using DisposeScope scope = NewDisposeScope();
        const string Name = "roberta.encoder.layer.0.output.dense.bias";
        float[] start = basis.Weights.Read(Name).data<float>().ToArray(),
            merged = Merged("breadcrumbs", 0, [("density", 0.5)], Name);
        Assert.Equal(24, merged.Zip(start).Count(pair => pair.First != pair.Second));
    }

    [Theory]
    [InlineData("fisher")]
    [InlineData("regmean")]
    public void StatisticsAreComputedAndUsed(string method)
    {
        MergeInput[] inputs = [.. new[] { Base, Tuned }.Select(Input)];
        using DisposeScope scope = NewDisposeScope();
        var merged = ModelMerge.Tensors(new() { Method = method, Models = inputs }).ToDictionary(pair => pair.Name, pair => pair.Value);
        using var basis = CheckpointFolder.Open(Base);
        using var tuned = CheckpointFolder.Open(Tuned);
        const string Name = "roberta.encoder.layer.2.output.dense.weight";
        Tensor one = basis.Weights.Read(Name),
            other = tuned.Weights.Read(Name);
        if (method == "fisher")
        {
            using var first = SafetensorsFile.Open(inputs[0].Statistics!);
            using var second = SafetensorsFile.Open(inputs[1].Statistics!);
            Tensor f = first.Read(Name).clamp_min(1e-6),
                g = second.Read(Name).clamp_min(1e-6);
            Tensor expected = ((one * f) + (other * g)) / (f + g);
            Assert.True((expected - merged[Name]).abs().max().item<float>() < 1e-5);
            Assert.True(first.Read(Name).max().item<float>() > 0);
        }
        else
        {
            using var first = SafetensorsFile.Open(inputs[0].Statistics!);
            using var second = SafetensorsFile.Open(inputs[1].Statistics!);
            Tensor g = Reduced(first.Read(Name)),
                h = Reduced(second.Read(Name));

            // The result solves the normal equations.
            Tensor left = (g + h).mm(merged[Name].to(ScalarType.Float64).t()),
                right = g.mm(one.to(ScalarType.Float64).t()) + h.mm(other.to(ScalarType.Float64).t());
            Assert.True((left - right).abs().max().item<double>() < 1e-3 * right.abs().max().item<double>());
        }

        static Tensor Reduced(Tensor gram)
        {
            Tensor exact = gram.to(ScalarType.Float64);
            return (exact * 0.9) + (diag(diagonal(exact)) * 0.1);
        }

        MergeInput Input(string folder)
        {
            using var classifier = TextClassifier.Create(
                WithTokenizer(folder),
                new()
                {
                    Labels = ["neg", "pos"],
                    Words = ["bad", "good"],
                    Template = "*cls**sent_0**mask**sep+*",
                }
            );
            string path = Path.Join(_folder, Path.GetFileName(folder) + ".statistics");
            EncodedText[] rows = [classifier.Encode("a good day"), classifier.Encode("this was very bad")];
            if (method == "fisher")
            {
                MergeStatistics.WriteFisher(classifier, rows, path);
            }
            else
            {
                MergeStatistics.WriteGrams(classifier, rows, path);
            }

            return new(folder) { Statistics = path };
        }
    }

    [Fact]
    public void TallMasksHoldSeveralModels()
    {
        string file = Path.Join(_folder, "masks.safetensors");
        Graft graft = GraftAdapterTests.Random("tiny-roberta", 0.2, everywhere: true);
        TallMaskSet.Write(Base, new Dictionary<string, MergeModel> { ["one"] = Tuned, ["two"] = MergeModel.Of(Base, graft) }, file);
        using var set = TallMaskSet.Open(file);
        Assert.Equal(["one", "two"], set.Tasks);
        var expected = ModelMerge
            .Tensors(
                new()
                {
                    Method = "tall_mask",
                    BaseModel = Base,
                    Models = [Tuned, new MergeInput(MergeModel.Of(Base, graft))],
                    Parameters = new Dictionary<string, MergeSetting> { ["task"] = 1 },
                }
            )
            .ToDictionary(pair => pair.Name, pair => pair.Value);
        using var model = LanguageModel.Load(Base);
        set.MergeInto(model, "two");
        using var grafted = LanguageModel.Load(Base);
        set.ToGraft(Base, "two").MergeInto(grafted);
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, TorchSharp.Modules.Parameter weight) in model.Parameters)
        {
            Assert.True((weight - expected[name]).abs().max().item<float>() < 1e-6, name);
            Assert.True((weight - grafted.Parameters[name]).abs().max().item<float>() < 1e-6, name);
        }

        Assert.Throws<ArgumentException>(() => set.MergeInto(model, "three"));
        Assert.Throws<InvalidDataException>(() => set.MergeInto(model, "one"));
        foreach (Tensor tensor in expected.Values)
        {
            tensor.Dispose();
        }
    }

    [Fact]
    public void AGreedySoupNeverGetsWorse()
    {
        // The measure is the distance from the fine-tuned model, which alone is the best.
        IReadOnlyList<SoupIngredient> kept = GreedySoup.Run([Base, Tuned], Measure, Target);
        Assert.Equal([Tuned], kept.Select(one => one.Model.Name));

        static double Measure(string folder)
        {
            using var one = CheckpointFolder.Open(folder);
            using var other = CheckpointFolder.Open(Tuned);
            return -SkillLoc
                .Models.Connectivity.CheckpointDistance.Of(SkillLoc.Models.Connectivity.CheckpointDistance.Between(one, other).Values)
                .L2;
        }
    }

    [Fact]
    public void ModelsOfAnotherKindAreRefused()
    {
        string message = Assert
            .Throws<InvalidDataException>(() =>
                ModelMerge.Run(new() { Method = "linear", Models = [Base, Oracles.PathOf("tiny-gpt2")] }, Target)
            )
            .Message;
        Assert.Contains("architecture is roberta and gpt2", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void TheFirstFiveDifferencesAreNamed()
    {
        string other = Path.Join(_folder, "other");
        using (var basis = CheckpointFolder.Open(Base))
        using (DisposeScope scope = NewDisposeScope())
        {
            CheckpointFolder.Save(
                other,
                basis.Config,
                basis.Weights.ReadAll().Select(pair => (pair.Name, pair.Value.dim() == 1 ? pair.Value.repeat(2) : pair.Value)),
                basis.TokenizerFiles
            );
        }

        string message = Assert
            .Throws<InvalidDataException>(() => ModelMerge.Run(new() { Method = "linear", Models = [Base, other] }, Target))
            .Message;
        Assert.Equal(5, message.Split("has the shape").Length - 1);
        Assert.Contains("more", message, StringComparison.Ordinal);

        // What is copied may differ.
        ModelMerge.Run(
            new()
            {
                Method = "linear",
                Models = [Base, other],
                Copied = ["bias", "LayerNorm", "layer_norm"],
            },
            Target
        );
        Assert.True(File.Exists(Path.Join(Target, "model.safetensors")));
    }

    [Fact]
    public void AModelsOwnFolderIsNoTarget()
    {
        string own = Path.Join(_folder, "own");
        ModelMerge.Run(new() { Method = "passthrough", Models = [Base] }, own);
        byte[] before = File.ReadAllBytes(Path.Join(own, "model.safetensors"));
        Assert.Throws<ArgumentException>(() => ModelMerge.Run(new() { Method = "linear", Models = [own, Tuned] }, own));
        string recipe = Path.Join(_folder, "recipe.yml");
        File.WriteAllText(recipe, $"merge_method: linear\nmodels:\n- model: {Tuned}\n- model: {own}\n");
        string message = Assert.Throws<ArgumentException>(() => MergeRecipeFile.Load(recipe).Run(own)).Message;
        Assert.Contains("recipe.yml, line 4: ", message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(Path.Join(own, "model.safetensors")));
    }

    [Theory]
    [InlineData("ties", "density", 0.0)]
    [InlineData("ties", "density", 1.5)]
    [InlineData("dare_ties", "density", -1.0)]
    [InlineData("della", "epsilon", 0.5)]
    [InlineData("slerp", "t", 2.0)]
    public void ValuesOutOfRangeAreRefused(string method, string parameter, double value)
    {
        string message = Assert
            .Throws<InvalidDataException>(() =>
                ModelMerge.Run(
                    new()
                    {
                        Method = method,
                        BaseModel = Base,
                        Models = [Tuned],
                        Parameters = new Dictionary<string, MergeSetting> { [parameter] = value },
                    },
                    Target
                )
            )
            .Message;
        Assert.Contains($"'{parameter}'", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void AnEpsilonThatLeavesTheRangeIsRefused()
    {
        string message = Assert.Throws<InvalidDataException>(() => Merged("della", 0, ("density", 0.1))).Message;
        Assert.Contains("epsilon", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ZeroWeightsHaveNoMean()
    {
        MergeInput[] inputs =
        [
            new(Base) { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = 1 } },
            new(Tuned) { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = -1 } },
        ];
        Assert.Throws<InvalidDataException>(() => ModelMerge.Run(new() { Method = "linear", Models = inputs }, Target));
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public void EveryMethodHasARangeForItsParameters() =>
        Assert.All(
            MergeMethod.All,
            method =>
            {
                Assert.NotNull(MergeMethod.Find(method.Name));
                Assert.All(method.Parameters, parameter => Assert.NotEmpty(parameter.Range));
            }
        );

    /// <summary>The folder with the base's tokenizer.</summary>
    private string WithTokenizer(string folder)
    {
        string place = Path.Join(_folder, Path.GetFileName(folder));
        ModelMerge.Run(
            new()
            {
                Method = "passthrough",
                Models = [folder],
                Tokenizer = Base,
            },
            place
        );
        return place;
    }

    internal static float[] Merged(string method, int seed, params (string, MergeSetting)[] parameters) =>
        Merged(method, seed, parameters, "roberta.encoder.layer.0.intermediate.dense.weight");

    private static float[] Merged(string method, int seed, (string, MergeSetting)[] parameters, string name)
    {
        float[] found = [];
        foreach (
            (string tensor, Tensor value) in ModelMerge.Tensors(
                new()
                {
                    Method = method,
                    BaseModel = Base,
                    Models = [Tuned],
                    Seed = seed,
                    Parameters = parameters.ToDictionary(pair => pair.Item1, pair => pair.Item2),
                }
            )
        )
        {
            if (tensor == name)
            {
                found = value.view(-1).data<float>().ToArray();
            }

            value.Dispose();
        }

        return found;
    }
}
