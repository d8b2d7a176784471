using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Datasets;

/// <summary>The layout of the rows of a file; the name in JSON is given first.</summary>
[JsonConverter(typeof(NameConverter<TaskFileLayout>))]
public enum TaskFileLayout
{
    /// <summary><c>tabs</c>: one row per line, tab-separated columns, quotes are ordinary text, as in GLUE.</summary>
    Tabs,

    /// <summary><c>csv</c>: comma-separated columns, quoted if they contain commas, quotes (doubled) or line breaks (RFC 4180).</summary>
    Csv,

    /// <summary><c>json_lines</c>: one JSON object per line, whose properties are the columns.</summary>
    JsonLines,

    /// <summary><c>label_first</c>: one row per line: the label, a space, the text.</summary>
    LabelFirst,

    /// <summary><c>lines</c>: the whole line is the text; the labels are the lines of a second file.</summary>
    Lines,
}
