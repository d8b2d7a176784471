using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Merges of three models against what mergekit gave: of some tensors (tests/oracles/merging), and where the shared folder is, of
/// all.</summary>
public sealed class MergeOracleTests
{
    private static readonly Dictionary<string, string> OwnNames = new(StringComparer.Ordinal)
    {
        ["localize-and-stitch-dataless"] = "localize_and_stitch",
        ["tall-mask-a"] = "tall_mask",
        ["tall-mask-b"] = "tall_mask",
        ["tall-mask-c"] = "tall_mask",
        ["consensus-task-arithmetic"] = "consensus",
    };

    public static TheoryData<string> Cases => [.. Read().Select(one => one.GetProperty("name").GetString()!)];

    // The others look at all tensors together.
    public static TheoryData<string> CasesByTensor =>
        [
            .. Read()
                .Select(one => one.GetProperty("name").GetString()!)
                .Where(name => !name.StartsWith("localize", StringComparison.Ordinal)),
        ];

    [Theory]
    [MemberData(nameof(CasesByTensor))]
    public void MergesOfSomeTensorsAreTheOracles(string name)
    {
        Check(name, Oracles.PathOf("merging"), Oracles.PathOf("merging", "base.safetensors"));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void MergesAreTheOracles(string name)
    {
        string folder = Oracles.SharedPathOf("oracles", "merging");
        Assert.SkipUnless(Directory.Exists(folder), $"There is no folder '{folder}'.");
        Check(name, folder, Oracles.PathOf("tiny-roberta", "model.safetensors"));
    }

    private static void Check(string name, string folder, string basis)
    {
        JsonElement wanted = Read().Single(one => one.GetProperty("name").GetString() == name);
        using var expected = SafetensorsFile.Open(Path.Join(folder, name + ".safetensors"));
        using DisposeScope scope = NewDisposeScope();
        double largest = 0;
        long unequal = 0,
            outside = 0;
        int seen = 0;
        MergeRecipe recipe = Recipe(wanted, folder, basis);
        if (recipe.Method == "localize_and_stitch")
        {
            // The share is of the tensors that are merged.
            using var all = SafetensorsFile.Open(basis);
            recipe = recipe with { Copied = [.. all.Tensors.Select(info => info.Name).Where(tensor => !expected.Contains(tensor))] };
        }

        foreach ((string tensor, Tensor merged) in ModelMerge.Tensors(recipe))
        {
            if (!expected.Contains(tensor))
            {
                continue;
            }

            seen++;
            Tensor target = expected.Read(tensor, ScalarType.Float32);
            Tensor error = (merged - target).abs();
            largest = Math.Max(largest, error.max().item<float>());
            unequal += error.gt(0).sum().item<long>();
            outside += error.gt(1e-6).sum().item<long>();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: largest error {largest}, {unequal} unequal, {outside} above 1e-6");
        Assert.Equal(expected.Tensors.Count, seen);

        Assert.True(outside == 0, $"{name}: largest error {largest}, {unequal} unequal, {outside} above 1e-6");
    }

    private static MergeRecipe Recipe(JsonElement wanted, string folder, string basis)
    {
        string name = wanted.GetProperty("name").GetString()!,
            method = OwnNames.GetValueOrDefault(name) ?? wanted.GetProperty("method").GetString()!;
        string[] models = [.. wanted.GetProperty("models").EnumerateArray().Select(model => model.GetString()!)];
        var parameters = new Dictionary<string, MergeSetting>(StringComparer.Ordinal);
        if (wanted.TryGetProperty("parameters", out JsonElement given))
        {
            foreach (JsonProperty parameter in given.EnumerateObject())
            {
                parameters.Add(parameter.Name, Setting(parameter.Value));
            }
        }

        if (method is "tall_mask" or "consensus")
        {
            parameters.Add("lambda", 0.4);
            parameters.Add("threshold", 0.4);
        }

        if (method == "tall_mask")
        {
            parameters.Add("task", name[^1] - 'a');
        }

        return new()
        {
            Method = method,
            BaseModel = wanted.TryGetProperty("with_base", out JsonElement withBase) && !withBase.GetBoolean() ? null : At("base"),
            Parameters = parameters,
            Models =
            [
                .. models.Select(
                    (model, i) =>
                        new MergeInput(At(model))
                        {
                            Parameters = wanted.TryGetProperty("tensor_parameters", out JsonElement own)
                                ? own.EnumerateObject()
                                    .ToDictionary(
                                        parameter => parameter.Name,
                                        parameter =>
                                            Setting(
                                                parameter.Value.ValueKind == JsonValueKind.Array ? parameter.Value[i] : parameter.Value
                                            ),
                                        StringComparer.Ordinal
                                    )
                                : [],
                        }
                ),
            ],
        };

        MergeModel At(string model) => MergeModel.At(model == "base" ? basis : Path.Join(folder, $"model-{model}.safetensors"));
    }

    private static MergeSetting Setting(JsonElement value) =>
        value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : value.GetDouble();

    private static JsonElement[] Read() =>
        [.. JsonDocument.Parse(File.ReadAllText(Oracles.PathOf("merging", "cases.json"))).RootElement.EnumerateArray()];
}
