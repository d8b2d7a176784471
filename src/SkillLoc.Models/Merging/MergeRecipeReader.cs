using System.Globalization;
using SkillLoc.Models.Checkpoints;
using TorchSharp;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SkillLoc.Models.Merging;

/// <summary>Reads one document of a recipe file. Keys that would change the result and are not supported are refused by name.</summary>
/// <param name="path">The file, for messages.</param>
/// <param name="folder">What paths are relative to.</param>
/// <param name="names">The names of the file's recipes.</param>
internal sealed partial class MergeRecipeReader(string path, string folder, IReadOnlySet<string> names)
{
    private static readonly Dictionary<string, string> Refused = new(StringComparer.Ordinal)
    {
        ["residual_weight"] = "residual weights are not supported",
    };

    public MergeRecipe Read(YamlNode root)
    {
        YamlMappingNode map = Map(root, "a recipe");
        string method = "";
        IReadOnlyList<MergeInput> models = [];
        IReadOnlyList<MergeSlice> slices = [];
        IReadOnlyList<MergeModule> modules = [];
        IReadOnlyList<string> copied = [];
        MergeModel? basis = null;
        MergeTokenizer? tokenizer = null;
        Dictionary<string, MergeSetting> parameters = [];
        torch.ScalarType? type = null,
            outType = null;
        string name = "";
        string? chatTemplate = null;
        int seed = 0;
        foreach ((string key, YamlNode value) in Keys(map))
        {
            switch (key)
            {
                case "merge_method":
                    method = Text(value, key);
                    break;
                case "models":
                    models = [.. List(value, key).Select(node => Input(node, isSlice: false))];
                    break;
                case "slices":
                    slices = [.. List(value, key).Select(Slice)];
                    break;
                case "modules":
                    modules = [.. Keys(Map(value, "'modules'")).Select(module => Module(module.Key, module.Value))];
                    break;
                case "base_model":
                    basis = Model(value, key);
                    break;
                case "parameters":
                    parameters = Settings(value);
                    break;
                case "dtype":
                    type = Type(value, key);
                    break;
                case "out_dtype":
                    outType = Type(value, key);
                    break;
                case "tokenizer_source":
                case "tokenizer":
                    tokenizer =
                        tokenizer is not null ? throw Wrong(value, "there are both 'tokenizer' and 'tokenizer_source': give one")
                        : key == "tokenizer" ? Tokenizer(Map(value, "'tokenizer'"))
                        : TokenizerOf(value, key);
                    break;
                case "chat_template" when IsNull(value):
                    break;
                case "chat_template":
                    chatTemplate = ChatTemplate(value, key);
                    break;
                case "name":
                    name = Text(value, key);
                    break;
                case "seed":
                    seed = (int)Whole(value, key, int.MinValue);
                    break;
                case "copied":
                    copied = [.. List(value, key).Select(node => Text(node, key))];
                    break;
                default:
                    throw Unknown(
                        value,
                        key,
                        "merge_method, models, slices, modules, base_model, parameters, dtype, out_dtype, tokenizer_source, tokenizer, chat_template, name, seed, "
                            + "copied"
                    );
            }
        }

        return method.Length == 0
            ? throw Wrong(root, "the recipe lacks 'merge_method'")
            : new()
            {
                Method = method,
                Models = models,
                Slices = slices,
                Modules = modules,
                BaseModel = basis,
                Parameters = parameters,
                StoreAs = outType ?? type,
                Tokenizer = tokenizer,
                ChatTemplate = chatTemplate,
                Name = name,
                Seed = seed,
                Copied = copied,
                Source = path,
                Line = (int)root.Start.Line,
            };
    }

    private MergeModule Module(string name, YamlNode node)
    {
        IReadOnlyList<MergeInput> models = [];
        IReadOnlyList<MergeSlice> slices = [];
        Dictionary<string, MergeSetting> parameters = [];
        foreach ((string key, YamlNode value) in Keys(Map(node, $"the module '{name}'")))
        {
            switch (key)
            {
                case "models":
                    models = [.. List(value, key).Select(model => Input(model, isSlice: false))];
                    break;
                case "slices":
                    slices = [.. List(value, key).Select(Slice)];
                    break;
                case "parameters":
                    parameters = Settings(value);
                    break;
                default:
                    throw Unknown(value, key, "models, slices, parameters");
            }
        }

        return new(name)
        {
            Models = models,
            Slices = slices,
            Parameters = parameters,
            Line = (int)node.Start.Line,
        };
    }

    private MergeSlice Slice(YamlNode node)
    {
        IReadOnlyList<MergeInput> sources = [];
        Dictionary<string, MergeSetting> parameters = [];
        MergeModel? basis = null;
        foreach ((string key, YamlNode value) in Keys(Map(node, "a slice")))
        {
            switch (key)
            {
                case "sources":
                    sources = [.. List(value, key).Select(source => Input(source, isSlice: true))];
                    break;
                case "parameters":
                    parameters = Settings(value);
                    break;
                case "base_model":
                    basis = Model(value, key);
                    break;
                default:
                    throw Unknown(value, key, "sources, parameters, base_model");
            }
        }

        return new(sources)
        {
            Parameters = parameters,
            BaseModel = basis,
            Line = (int)node.Start.Line,
        };
    }

    private MergeInput Input(YamlNode node, bool isSlice)
    {
        MergeModel? model = null;
        Dictionary<string, MergeSetting> parameters = [];
        string? statistics = null;
        (int First, int End)? layers = null;
        foreach ((string key, YamlNode value) in Keys(Map(node, "a model")))
        {
            switch (key)
            {
                case "model":
                    model = Model(value, key);
                    break;
                case "parameters":
                    parameters = Settings(value);
                    break;
                case "statistics":
                    statistics = PathOf(Text(value, key));
                    break;
                case "layer_range" when isSlice:
                    YamlNode[] range = [.. List(value, key)];
                    layers =
                        range.Length == 2
                            ? ((int)Whole(range[0], key, 0), (int)Whole(range[1], key, 0))
                            : throw Wrong(value, "'layer_range' must be two numbers, the first layer and the one after the last");
                    break;
                default:
                    throw Unknown(value, key, isSlice ? "model, layer_range, parameters, statistics" : "model, parameters, statistics");
            }
        }

        if (isSlice && layers is null)
        {
            throw Wrong(node, "a slice's source lacks 'layer_range'");
        }

        return new(model ?? throw Wrong(node, "a model lacks 'model'"))
        {
            Parameters = parameters,
            Statistics = statistics,
            FirstLayer = layers?.First ?? 0,
            EndLayer = layers?.End ?? 0,
            Line = (int)node.Start.Line,
        };
    }

    /// <summary>A recipe of this file, or a path.</summary>
    private MergeModel Model(YamlNode node, string key)
    {
        string text = ModelText(node, key);
        return names.Contains(text) ? MergeModel.Named(text) : MergeModel.At(PathOf(text)).Called(text);
    }

    /// <summary>What names a model: a text, or as mergekit writes it, 'model' and 'lora' with 'path' and 'revision' each.</summary>
    private string ModelText(YamlNode node, string key)
    {
        if (node is not YamlMappingNode map)
        {
            return Text(node, key);
        }

        string? model = null,
            place = null,
            added = null,
            revision = null;
        foreach ((string part, YamlNode value) in Keys(map).Where(pair => !IsNull(pair.Value)))
        {
            switch (part)
            {
                case "model":
                    model = ModelText(value, key);
                    break;
                case "path":
                    place = ModelText(value, key);
                    break;
                case "lora":
                    added = ModelText(value, part);
                    break;
                case "revision":
                    revision = Text(value, part);
                    break;
                default:
                    throw Unknown(value, part, "model, lora, path, revision");
            }
        }

        model = model ?? place ?? throw Wrong(node, $"'{key}' lacks 'model' or 'path'");
        return $"{model}{(revision is null ? "" : "@" + revision)}{(added is null ? "" : "+" + added)}";
    }

    /// <summary>A path beside the file where there is one, or else as it is written; both parts of BASE+ADDED.</summary>
    private string PathOf(string text)
    {
        string beside = Path.Join(folder, text);
        if (Path.IsPathRooted(text) || Path.Exists(text) && !Path.Exists(beside))
        {
            return text;
        }

        if (Path.Exists(beside))
        {
            return beside;
        }

        int plus = text.LastIndexOf('+');
        return plus > 0 ? $"{PathOf(text[..plus])}+{PathOf(text[(plus + 1)..])}" : beside;
    }

    private Dictionary<string, MergeSetting> Settings(YamlNode node)
    {
        var settings = new Dictionary<string, MergeSetting>(StringComparer.Ordinal);
        foreach ((string key, YamlNode value) in Keys(Map(node, "parameters")))
        {
            settings.Add(key, Setting(value, key));
        }

        return settings;
    }

    private MergeSetting Setting(YamlNode node, string key)
    {
        int line = (int)node.Start.Line;
        switch (node)
        {
            case YamlScalarNode scalar:
                return MergeSetting.At(line, [Value(scalar, key)]);
            case YamlMappingNode conditional:
                return MergeSetting.ByNameAt(line, [Conditional(conditional, key)]);
            case YamlSequenceNode { Children.Count: > 0 } list when list.Children.All(child => child is YamlScalarNode):
                return MergeSetting.At(line, [.. list.Children.Select(child => Value((YamlScalarNode)child, key))]);
            case YamlSequenceNode { Children.Count: > 0 } list when list.Children.All(child => child is YamlMappingNode):
                return MergeSetting.ByNameAt(line, [.. list.Children.Select(child => Conditional((YamlMappingNode)child, key))]);
            default:
                throw Wrong(node, $"'{key}' must be a value, a list of values, or a list of 'filter' and 'value'");
        }
    }

    private MergeEntry Conditional(YamlMappingNode map, string parameter)
    {
        string? filter = null;
        MergeSetting? setting = null;
        foreach ((string key, YamlNode value) in Keys(map))
        {
            switch (key)
            {
                case "filter":
                    filter = IsNull(value) ? null : Text(value, key);
                    break;
                case "value":
                    setting = Setting(value, parameter);
                    break;
                default:
                    throw Unknown(value, key, "filter, value");
            }
        }

        return new(filter, setting ?? throw Wrong(map, $"an entry of '{parameter}' lacks 'value'"));
    }

    private MergeValue Value(YamlScalarNode node, string key)
    {
        string text = node.Value!;
        if (node.Style != ScalarStyle.Plain)
        {
            return new(text);
        }

        return text switch
        {
            "true" or "True" or "TRUE" => new(true),
            "false" or "False" or "FALSE" => new(false),
            "" or "~" or "null" => throw Wrong(node, $"'{key}' has no value"),
            _ => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? new(number) : new(text),
        };
    }

    private torch.ScalarType? Type(YamlNode node, string key)
    {
        if (IsNull(node))
        {
            return null;
        }

        string text = Text(node, key);
        return ElementTypes.FromTorch(text) is { } type && ElementTypes.IsFloatingPoint(type)
            ? type
            : throw Wrong(node, $"'{key}' is '{text}'; it must be float32, float16, bfloat16 or float64");
    }

    private long Whole(YamlNode node, string key, long least) =>
        long.TryParse(Text(node, key), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
        && number >= least
        && number <= int.MaxValue
            ? number
            : throw Wrong(node, $"'{key}' is '{Text(node, key)}'; it must be a whole number");

    private YamlMappingNode Map(YamlNode node, string what) =>
        node as YamlMappingNode ?? throw Wrong(node, $"{what} must be a mapping of keys to values");

    private IEnumerable<YamlNode> List(YamlNode node, string key) =>
        node is YamlSequenceNode list && list.Children.Count > 0 ? list.Children : throw Wrong(node, $"'{key}' must be a list");

    private string Text(YamlNode node, string key) =>
        node is YamlScalarNode scalar && !string.IsNullOrEmpty(scalar.Value) ? scalar.Value : throw Wrong(node, $"'{key}' must be a text");

    private IEnumerable<(string Key, YamlNode Value)> Keys(YamlMappingNode map) =>
        map.Children.Select(pair =>
            pair.Key is YamlScalarNode { Value: { } key } ? (key, pair.Value) : throw Wrong(pair.Key, "a key must be a text")
        );

    private static bool IsNull(YamlNode node) => node is YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "~" or "null" };

    private InvalidDataException Unknown(YamlNode node, string key, string known) =>
        Refused.TryGetValue(key, out string? reason)
            ? Wrong(node, $"'{key}': {reason}")
            : Wrong(node, $"the key '{key}' is unknown here; there are {known}");

    private InvalidDataException Wrong(YamlNode node, string problem) => new($"{path}, line {node.Start.Line}: {problem}.");
}
