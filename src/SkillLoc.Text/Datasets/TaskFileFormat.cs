using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Json;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Models.Datasets;

/// <summary>The format of a file of labelled text and its valid labels. The default is text, tab, label, in UTF-8 without a
/// header.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record TaskFileFormat
{
    /// <summary>The layout of rows (<c>layout</c>).</summary>
    [JsonPropertyName("layout")]
    public TaskFileLayout Layout { get; init; }

    /// <summary>
    /// What parts columns (<c>separator</c>), one ASCII character such as <c>;</c>, as spreadsheets in much of Europe write it; null for
    /// the layout's: a tab for <see cref="TaskFileLayout.Tabs"/>, a comma for <see cref="TaskFileLayout.Csv"/>. Other layouts have none.
    /// </summary>
    [JsonPropertyName("separator")]
    public string? Separator { get; init; }

    /// <summary>
    /// What stands around columns that hold separators, line breaks or itself (<c>quote</c>), one ASCII character; empty where quotes are
    /// text like any other. Null for the layout's: none for <see cref="TaskFileLayout.Tabs"/>, <c>"</c> for
    /// <see cref="TaskFileLayout.Csv"/>. A column that begins with it must end with it, and within it is doubled; in a column that begins
    /// otherwise it is text.
    /// </summary>
    [JsonPropertyName("quote")]
    public string? Quote { get; init; }

    /// <summary>Whether the first row names the columns (<c>header</c>).</summary>
    [JsonPropertyName("header")]
    public bool HasHeader { get; init; }

    /// <summary>The first sentence's column (<c>text</c>).</summary>
    [JsonPropertyName("text")]
    public FileColumn Text { get; init; } = 0;

    /// <summary>The second sentence's column (<c>text_pair</c>); null for tasks on single sentences.</summary>
    [JsonPropertyName("text_pair")]
    public FileColumn? TextPair { get; init; }

    /// <summary>The label's column (<c>label</c>).</summary>
    [JsonPropertyName("label")]
    public FileColumn Label { get; init; } = ^1;

    /// <summary>Maps labels of the file to labels of the task (<c>label_map</c>); unknown labels are errors. Null (default) keeps
    /// labels.</summary>
    [JsonPropertyName("label_map")]
    public IReadOnlyDictionary<string, string>? LabelMap { get; init; }

    /// <summary>The labels of the task, in order (<c>labels</c>); others are errors. Null (default) allows any.</summary>
    [JsonPropertyName("labels")]
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>The lowest and highest label of a regression (<c>score_range</c>); null (default) for classes.</summary>
    [JsonPropertyName("score_range")]
    [JsonConverter(typeof(ScoreRangeConverter))]
    public ScoreRange? ScoreRange { get; init; }

    /// <summary>Whether to skip rows with too few columns instead of throwing, as for QQP (<c>skip_short_rows</c>); false by
    /// default.</summary>
    [JsonPropertyName("skip_short_rows")]
    public bool SkipsShortRows { get; init; }

    /// <summary>
    /// The file's encoding (<c>encoding</c>, a name such as <c>latin1</c> or <c>windows-1252</c>), UTF-8 by default. Invalid bytes are
    /// errors, never replaced.
    /// </summary>
    [JsonIgnore]
    public Encoding Encoding { get; init; } = Encoding.UTF8;

    // The serializer refuses Encoding's own properties, whichever converter it is given.
    [JsonInclude]
    [JsonPropertyName("encoding")]
    private string EncodingName
    {
        get => Encoding.WebName;
        init
        {
            try
            {
                Encoding = CodePagesEncodingProvider.Instance.GetEncoding(value) ?? Encoding.GetEncoding(value);
            }
            catch (Exception e) when (e is ArgumentException or NotSupportedException)
            {
                throw new JsonException(
                    $"There is no encoding \"{value}\"; expected \"utf-8\", \"latin1\" or \"windows-1252\", for example.",
                    e
                );
            }
        }
    }

    /// <summary>Reads a format from a JSON object with the properties named above.</summary>
    /// <param name="json">The text; missing properties have their defaults.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <returns>The format.</returns>
    /// <exception cref="InvalidDataException">The object is invalid; the message names line and property.</exception>
    public static TaskFileFormat FromJson(string json, string source = "the file format")
    {
        ArgumentNullException.ThrowIfNull(json);
        TaskFileFormat format = JsonText.Read<TaskFileFormat>(json, source);
        return format.LabelMap?.FirstOrDefault(entry => entry.Value is null).Key is { } label
            ? throw new InvalidDataException($"{source}, label_map: what the task calls the label '{label}' is null.")
            : format;
    }
}

/// <summary>The layout of the rows of a file; the name in JSON is given first.</summary>
[JsonConverter(typeof(NameConverter<TaskFileLayout>))]
public enum TaskFileLayout
{
    /// <summary><c>tabs</c>: a row a line, columns separated by tabs (<see cref="TaskFileFormat.Separator"/>), quotes are text like any other,
    /// as GLUE has it.</summary>
    Tabs,

    /// <summary><c>csv</c>: columns separated by commas (<see cref="TaskFileFormat.Separator"/>), quoted where they hold commas, quotes
    /// (doubled) or line breaks (RFC 4180).</summary>
    Csv,

    /// <summary><c>json_lines</c>: one JSON object per line, whose properties are the columns; <c>meta.label</c> is a property of an object
    /// within it, unless a property has this name.</summary>
    JsonLines,

    /// <summary><c>label_first</c>: one row per line: the label, a space, the text.</summary>
    LabelFirst,

    /// <summary><c>lines</c>: the whole line is the text; the labels are the lines of a second file.</summary>
    Lines,

    /// <summary><c>parquet</c>: a Parquet file, which the package SkillLoc.Data.Parquet reads. Columns have names and places. Where the
    /// file says what the numbers of a label mean, as the Hugging Face hub's do, labels are these names.</summary>
    Parquet,
}

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
        public override FileColumn Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType switch
            {
                JsonTokenType.Number when reader.TryGetInt32(out int place) => place < 0 ? FromPlace(^-place) : FromPlace(place),
                JsonTokenType.String when reader.GetString() is { Length: > 0 } name => FromName(name),
                _ => throw new JsonException("A column is a whole number (from 0; -1 is the last) or a name."),
            };

        public override void Write(Utf8JsonWriter writer, FileColumn value, JsonSerializerOptions options)
        {
            if (value.Name is { } name)
            {
                writer.WriteStringValue(name);
            }
            else
            {
                writer.WriteNumberValue(value.Place.IsFromEnd ? -value.Place.Value : value.Place.Value);
            }
        }
    }
}
