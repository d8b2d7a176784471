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
                throw new JsonException($"There is no encoding \"{value}\"; right would be \"utf-8\", \"latin1\" or \"windows-1252\", for example.", e);
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
    /// <summary><c>tabs</c>: a row a line, columns parted by tabs (<see cref="TaskFileFormat.Separator"/>), quotes are text like any other,
    /// as GLUE has it.</summary>
    Tabs,

    /// <summary><c>csv</c>: columns parted by commas (<see cref="TaskFileFormat.Separator"/>), quoted where they hold commas, quotes
    /// (doubled) or line breaks (RFC 4180).</summary>
    Csv,

    /// <summary><c>json_lines</c>: one JSON object per line, whose properties are the columns.</summary>
    JsonLines,

    /// <summary><c>label_first</c>: one row per line: the label, a space, the text.</summary>
    LabelFirst,

    /// <summary><c>lines</c>: the whole line is the text; the labels are the lines of a second file.</summary>
    Lines,
}
