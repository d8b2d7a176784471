using System.Globalization;
using System.Text;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SkillLoc.Models.Merging;

/// <summary>
/// A file of recipes in mergekit's vocabulary: one YAML document, or several of which the named ones are models of others and the unnamed
/// one is the result. Paths are relative to the file, or else to the current folder.
/// </summary>
public sealed class MergeRecipeFile
{
    private const int MostBytes = 2 << 20;
    private const int Deepest = 64;

    private readonly IReadOnlyList<MergeRecipe> _recipes;

    private MergeRecipeFile(string path, IReadOnlyList<MergeRecipe> recipes)
    {
        Path = path;
        _recipes = recipes;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The recipes, each after those that it builds on; the last is the result.</summary>
    public IReadOnlyList<MergeRecipe> Recipes => _recipes;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The recipes.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">It is not valid YAML, a key is unknown or has a wrong value, or recipes build on each other
    /// in a cycle; the message names the file, the line and the key.</exception>
    public static MergeRecipeFile Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return !File.Exists(path) ? throw new FileNotFoundException($"There is no recipe '{path}'.", path)
            : new FileInfo(path).Length is > MostBytes and var length
                ? throw new InvalidDataException($"{path} has {length} bytes; recipes have at most {MostBytes}.")
            : new(path, Read(File.ReadAllText(path), path));
    }

    /// <summary>Merges what the recipes say and writes the result; what named recipes give lies in a temporary folder meanwhile.</summary>
    /// <param name="folder">The folder of the result.</param>
    /// <param name="options">How the merge runs; null for the defaults.</param>
    /// <param name="seed">A seed in place of the recipes'; null for theirs.</param>
    /// <returns>What was merged into the result.</returns>
    /// <exception cref="InvalidDataException">As for <see cref="ModelMerge.Run"/>.</exception>
    /// <exception cref="ArgumentException">The folder is that of a model that is merged.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public MergeReport Run(string folder, MergeOptions? options = null, int? seed = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (_recipes.Count == 1)
        {
            return ModelMerge.Run(Seeded(_recipes[0]), folder, options);
        }

        CheckpointFolder.CheckWritable(folder);
        string temporary = Directory.CreateTempSubdirectory("skillloc-merge-").FullName;
        try
        {
            var made = new Dictionary<string, MergeModel>(StringComparer.Ordinal);
            foreach (MergeRecipe recipe in _recipes.SkipLast(1))
            {
                string place = System.IO.Path.Join(temporary, made.Count.ToString(CultureInfo.InvariantCulture));
                ModelMerge.Run(Seeded(recipe.With(Resolve)), place, (options ?? new()) with { MaxShardBytes = null });
                made.Add(MergeModel.NamedIdentity(recipe.Name), MergeModel.At(place).Called(recipe.Name));
            }

            return ModelMerge.Run(Seeded(_recipes[^1].With(Resolve)), folder, options);

            MergeModel Resolve(MergeModel model) => made.GetValueOrDefault(model.Identity, model);
        }
        finally
        {
            Directory.Delete(temporary, recursive: true);
        }

        MergeRecipe Seeded(MergeRecipe recipe) => seed is { } given ? recipe with { Seed = given } : recipe;
    }

    /// <summary>Writes a recipe as YAML.</summary>
    internal static string Write(MergeRecipe recipe)
    {
        if (recipe.Text.Length > 0)
        {
            return recipe.Text.TrimEnd() + "\n";
        }

        YamlMappingNode root = new() { { "merge_method", recipe.Method } };
        if (recipe.BaseModel is not null)
        {
            root.Add("base_model", recipe.BaseModel.Name);
        }

        AddParts(root, recipe.Models, recipe.Slices);
        if (recipe.Modules.Count > 0)
        {
            YamlMappingNode modules = new();
            foreach (MergeModule module in recipe.Modules)
            {
                YamlMappingNode node = new();
                AddParts(node, module.Models, module.Slices);
                AddSettings(node, module.Parameters);
                modules.Add(module.Name, node);
            }

            root.Add("modules", modules);
        }

        AddSettings(root, recipe.Parameters);
        if (recipe.StoreAs is { } type)
        {
            root.Add("out_dtype", ElementTypes.TorchName(type));
        }

        if (recipe.Tokenizer is not null)
        {
            root.Add("tokenizer", Tokenizer(recipe.Tokenizer));
        }

        if (recipe.ChatTemplate is { } template)
        {
            root.Add("chat_template", template);
        }

        if (recipe.Copied.Count > 0)
        {
            root.Add("copied", new YamlSequenceNode(recipe.Copied.Select(name => new YamlScalarNode(name))));
        }

        if (recipe.Seed != 0)
        {
            root.Add("seed", recipe.Seed.ToString(CultureInfo.InvariantCulture));
        }

        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        new YamlStream(new YamlDocument(root)).Save(text, assignAnchors: false);
        return text.ToString().TrimEnd('\n', '.') + "\n";

        static YamlMappingNode Tokenizer(MergeTokenizer tokenizer)
        {
            YamlMappingNode node = new() { { "source", tokenizer.IsUnion ? "union" : tokenizer.Source?.Name ?? "base" } };
            if (tokenizer.Tokens.Count > 0)
            {
                YamlMappingNode tokens = new();
                foreach ((string name, MergeToken token) in tokenizer.Tokens)
                {
                    tokens.Add(new YamlScalarNode(name) { Style = ScalarStyle.DoubleQuoted }, Token(token));
                }

                node.Add("tokens", tokens);
            }

            if (tokenizer.PadToMultipleOf > 0)
            {
                node.Add("pad_to_multiple_of", tokenizer.PadToMultipleOf.ToString(CultureInfo.InvariantCulture));
            }

            return node;
        }

        static YamlMappingNode Token(MergeToken token)
        {
            YamlMappingNode node = new();
            if (token.IsZero)
            {
                node.Add("source", new YamlMappingNode { { "kind", "zero" } });
            }
            else if (token.Source is not null && (token.SourceToken is not null || token.SourceId is not null))
            {
                YamlMappingNode from = new() { { "kind", "model_token" }, { "model", token.Source.Name } };
                if (token.SourceToken is { } other)
                {
                    from.Add("token", new YamlScalarNode(other) { Style = ScalarStyle.DoubleQuoted });
                }
                else
                {
                    from.Add("token_id", token.SourceId!.Value.ToString(CultureInfo.InvariantCulture));
                }

                node.Add("source", from);
            }
            else if (token.Source is not null)
            {
                node.Add("source", token.Source.Name);
            }

            if (token.Forces)
            {
                node.Add("force", "true");
            }

            return node;
        }

        static void AddParts(YamlMappingNode node, IReadOnlyList<MergeInput> models, IReadOnlyList<MergeSlice> slices)
        {
            if (models.Count > 0)
            {
                node.Add("models", new YamlSequenceNode(models.Select(input => Input(input, isSlice: false))));
            }

            if (slices.Count > 0)
            {
                node.Add("slices", new YamlSequenceNode(slices.Select(Slice)));
            }
        }

        static YamlMappingNode Input(MergeInput input, bool isSlice)
        {
            YamlMappingNode node = new() { { "model", input.Model.Name } };
            if (isSlice)
            {
                node.Add("layer_range", Line([new(input.FirstLayer), new(input.EndLayer)]));
            }

            if (input.Statistics is not null)
            {
                node.Add("statistics", input.Statistics);
            }

            AddSettings(node, input.Parameters);
            return node;
        }

        static YamlMappingNode Slice(MergeSlice slice)
        {
            YamlMappingNode node = new()
            {
                { "sources", new YamlSequenceNode(slice.Sources.Select(input => Input(input, isSlice: true))) },
            };
            if (slice.BaseModel is not null)
            {
                node.Add("base_model", slice.BaseModel.Name);
            }

            AddSettings(node, slice.Parameters);
            return node;
        }

        static void AddSettings(YamlMappingNode node, IReadOnlyDictionary<string, MergeSetting> settings)
        {
            if (settings.Count > 0)
            {
                YamlMappingNode parameters = new();
                foreach ((string name, MergeSetting setting) in settings)
                {
                    parameters.Add(name, Setting(setting));
                }

                node.Add("parameters", parameters);
            }
        }

        static YamlNode Setting(MergeSetting setting) =>
            setting.Entries.Count > 0
                ? new YamlSequenceNode(
                    setting.Entries.Select(entry =>
                    {
                        YamlMappingNode node = new();
                        if (entry.Filter is not null)
                        {
                            node.Add("filter", entry.Filter);
                        }

                        node.Add("value", Setting(entry.Value));
                        return node;
                    })
                )
                : Line([.. setting.Values]);

        static YamlNode Line(IReadOnlyList<MergeValue> values)
        {
            YamlScalarNode[] nodes =
            [
                .. values.Select(value => new YamlScalarNode(
                    value.Text ?? (value.IsFlag ? $"{value}" : value.Number.ToString("R", CultureInfo.InvariantCulture))
                )),
            ];
            return nodes.Length == 1 ? nodes[0] : new YamlSequenceNode(nodes) { Style = YamlDotNet.Core.Events.SequenceStyle.Flow };
        }
    }

    /// <summary>Throws where values stand so deep in one another that the library, which reads them by one call within another, would fill
    /// the stack.</summary>
    private static void CheckDepth(string text, string path)
    {
        var parser = new Parser(new StringReader(text));
        for (int depth = 0; parser.MoveNext(); )
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > Deepest)
            {
                throw new InvalidDataException(
                    $"{path}, line {parser.Current.Start.Line}: values stand in one another more than {Deepest} times; a recipe does not."
                );
            }
        }
    }

    private static List<MergeRecipe> Read(string text, string path)
    {
        var stream = new YamlStream();
        try
        {
            CheckDepth(text, path);
            stream.Load(new StringReader(text));
        }
        catch (YamlException e)
        {
            throw new InvalidDataException($"{path}, line {e.Start.Line}: it is not valid YAML ({e.Message}).", e);
        }
        // What the library throws over some texts within brackets, and where a key has no value.
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw new InvalidDataException($"{path}: it is not valid YAML ({e.Message}).", e);
        }

        string folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        YamlDocument[] documents = [.. stream.Documents.Where(document => document.RootNode is not YamlScalarNode { Value: "" or null })];
        if (documents.Length == 0)
        {
            throw new InvalidDataException($"{path} holds no recipe.");
        }

        HashSet<string> names = [.. documents.Select(document => NameOf(document.RootNode)).OfType<string>()];
        var recipes = new List<MergeRecipe>();
        foreach (YamlDocument document in documents)
        {
            MergeRecipe recipe = new MergeRecipeReader(path, folder, names).Read(document.RootNode);
            if (recipe.Name.Length > 0 && recipes.Exists(other => other.Name == recipe.Name))
            {
                throw recipe.Wrong(recipe.Line, $"the name '{recipe.Name}' occurs twice");
            }

            recipes.Add(recipe with { Text = documents.Length == 1 ? text : Lines(text, documents, document) });
        }

        MergeRecipe[] results = [.. recipes.Where(recipe => recipe.Name.Length == 0)];
        if (results.Length != 1 && recipes.Count > 1)
        {
            throw new InvalidDataException(
                $"{path} has {results.Length} recipes without a 'name'"
                    + (results.Length > 1 ? $" (lines {string.Join(", ", results.Select(recipe => recipe.Line))})" : "")
                    + "; exactly one must have none, which is the result."
            );
        }

        return Ordered(recipes, results.Length == 1 ? results[0] : recipes[0]);
    }

    /// <summary>The recipes that a result builds on, each after its own; recipes that it does not build on are left out.</summary>
    private static List<MergeRecipe> Ordered(List<MergeRecipe> recipes, MergeRecipe result)
    {
        var ordered = new List<MergeRecipe>();
        Visit(result, []);
        return ordered;

        void Visit(MergeRecipe recipe, IReadOnlyList<string> above)
        {
            if (ordered.Contains(recipe))
            {
                return;
            }

            if (above.Contains(recipe.Name) && recipe.Name.Length > 0)
            {
                throw recipe.Wrong(recipe.Line, $"recipes build on each other in a cycle: {string.Join(" -> ", above)} -> {recipe.Name}");
            }

            foreach (
                MergeRecipe needed in recipes.Where(other => other.Name.Length > 0 && recipe.Uses(MergeModel.NamedIdentity(other.Name)))
            )
            {
                Visit(needed, recipe.Name.Length == 0 ? above : [.. above, recipe.Name]);
            }

            ordered.Add(recipe);
        }
    }

    private static string? NameOf(YamlNode node) =>
        node is YamlMappingNode map && map.Children.TryGetValue("name", out YamlNode? name) ? (name as YamlScalarNode)?.Value : null;

    /// <summary>The text of one of several documents.</summary>
    private static string Lines(string text, YamlDocument[] documents, YamlDocument document)
    {
        string[] lines = text.ReplaceLineEndings("\n").Split('\n');
        int at = Array.IndexOf(documents, document);
        int first = (int)document.RootNode.Start.Line - 1,
            end = at + 1 < documents.Length ? (int)documents[at + 1].RootNode.Start.Line - 1 : lines.Length;
        var chosen = new StringBuilder();
        foreach (string line in lines[first..end].Where(line => !line.StartsWith("---", StringComparison.Ordinal)))
        {
            chosen.Append(line).Append('\n');
        }

        return chosen.ToString();
    }
}
