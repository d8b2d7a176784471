using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Datasets;

/// <summary>
/// A column of a file, identified by its index from 0 (<c>3</c>), from the end (<c>^1</c> is the last), or its name in the header or a JSON
/// object. In JSON a number (-1 is the last) or a string.
/// </summary>
[JsonConverter(typeof(Converter))]
public readonly record struct FileColumn
{
    private FileColumn(Index place, string? name) => (Place, Name) = (place, name);

    /// <summary>The index of the column; not used if it has a name.</summary>
    public Index Place { get; }

    /// <summary>The name of the column; null if it is identified by its index.</summary>
    public string? Name { get; }

    /// <summary>Identifies a column by its index.</summary>
    /// <param name="place">The index, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The index is below 0.</exception>
    public static implicit operator FileColumn(int place) => FromPlace(place);

    /// <summary>Identifies a column by its index.</summary>
    /// <param name="place">The index, from either end.</param>
    public static implicit operator FileColumn(Index place) => FromPlace(place);

    /// <summary>Identifies a column by its name.</summary>
    /// <param name="name">The name; case matters.</param>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static implicit operator FileColumn(string name) => FromName(name);

    /// <summary>Identifies a column by its index.</summary>
    /// <param name="place">The index, from either end.</param>
    /// <returns>The column.</returns>
    public static FileColumn FromPlace(Index place) => new(place, null);

    /// <summary>Identifies a column by its name.</summary>
    /// <param name="name">The name; case matters.</param>
    /// <returns>The column.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static FileColumn FromName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return new(default, name);
    }

    /// <summary>Returns the index or name for error messages.</summary>
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
