using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>What is merged and how: the content of a recipe file (<see cref="MergeRecipeFile"/>), or written in code.</summary>
public sealed record MergeRecipe
{
    private static readonly Dictionary<string, MergeSetting> None = new(StringComparer.Ordinal);

    /// <summary>The name of the method (<see cref="MergeMethod.All"/>).</summary>
    public required string Method { get; init; }

    /// <summary>The models; empty if there are <see cref="Slices"/> or <see cref="Modules"/>.</summary>
    public IReadOnlyList<MergeInput> Models { get; init; } = [];

    /// <summary>The layers of the result, in order, where they are not those of the models; empty if there are
    /// <see cref="Models"/> or <see cref="Modules"/>.</summary>
    public IReadOnlyList<MergeSlice> Slices { get; init; } = [];

    /// <summary>The parts of the model, where each is merged in its own way; empty if there are <see cref="Models"/> or
    /// <see cref="Slices"/>.</summary>
    public IReadOnlyList<MergeModule> Modules { get; init; } = [];

    /// <summary>The model whose differences from the others are merged; null for none.</summary>
    public MergeModel? BaseModel { get; init; }

    /// <summary>Parameters of the method, for all models and tensors that have no setting of their own.</summary>
    public IReadOnlyDictionary<string, MergeSetting> Parameters { get; init; } = None;

    /// <summary>The type in which weights are stored; null for that of the base, or else of the first model. All is computed in
    /// float32.</summary>
    public torch.ScalarType? StoreAs { get; init; }

    /// <summary>The result's vocabulary, where the models have different ones; null, the default, for that of the base, or else of the first
    /// model, which all must have.</summary>
    public MergeTokenizer? Tokenizer { get; init; }

    /// <summary>The chat template of the result's tokenizer, in Jinja, or <c>auto</c> for the one that most of the models have; null, the
    /// default, for that of the tokenizer.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Seed of the methods that drop at random; 0 by default.</summary>
    public int Seed { get; init; }

    /// <summary>Parts of the names of tensors that are taken from the base, or else the first model, as they are, such as
    /// <c>classifier</c>: they may differ or be missing elsewhere. None by default.</summary>
    public IReadOnlyList<string> Copied { get; init; } = [];

    /// <summary>The name by which other recipes of the same file call the result; empty for none.</summary>
    public string Name { get; init; } = "";

    /// <summary>The file, for error messages; empty for none.</summary>
    internal string Source { get; init; } = "";

    /// <summary>The line of the recipe in its file.</summary>
    internal int Line { get; init; }

    /// <summary>The text that the recipe was read from.</summary>
    internal string Text { get; init; } = "";

    /// <summary>Whether a model is one of the recipe's.</summary>
    internal bool Uses(string identity) => AllModels.Any(model => model.Identity == identity);

    /// <summary>All slices, those of modules too.</summary>
    internal IEnumerable<MergeSlice> AllSlices => Slices.Concat(Modules.SelectMany(module => module.Slices));

    /// <summary>All models that are merged, each as often as it is named.</summary>
    internal IEnumerable<MergeInput> AllInputs =>
        Models.Concat(Modules.SelectMany(module => module.Models)).Concat(AllSlices.SelectMany(slice => slice.Sources));

    private IEnumerable<MergeModel> AllModels =>
        AllInputs
            .Select(input => input.Model)
            .Concat(
                new[] { BaseModel, Tokenizer?.Source }
                    .Concat(AllSlices.Select(slice => slice.BaseModel))
                    .Concat(Tokenizer?.Tokens.Values.Select(token => token.Source) ?? [])
                    .OfType<MergeModel>()
            );

    /// <summary>Returns the recipe with other models.</summary>
    internal MergeRecipe With(Func<MergeModel, MergeModel> replace)
    {
        return this with
        {
            Models = [.. Models.Select(Input)],
            Slices = [.. Slices.Select(Slice)],
            Modules =
            [
                .. Modules.Select(module =>
                    module with
                    {
                        Models = [.. module.Models.Select(Input)],
                        Slices = [.. module.Slices.Select(Slice)],
                    }
                ),
            ],
            BaseModel = BaseModel is null ? null : replace(BaseModel),
            Tokenizer = Tokenizer is null
                ? null
                : Tokenizer with
                {
                    Source = Tokenizer.Source is { } source ? replace(source) : null,
                    Tokens = Tokenizer.Tokens.ToDictionary(
                        token => token.Key,
                        token => token.Value with { Source = token.Value.Source is { } from ? replace(from) : null },
                        StringComparer.Ordinal
                    ),
                },
        };

        MergeInput Input(MergeInput input) => input with { Model = replace(input.Model) };

        MergeSlice Slice(MergeSlice slice) =>
            slice with
            {
                Sources = [.. slice.Sources.Select(Input)],
                BaseModel = slice.BaseModel is null ? null : replace(slice.BaseModel),
            };
    }

    /// <summary>Creates the error for something in the recipe.</summary>
    internal InvalidDataException Wrong(int line, string problem, Exception? cause = null) =>
        new(
            Source.Length == 0 ? $"The recipe cannot be followed: {problem}."
                : line > 0 ? $"{Source}, line {line}: {problem}."
                : $"{Source}: {problem}.",
            cause
        );
}

/// <summary>A model of a recipe.</summary>
/// <param name="Model">Where it is.</param>
public sealed record MergeInput(MergeModel Model)
{
    /// <summary>Parameters of the method for this model.</summary>
    public IReadOnlyDictionary<string, MergeSetting> Parameters { get; init; } =
        new Dictionary<string, MergeSetting>(StringComparer.Ordinal);

    /// <summary>The safetensors file with the model's Fisher information or Gram matrices (<see cref="MergeStatistics"/>); null for none.
    /// </summary>
    public string? Statistics { get; init; }

    /// <summary>The first layer that is taken, in slices.</summary>
    public int FirstLayer { get; init; }

    /// <summary>The layer after the last that is taken, in slices.</summary>
    public int EndLayer { get; init; }

    internal int Line { get; init; }

    /// <summary>Makes a model an input without settings of its own.</summary>
    /// <param name="path">The path, as in <see cref="MergeModel.At"/>.</param>
    public static implicit operator MergeInput(string path) => new(MergeModel.At(path));
}

/// <summary>Some of the layers of a result.</summary>
/// <param name="Sources">The models whose layers they are merged from, with as many layers each.</param>
public sealed record MergeSlice(IReadOnlyList<MergeInput> Sources)
{
    /// <summary>Parameters of the method for these layers.</summary>
    public IReadOnlyDictionary<string, MergeSetting> Parameters { get; init; } =
        new Dictionary<string, MergeSetting>(StringComparer.Ordinal);

    /// <summary>The base of these layers; null for that of the recipe.</summary>
    public MergeModel? BaseModel { get; init; }

    internal int Line { get; init; }
}

/// <summary>A part of a model that is merged in its own way.</summary>
/// <param name="Name">In T5 <c>encoder</c>, <c>decoder</c> or <c>shared</c> (the word embeddings and the output layer), elsewhere
/// <c>default</c>, which is all.</param>
public sealed record MergeModule(string Name)
{
    /// <summary>The models; empty if there are <see cref="Slices"/>.</summary>
    public IReadOnlyList<MergeInput> Models { get; init; } = [];

    /// <summary>The layers of the part, in order; empty if there are <see cref="Models"/>.</summary>
    public IReadOnlyList<MergeSlice> Slices { get; init; } = [];

    /// <summary>Parameters of the method for this part; those of a slice and of its sources go before them.</summary>
    public IReadOnlyDictionary<string, MergeSetting> Parameters { get; init; } =
        new Dictionary<string, MergeSetting>(StringComparer.Ordinal);

    internal int Line { get; init; }
}
