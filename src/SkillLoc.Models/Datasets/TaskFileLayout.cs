using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Datasets;

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
