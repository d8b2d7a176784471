using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>A step of <c>tokenizer.json</c>, or its model: an object whose settings must all be read.</summary>
/// <param name="json">The step.</param>
/// <param name="source">The file and the position in it.</param>
internal readonly struct SerializedStep(JsonElement json, string source)
{
    /// <summary>The step's type; empty if it has none.</summary>
    public string Type => TokenizerFiles.Text(json, "type") ?? "";

    /// <summary>Its name in error messages.</summary>
    public string Source => source;

    /// <summary>Throws if there are unknown settings.</summary>
    /// <exception cref="NotSupportedException">There is an unknown setting.</exception>
    public SerializedStep Only(params ReadOnlySpan<string> settings)
    {
        foreach (var property in json.EnumerateObject())
        {
            if (property.Name != "type" && !settings.Contains(property.Name))
                throw new NotSupportedException($"{source}: the step '{Type}' has the setting '{property.Name}', which is not supported.");
        }
        return this;
    }

    /// <summary>Returns a string, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public string? Text(string setting) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        _ => throw Lacks(setting),
    };

    /// <summary>Returns a boolean.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public bool Flag(string setting, bool fallback) => OptionalFlag(setting) ?? fallback;

    /// <summary>Returns a boolean, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type.</exception>
    public bool? OptionalFlag(string setting) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True or JsonValueKind.False } value => value.GetBoolean(),
        _ => throw Lacks(setting),
    };

    /// <summary>Returns an integer, or null if missing or null.</summary>
    /// <exception cref="InvalidDataException">It has another type, or is below the minimum.</exception>
    public int? Whole(string setting, int least) => Find(setting) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out var number) && number >= least => number,
        _ => throw Lacks(setting),
    };

    /// <summary>Returns a character.</summary>
    /// <exception cref="InvalidDataException">It is missing or has another type.</exception>
    public char Letter(string setting) => Text(setting) is [var letter] ? letter : throw Lacks(setting);

    /// <summary>Returns an object or array, or null if missing or null.</summary>
    public JsonElement? Find(string setting) =>
        json.TryGetProperty(setting, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;

    /// <summary>Returns the steps of a sequence, with nested sequences flattened; the step itself if it is not a sequence.</summary>
    /// <param name="inner">The setting with the steps.</param>
    /// <exception cref="InvalidDataException">A sequence has no steps, or an invalid one.</exception>
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

    /// <summary>Creates the exception for a missing or invalid setting.</summary>
    public InvalidDataException Lacks(string setting) => new($"{source}: a step of type '{Type}' has no valid '{setting}'.");
}
