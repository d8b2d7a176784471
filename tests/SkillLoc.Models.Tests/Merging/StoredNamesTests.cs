using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Folders that hold the same model under other names, or with copies of tied tensors, merge as if saved alike.</summary>
public sealed class StoredNamesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("tiny-roberta", "lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight")]
    [InlineData("tiny-bert", "cls.predictions.decoder.bias", "cls.predictions.bias")]
    [InlineData("tiny-gpt2", "lm_head.weight", "transformer.wte.weight")]
    [InlineData("tiny-t5", "decoder.embed_tokens.weight", "shared.weight")]
    public void CopiesOfTiedTensorsAreLeftOut(string model, string copy, string original)
    {
        string basis = Oracles.PathOf(model),
            tuned = Saved("tuned", basis, (name, value) => [(name, value * 1.5)]),
            withCopy = Saved("copy", tuned, (name, value) => name == original ? [(name, value), (copy, value)] : [(name, value)]);
        Dictionary<string, float[]> expected = Merged(basis, tuned);
        Same(expected, Merged(basis, withCopy));

        // With a base that has the copy too, methods that drop at random must not change one of the two alone.
        Assert.DoesNotContain(
            copy,
            Merged(
                Saved("base", basis, (name, value) => name == original ? [(name, value), (copy, value)] : [(name, value)]),
                withCopy
            ).Keys
        );

        // An output layer of its own is no copy.
        string another = Saved(
            "own",
            tuned,
            (name, value) => name == original ? [(name, value), (copy, (value * 2) + 1)] : [(name, value)]
        );
        string problem = Assert.Throws<InvalidDataException>(() => Merged(basis, another)).Message;
        Assert.Contains(copy, problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tiny-roberta", "roberta.")]
    [InlineData("tiny-bert", "bert.")]
    [InlineData("tiny-gpt2", "transformer.")]
    public void PrefixesAndOldNamesOfNormsDoNotMatter(string model, string prefix)
    {
        string basis = Oracles.PathOf(model),
            tuned = Saved("tuned", basis, (name, value) => [(name, value * 1.5)]),
            renamed = Saved("renamed", tuned, (name, value) => [(Old(name), value)]);
        Dictionary<string, float[]> expected = Merged(basis, tuned);
        Same(expected, Merged(basis, renamed));
        Assert.Equal(expected.Values, Merged(Saved("base", basis, (name, value) => [(Old(name), value)]), tuned).Values);

        string Old(string name) =>
            (name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name)
                .Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal)
                .Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal);
    }

    private static void Same(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        Assert.Equal(expected.Keys, actual.Keys);
        Assert.Equal(expected.Values, actual.Values);
    }

    private string Saved(string name, string source, Func<string, Tensor, (string, Tensor)[]> change)
    {
        using DisposeScope scope = NewDisposeScope();
        string place = Path.Join(_folder, name);
        using var checkpoint = CheckpointFolder.Open(source);
        CheckpointFolder.Save(
            place,
            checkpoint.Config,
            [.. checkpoint.Weights.ReadAll().SelectMany(pair => change(pair.Item1, pair.Item2))],
            checkpoint.TokenizerFiles
        );
        return place;
    }

    private static Dictionary<string, float[]> Merged(string basis, string model)
    {
        var found = new Dictionary<string, float[]>(StringComparer.Ordinal);
        var recipe = new MergeRecipe
        {
            Method = "ties",
            BaseModel = basis,
            Models = [model],
            Parameters = new Dictionary<string, MergeSetting> { ["density"] = 0.5 },
        };
        foreach ((string name, Tensor value) in ModelMerge.Tensors(recipe))
        {
            found.Add(name, value.view(-1).data<float>().ToArray());
            value.Dispose();
        }

        return found;
    }
}
