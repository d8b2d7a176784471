using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Datasets;

/// <summary>
/// A column of a file: its place from 0 (<c>3</c>), its place from the end (<c>^1</c> is the last) or its name in the header or in a JSON object.
/// In JSON a number (-1 is the last) or a string.
/// </summary>
[JsonConverter(typeof(Converter))]
public readonly record struct FileColumn
{
    private FileColumn(Index place, string? name) => (Place, Name) = (place, name);

    /// <summary>Where the column is; of no meaning when it has a name.</summary>
    public Index Place { get; }

    /// <summary>What the column is called; null when it is known by its place.</summary>
    public string? Name { get; }

    /// <summary>A column by its place.</summary>
    /// <param name="place">The place, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The place is below 0.</exception>
    public static implicit operator FileColumn(int place) => FromPlace(place);

    /// <summary>A column by its place.</summary>
    /// <param name="place">The place, from either end.</param>
    public static implicit operator FileColumn(Index place) => FromPlace(place);

    /// <summary>A column by its name.</summary>
    /// <param name="name">The name, case included.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static implicit operator FileColumn(string name) => FromName(name);

    /// <summary>A column by its place.</summary>
    /// <param name="place">The place, from either end.</param>
    /// <returns>The column.</returns>
    public static FileColumn FromPlace(Index place) => new(place, null);

    /// <summary>A column by its name.</summary>
    /// <param name="name">The name, case included.</param>
    /// <returns>The column.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static FileColumn FromName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return new(default, name);
    }

    /// <summary>The place or name, as an error message gives it.</summary>
    /// <returns><c>3</c>, <c>^1</c> or <c>'sentence'</c>.</returns>
    public override string ToString() => Name is null ? Place.ToString() : $"'{Name}'";

    private sealed class Converter : JsonConverter<FileColumn>
    {
        public override FileColumn Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
        {
            JsonTokenType.Number when reader.TryGetInt32(out var place) => place < 0 ? FromPlace(^-place) : FromPlace(place),
            JsonTokenType.String when reader.GetString() is { Length: > 0 } name => FromName(name),
            _ => throw new JsonException("A column is a whole number (from 0; -1 is the last) or a name."),
        };

        public override void Write(Utf8JsonWriter writer, FileColumn value, JsonSerializerOptions options)
        {
            if (value.Name is { } name)
                writer.WriteStringValue(name);
            else
                writer.WriteNumberValue(value.Place.IsFromEnd ? -value.Place.Value : value.Place.Value);
        }
    }
}
