using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Peft;

/// <summary>The <c>adapter_config.json</c> of a PEFT adapter. Keys that are not known are kept.</summary>
internal sealed class PeftConfig
{
    public const string FileName = "adapter_config.json";

    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    // What changes a pass and is not supported.
    private static readonly string[] Refused =
    [
        "alora_invocation_tokens",
        "arrow_config",
        "kasa_config",
        "layer_replication",
        "monteclora_config",
        "target_parameters",
        "trainable_token_indices",
        "use_bdlora",
        "use_qalora",
        "velora_config",
    ];

    // Initialisations that change the base's weights, which an adapter's file does not hold.
    private static readonly string[] ChangingInits = ["pissa", "olora", "corda", "loftq", "lora_ga"];

    private readonly JsonObject _json;

    public PeftConfig(JsonObject json, string source)
    {
        _json = json;
        Source = source;
        Type = Text("peft_type") ?? throw Wrong("peft_type", "is missing; it must be the name of a tuner, such as LORA");
    }

    /// <summary>The file, for messages.</summary>
    public string Source { get; }

    public string Type { get; }

    public string? Base => Text("base_model_name_or_path");

    public string? TaskType => Text("task_type");

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is not a JSON object; the message names the line.</exception>
    public static PeftConfig Load(string path)
    {
        try
        {
            return JsonText.ParseObject(File.ReadAllBytes(path)) is { } json
                ? new(json, path)
                : throw new InvalidDataException($"{path} must hold a JSON object.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path}, line {(e.LineNumber ?? 0) + 1}: it is not valid JSON ({e.Message}).", e);
        }
    }

    public string ToJson() => _json.ToJsonString(Indented) + "\n";

    /// <exception cref="NotSupportedException">A key asks for what is not supported.</exception>
    public void CheckSupported()
    {
        foreach (string key in Refused)
        {
            if (_json[key] is { } value && value.GetValueKind() != JsonValueKind.False && !IsEmpty(value))
            {
                throw new NotSupportedException($"{Source}: '{key}' is {value.ToJsonString()}, which is not supported.");
            }
        }

        if (
            _json["init_lora_weights"] is JsonValue init
            && init.TryGetValue(out string? text)
            && ChangingInits.Any(name => text.StartsWith(name, StringComparison.OrdinalIgnoreCase))
        )
        {
            throw new NotSupportedException(
                $"{Source}: 'init_lora_weights' is {init.ToJsonString()}, which changed the base's weights before training, and the adapter "
                    + "does not hold them. Convert it to an ordinary LoRA in Python (path_initial_model_for_weight_conversion)."
            );
        }
    }

    public string? Text(string key) =>
        _json[key] is not { } value ? null
        : value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>()
        : throw Wrong(key, $"is {value.ToJsonString()}; it must be a text");

    public bool Flag(string key) =>
        _json[key] is { } value
        && value.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Wrong(key, $"is {value.ToJsonString()}; it must be true or false"),
        };

    public int Whole(string key) =>
        _json[key] is JsonValue value && value.TryGetValue(out int number) && number > 0
            ? number
            : throw Wrong(key, $"is {_json[key]?.ToJsonString() ?? "missing"}; it must be a whole number of 1 or more");

    /// <summary>A number that a pattern of module names may replace.</summary>
    /// <param name="key">The key of the number for all.</param>
    /// <param name="patterns">The key of the numbers by pattern.</param>
    /// <param name="module">The module's path.</param>
    public double Number(string key, string patterns, string module)
    {
        if (_json[patterns] is { } map)
        {
            if (map is not JsonObject entries)
            {
                throw Wrong(patterns, "must be an object of numbers by pattern");
            }

            foreach ((string pattern, JsonNode? number) in entries)
            {
                if (Matches(pattern, module))
                {
                    return Number(number, $"{patterns}.{pattern}");
                }
            }
        }

        return Number(_json[key], key);
    }

    /// <summary>Whether a pattern fits a module, as PEFT decides it: the pattern is the end of its path, from a dot on.</summary>
    private bool Matches(string pattern, string module)
    {
        try
        {
            return Regex.IsMatch(
                module,
                $@"^(?:^|.*\.)(?:{pattern})$",
                RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
                TimeSpan.FromSeconds(1)
            );
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{Source}: '{pattern}' is no regular expression ({e.Message}).", e);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InvalidDataException($"{Source}: it takes too long to compare '{pattern}' with '{module}'.", e);
        }
    }

    private double Number(JsonNode? node, string key) =>
        node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number) && number > 0
            ? number
            : throw Wrong(key, $"is {node?.ToJsonString() ?? "missing"}; it must be a number above 0");

    private static bool IsEmpty(JsonNode node) => node is JsonArray { Count: 0 } or JsonObject { Count: 0 };

    public InvalidDataException Wrong(string key, string problem) => new($"{Source}: '{key}' {problem}.");
}
