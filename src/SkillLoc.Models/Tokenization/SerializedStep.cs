using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>A step of <c>tokenizer.json</c>, or its model: an object whose settings are read one by one, and none of which is passed over.</summary>
/// <param name="json">The step.</param>
/// <param name="source">The file, and the place in it.</param>
internal readonly struct SerializedStep(JsonElement json, string source)
{
    /// <summary>The step's kind, empty where it says none.</summary>
    public string Type => TokenizerFiles.Text(json, "type") ?? "";

    /// <summary>What error messages call it.</summary>
    public string Source => source;

    /// <summary>Refuses settings that nobody knows.</summary>
    /// <exception cref="NotSupportedException">There is one.</exception>
    public SerializedStep Only(params ReadOnlySpan<string> settings)
    {
        foreach (var property in json.EnumerateObject())
        {
            if (property.Name != "type" && !settings.Contains(property.Name))
                throw new NotSupportedException($"{source}: the step '{Type}' has the setting '{property.Name}', which is not supported.");
        }
        return this;
    }

    /// <summary>A text, or null where it is missing or null.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public string? Text(string setting) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        _ => throw Lacks(setting),
    };

    /// <summary>A flag.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public bool Flag(string setting, bool fallback) => OptionalFlag(setting) ?? fallback;

    /// <summary>A flag, or null where it is missing or null.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public bool? OptionalFlag(string setting) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True or JsonValueKind.False } value => value.GetBoolean(),
        _ => throw Lacks(setting),
    };

    /// <summary>A whole number, or null where it is missing or null.</summary>
    /// <exception cref="InvalidDataException">It is something else, or below the least.</exception>
    public int? Whole(string setting, int least) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out var number) && number >= least => number,
        _ => throw Lacks(setting),
    };

    /// <summary>A character.</summary>
    /// <exception cref="InvalidDataException">It is missing or something else.</exception>
    public char Letter(string setting) => Text(setting) is [var letter] ? letter : throw Lacks(setting);

    /// <summary>An object or array, or null where it is missing or null.</summary>
    public JsonElement? Find(string setting) =>
        json.TryGetProperty(setting, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;

    /// <summary>The steps of a sequence, those of sequences within it in their place; itself where it is none.</summary>
    /// <param name="inner">The setting that holds them.</param>
    /// <exception cref="InvalidDataException">A sequence has no steps, or something else among them.</exception>
    public IEnumerable<SerializedStep> Flatten(string inner)
    {
        if (Type != "Sequence")
            return [this];
        Only(inner);
        if (Find(inner) is not { ValueKind: JsonValueKind.Array } steps)
            throw Lacks(inner);
        var all = new List<SerializedStep>();
        foreach (var step in steps.EnumerateArray())
            all.AddRange(step.ValueKind == JsonValueKind.Object ? new SerializedStep(step, source).Flatten(inner) : throw Lacks(inner));
        return all;
    }

    /// <summary>What is wrong with a setting that is missing or not valid.</summary>
    public InvalidDataException Lacks(string setting) => new($"{source}: a step of type '{Type}' has no valid '{setting}'.");
}
