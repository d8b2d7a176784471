using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Parameters at their limits, one model, and results that are divided into files.</summary>
public sealed class MergeEdgeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static string Base => Oracles.PathOf("tiny-roberta");

    private static string Tuned => Oracles.PathOf("tiny-roberta-finetuned");

    private string Target => Path.Join(_folder, "merged");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void OfEqualMagnitudesBreadcrumbsTakeTheLastAsTheLarger()
    {
        // As mergekit's ascending sort: of 48 equal magnitudes the last 6 are the outliers, and the 24 before them are kept.
        const string Name = "roberta.encoder.layer.1.output.dense.bias";
        using DisposeScope scope = NewDisposeScope();
        string basis = Folder("basis", zeros(48)),
            tuned = Folder("tuned", tensor(Enumerable.Range(0, 48).Select(i => i % 3 == 0 ? -0.5f : 0.5f).ToArray()));
        ModelMerge.Run(
            new()
            {
                Method = "breadcrumbs",
                BaseModel = basis,
                Models = [tuned],
                Parameters = new Dictionary<string, MergeSetting> { ["density"] = 0.5, ["gamma"] = 0.125 },
            },
            Target
        );
        using var merged = CheckpointFolder.Open(Target);
        float[] values = merged.Weights.Read(Name).data<float>().ToArray();
        Assert.Equal(Enumerable.Range(18, 24), Enumerable.Range(0, 48).Where(i => values[i] != 0));

        string Folder(string name, Tensor bias)
        {
            string path = Path.Join(_folder, name);
            using var folder = CheckpointFolder.Open(Base);
            CheckpointFolder.Save(
                path,
                folder.Config,
                [.. folder.Weights.ReadAll().Select(pair => (pair.Item1, pair.Item1 == Name ? bias : pair.Item2))],
                folder.TokenizerFiles
            );
            return path;
        }
    }

    [Fact]
    public void LargeResultsAreInSeveralFiles()
    {
        const long Most = 20_000;
        MergeRecipe recipe = new() { Method = "linear", Models = [Base, Tuned] };
        ModelMerge.Run(recipe, Target);
        Dictionary<string, float[]> whole = Values();
        ModelMerge.Run(recipe, Target, new() { MaxShardBytes = Most });
        string[] files =
        [
            .. Directory.GetFiles(Target, "*.safetensors").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal),
        ];
        Assert.True(files.Length > 2);
        Assert.Equal(Enumerable.Range(1, files.Length).Select(i => $"model-{i:00000}-of-{files.Length:00000}.safetensors"), files);
        foreach (string file in files)
        {
            using var shard = SafetensorsFile.Open(Path.Join(Target, file));
            Assert.True(shard.Tensors.Count == 1 || shard.Tensors.Sum(info => info.ByteLength) <= Most, file);
        }

        Dictionary<string, float[]> divided = Values();
        Assert.Equal(whole.Keys, divided.Keys);
        Assert.Equal(whole.Values, divided.Values);
        using (var model = LanguageModel.Load(Target))
        {
            Assert.NotEmpty(model.Parameters);
        }

        // One file again: nothing of the others is left.
        ModelMerge.Run(recipe, Target);
        Assert.Equal("model.safetensors", Path.GetFileName(Assert.Single(Directory.GetFiles(Target, "model*"))));

        Dictionary<string, float[]> Values()
        {
            using DisposeScope scope = NewDisposeScope();
            using var folder = CheckpointFolder.Open(Target);
            return folder.Weights.ReadAll().ToDictionary(pair => pair.Item1, pair => pair.Item2.view(-1).data<float>().ToArray());
        }
    }

    [Theory]
    [InlineData("ties", "l1")]
    [InlineData("ties", "l2")]
    [InlineData("breadcrumbs", "linf")]
    public void WhatIsLeftIsScaledUp(string method, string norm)
    {
        float[] basis = ModelMergeTests.Merged(method, 0, ("lambda", 0)),
            all = ModelMergeTests.Merged(method, 0),
            left = ModelMergeTests.Merged(method, 0, ("density", 0.3), ("rescale", true), ("rescale_norm", norm));
        Assert.Equal(Size(all), Size(left), 1e-3 * Size(all));
        Assert.True(Enumerable.Range(0, basis.Length).Count(i => left[i] == basis[i]) > 0.6 * basis.Length);

        double Size(float[] values)
        {
            double[] moved = [.. values.Select((value, i) => (double)Math.Abs(value - basis[i]))];
            return norm switch
            {
                "l1" => moved.Sum(),
                "l2" => Math.Sqrt(moved.Sum(value => value * value)),
                _ => moved.Max(),
            };
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("karcher")]
    [InlineData("multislerp")]
    [InlineData("ties")]
    [InlineData("ties_original")]
    [InlineData("ties_peft")]
    [InlineData("dare_ties")]
    [InlineData("della")]
    [InlineData("breadcrumbs")]
    [InlineData("sce")]
    [InlineData("ram")]
    public void OneModelOfFullDensityIsItself(string method)
    {
        using var tuned = CheckpointFolder.Open(Tuned);
        using Tensor expected = tuned.Weights.Read("roberta.encoder.layer.0.intermediate.dense.weight");
        (string, MergeSetting)[] parameters = MergeMethod.Find(method)!.Parameters.Any(parameter => parameter.Name == "density")
            ? [("density", 1)]
            : [];
        float[] merged = ModelMergeTests.Merged(method, 0, parameters);
        float[] wanted = expected.view(-1).data<float>().ToArray();

        // RAM takes differences up to epsilon for none.
        Assert.All(merged, (value, i) => Assert.Equal(wanted[i], value, method == "ram" ? 1.1e-5 : 1e-6));
    }
}
