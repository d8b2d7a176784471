using System.Text.Json;
using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Embeddings;

/// <summary>What a sentence-transformers folder says of vectors: <c>modules.json</c>, the pooling, dense layers and normalisation.</summary>
internal sealed class SentenceModules : IDisposable
{
    /// <summary>The file that lists them.</summary>
    public const string ListFile = "modules.json";

    private const string LengthFile = "sentence_bert_config.json";

    private const string DenseWeights = "model.safetensors";

    private const string Flag = "pooling_mode_";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static readonly Dictionary<string, TextPooling> Flags = new(StringComparer.Ordinal)
    {
        ["cls_token"] = TextPooling.FirstToken,
        ["mean_tokens"] = TextPooling.Mean,
        ["max_tokens"] = TextPooling.Max,
    };

    private const string IncludeFlag = "include_prompt";

    private static readonly string[] Files = [ListFile, SentencePrompts.ConfigFile, LengthFile];

    // Python's classes and the names of what they compute in configurations.
    private static readonly Dictionary<string, string> Activations = new(StringComparer.Ordinal)
    {
        ["torch.nn.modules.activation.Tanh"] = "tanh",
        ["torch.nn.modules.activation.ReLU"] = "relu",
        ["torch.nn.modules.activation.GELU"] = "gelu",
        ["torch.nn.modules.linear.Identity"] = "linear",
    };

    private readonly string _source;
    private readonly List<SentenceDense> _dense = [];

    private SentenceModules(string source, TextPooling pooling) => (_source, Pooling) = (source, pooling);

    /// <summary>Nothing but normalisation.</summary>
    public static SentenceModules Normalised(TextPooling pooling) => new("", pooling) { IsNormalised = true };

    /// <summary>How hidden states become one vector.</summary>
    public TextPooling Pooling { get; }

    /// <summary>The layers behind pooling, in order.</summary>
    public IReadOnlyList<SentenceDense> Dense => _dense;

    /// <summary>Whether vectors are divided by their lengths.</summary>
    public bool IsNormalised { get; set; }

    /// <summary>The most tokens of a row, special ones included; null where nothing says it.</summary>
    public int? MaxLength { get; private set; }

    /// <summary>The folder's prompts.</summary>
    public SentencePrompts Prompts { get; private set; } = SentencePrompts.None;

    /// <summary>The name of the prompt before texts; null for none.</summary>
    public string? PromptName { get; private set; }

    /// <summary>The prompt before texts; null for none.</summary>
    public string? Prompt => PromptName is { } name && Prompts.Texts[name] is { Length: > 0 } text ? text : null;

    /// <summary>Whether the prompt's tokens, and the one that starts a row, are pooled.</summary>
    public bool IncludesPrompt { get; private init; } = true;

    /// <summary>Chooses the prompt.</summary>
    /// <param name="name">Its name; null for the folder's default, empty for none.</param>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public void Choose(string? name) => PromptName = Prompts.Find(name);

    /// <summary>Reads a folder's modules.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>What they say; null if the folder has no <c>modules.json</c>. The caller disposes it.</returns>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">It has a module, or a way of pooling, that is not known.</exception>
    /// <exception cref="FileNotFoundException">A module's file is missing.</exception>
    public static SentenceModules? Read(string folder)
    {
        string list = Path.Join(folder, ListFile);
        if (!File.Exists(list))
        {
            return null;
        }

        SentenceModules? modules = null;
        int? length = null;
        try
        {
            foreach ((string kind, string path) in List(list))
            {
                if (kind == "Transformer" && modules is null)
                {
                    length = MaxLengthOf(Path.Join(folder, path, LengthFile));
                    continue;
                }

                if (kind == "Pooling" && modules is null)
                {
                    modules = ReadPooling(list, Path.Join(folder, path, "config.json"), length);
                    continue;
                }

                if (modules is null || modules.IsNormalised)
                {
                    throw Other(list, $"its module '{kind}' is not where it is read, behind pooling and before normalisation");
                }

                switch (kind)
                {
                    case "Dense":
                        modules._dense.Add(ReadDense(Path.Join(folder, path)));
                        break;
                    case "Normalize":
                        modules.IsNormalised = true;
                        break;
                    default:
                        throw Other(list, $"its module '{kind}' is none of Transformer, Pooling, Dense and Normalize");
                }
            }

            if (modules is null)
            {
                throw Other(list, "it has no module 'Pooling'");
            }

            modules.Prompts = SentencePrompts.Read(folder);
            return modules;
        }
        catch
        {
            modules?.Dispose();
            throw;
        }
    }

    /// <summary>The files that say it, by their paths in the folder; none for a folder without.</summary>
    public static IReadOnlyDictionary<string, string> FilesOf(string folder) =>
        File.Exists(Path.Join(folder, ListFile))
            ? NamesOf(Path.Join(folder, ListFile))
                .Where(name => File.Exists(Path.Join(folder, name)))
                .ToDictionary(name => name, name => Path.Join(folder, name), StringComparer.Ordinal)
            : new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The paths of the files that a folder may have, by its <c>modules.json</c>.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or names a place outside of the folder.</exception>
    public static IEnumerable<string> NamesOf(string list) =>
        List(list)
            .Where(module => module.Path.Length > 0)
            .SelectMany(module => new[] { "config.json", DenseWeights }.Select(name => $"{module.Path}/{name}"))
            .Concat(Files);

    /// <summary>Writes the files that say it into a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="pooling">How hidden states become one vector.</param>
    /// <param name="size">Their size.</param>
    /// <param name="maxLength">The most tokens of a row.</param>
    /// <param name="modules">What is behind pooling; null for nothing.</param>
    public static void Write(string folder, TextPooling pooling, int size, int maxLength, SentenceModules? modules)
    {
        var list = new JsonArray();
        Add("Transformer", "");
        string place = Add("Pooling", "1_Pooling");
        var config = new JsonObject { ["word_embedding_dimension"] = size };
        foreach ((string flag, TextPooling mode) in Flags)
        {
            config[Flag + flag] = mode == pooling;
        }

        config[IncludeFlag] = modules?.IncludesPrompt ?? true;
        WriteJson(Path.Join(place, "config.json"), config);
        foreach (SentenceDense layer in modules?.Dense ?? [])
        {
            place = Add("Dense", $"{list.Count}_Dense");
            WriteJson(
                Path.Join(place, "config.json"),
                new JsonObject
                {
                    ["in_features"] = layer.Weight.shape[1],
                    ["out_features"] = layer.Weight.shape[0],
                    ["bias"] = layer.Bias is not null,
                    ["activation_function"] = Activations.First(pair => pair.Value == layer.Activation).Key,
                }
            );
            SafetensorsWriter.Write(
                Path.Join(place, DenseWeights),
                layer.Bias is { } bias ? [("linear.weight", layer.Weight), ("linear.bias", bias)] : [("linear.weight", layer.Weight)]
            );
        }

        if (modules?.IsNormalised == true)
        {
            Add("Normalize", $"{list.Count}_Normalize");
        }

        // Also without prompts: another embedder's may be there.
        WriteJson(Path.Join(folder, SentencePrompts.ConfigFile), (modules?.Prompts ?? SentencePrompts.None).ToJson(modules?.PromptName));
        WriteJson(Path.Join(folder, ListFile), list);
        WriteJson(Path.Join(folder, LengthFile), new JsonObject { ["max_seq_length"] = maxLength, ["do_lower_case"] = false });

        string Add(string kind, string path)
        {
            list.Add(
                new JsonObject
                {
                    ["idx"] = list.Count,
                    ["name"] = $"{list.Count}",
                    ["path"] = path,
                    ["type"] = $"sentence_transformers.models.{kind}",
                }
            );
            string own = Path.Join(folder, path);
            Directory.CreateDirectory(own);
            return own;
        }
    }

    private static void WriteJson(string file, JsonNode json) => File.WriteAllText(file, json.ToJsonString(Indented) + "\n");

    /// <summary>The size of the vectors that pooled ones of a size become.</summary>
    public int SizeOf(int pooled) => _dense.Count > 0 ? (int)_dense[^1].Weight.shape[0] : pooled;

    /// <summary>Throws where the dense layers read vectors of another size.</summary>
    /// <exception cref="InvalidDataException">They do.</exception>
    public void CheckFits(int pooled)
    {
        long size = pooled;
        foreach (SentenceDense layer in _dense)
        {
            if (layer.Weight.shape[1] != size)
            {
                throw new InvalidDataException(
                    $"{_source}: a dense layer reads {layer.Weight.shape[1]} numbers, and what is before it has {size}."
                );
            }

            size = layer.Weight.shape[0];
        }
    }

    /// <summary>Applies what is behind pooling to vectors, <c>[rows, size]</c>.</summary>
    public Tensor Finish(Tensor pooled)
    {
        foreach (SentenceDense layer in _dense)
        {
            pooled = layer.Apply(pooled);
        }

        return IsNormalised ? F.normalize(pooled, p: 2, dim: 1) : pooled;
    }

    /// <inheritdoc/>
    public void Dispose() => _dense.ForEach(layer => layer.Dispose());

    private static List<(string Kind, string Path)> List(string file)
    {
        if (Parse(file) is not JsonArray modules)
        {
            throw new InvalidDataException($"{file}: it should be a list of modules.");
        }

        List<(string Kind, string Path)> found = [];
        foreach (JsonNode? module in modules)
        {
            string type = TextOf(module, "type"),
                path = TextOf(module, "path");
            if (path.Contains("..", StringComparison.Ordinal) || Path.IsPathRooted(path) || path.AsSpan().ContainsAny('\\', ':'))
            {
                throw new InvalidDataException($"{file}: the path '{path}' leads out of the folder.");
            }

            found.Add((type[(type.LastIndexOf('.') + 1)..], path.TrimEnd('/')));
        }

        return found;

        string TextOf(JsonNode? module, string key) =>
            module is JsonObject fields && fields[key] is JsonValue value && value.TryGetValue(out string? text)
                ? text
                : throw new InvalidDataException($"{file}: a module's '{key}' should be a text.");
    }

    private static int? MaxLengthOf(string file)
    {
        if (!File.Exists(file))
        {
            return null;
        }

        return (Parse(file) as JsonObject)?["max_seq_length"] switch
        {
            null => null,
            JsonValue value when value.TryGetValue(out int length) && length > 0 => length,
            JsonNode other => throw new InvalidDataException(
                $"{file}: max_seq_length is {other.ToJsonString()}, and should be a whole number above 0."
            ),
        };
    }

    private static SentenceModules ReadPooling(string list, string file, int? length)
    {
        if (Parse(file) is not JsonObject fields)
        {
            throw new InvalidDataException($"{file}: it should be an object.");
        }

        bool includes = fields[IncludeFlag] switch
        {
            null => true,
            JsonValue value when value.TryGetValue(out bool flag) => flag,
            JsonNode other => throw new InvalidDataException(
                $"{file}: {IncludeFlag} is {other.ToJsonString()}, and should be true or false."
            ),
        };
        return new(list, PoolingOf(fields, file)) { MaxLength = length, IncludesPrompt = includes };
    }

    private static TextPooling PoolingOf(JsonObject fields, string file)
    {
        // The newer files name the mode, the older ones have a flag for each.
        string[] modes =
            fields["pooling_mode"] is JsonValue mode && mode.TryGetValue(out string? name)
                ? [name]
                :
                [
                    .. fields
                        .Where(field =>
                            field.Key.StartsWith(Flag, StringComparison.Ordinal)
                            && field.Value is JsonValue flag
                            && flag.TryGetValue(out bool isOn)
                            && isOn
                        )
                        .Select(field => field.Key[Flag.Length..]),
                ];
        return modes switch
        {
            ["mean_tokens" or "mean"] => TextPooling.Mean,
            ["cls_token" or "cls"] => TextPooling.FirstToken,
            ["max_tokens" or "max"] => TextPooling.Max,
            _ => throw Other(
                file,
                $"it pools by {(modes.Length == 0 ? "nothing" : string.Join(" and ", modes))}; one of mean, cls and max is read"
            ),
        };
    }

    private static SentenceDense ReadDense(string folder)
    {
        string file = Path.Join(folder, "config.json"),
            weights = Path.Join(folder, DenseWeights);
        if (Parse(file) is not JsonObject fields)
        {
            throw new InvalidDataException($"{file}: it should be an object.");
        }

        string name =
            fields["activation_function"] is JsonValue value && value.TryGetValue(out string? text)
                ? text
                : "torch.nn.modules.activation.Tanh";
        if (!Activations.TryGetValue(name, out string? activation))
        {
            throw Other(file, $"its activation_function '{name}' is none of {string.Join(", ", Activations.Keys)}");
        }

        if (!File.Exists(weights))
        {
            throw new FileNotFoundException($"The dense layer '{folder}' has no {DenseWeights}.", weights);
        }

        using var stored = SafetensorsFile.Open(weights);
        Tensor? weight = null;
        try
        {
            weight = stored.ReadFinite("linear.weight", ScalarType.Float32);
            Tensor? bias = stored.Contains("linear.bias") ? stored.ReadFinite("linear.bias", ScalarType.Float32) : null;
            return weight.dim() == 2 && (bias is null || bias.shape is [var size] && size == weight.shape[0])
                ? new(weight, bias, activation)
                : throw new InvalidDataException($"{weights}: its weight is of shape [{string.Join(", ", weight.shape)}].");
        }
        catch (KeyNotFoundException error)
        {
            throw new InvalidDataException($"{weights}: {error.Message}", error);
        }
        catch
        {
            weight?.Dispose();
            throw;
        }
    }

    /// <summary>Reads a JSON file.</summary>
    internal static JsonNode? Parse(string file)
    {
        if (!File.Exists(file))
        {
            throw new FileNotFoundException($"There is no '{file}', which {ListFile} names.", file);
        }

        try
        {
            ReadOnlyMemory<byte> json = JsonText.ReadFile(file);
            JsonText.CheckObjects(json.Span, default);
            return JsonNode.Parse(json.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{file} is not valid JSON ({error.Message}).", error);
        }
    }

    private static NotSupportedException Other(string file, string what) =>
        new($"{file}: {what}. Say the pooling yourself (pooling, isNormalised) to embed with the model alone.");
}

/// <summary>A dense layer behind pooling.</summary>
/// <param name="weight">Its weight, <c>[out, in]</c>.</param>
/// <param name="bias">Its bias; null for none.</param>
/// <param name="activation">Its activation, by its name in configurations.</param>
internal sealed class SentenceDense(Tensor weight, Tensor? bias, string activation) : IDisposable
{
    private readonly Func<Tensor, Tensor> _activation = Backbones.Activation.Named(activation);

    /// <summary>Its weight, <c>[out, in]</c>.</summary>
    public Tensor Weight => weight;

    /// <summary>Its bias; null for none.</summary>
    public Tensor? Bias => bias;

    /// <summary>Its activation, by its name in configurations.</summary>
    public string Activation => activation;

    /// <summary>Applies it to vectors, <c>[rows, in]</c>.</summary>
    public Tensor Apply(Tensor x) => _activation(F.linear(x, weight, bias));

    /// <inheritdoc/>
    public void Dispose()
    {
        weight.Dispose();
        bias?.Dispose();
    }
}
