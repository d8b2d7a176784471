using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Datasets;

/// <summary>Rows of files with a JSON object a line.</summary>
internal static class JsonLines
{
    /// <summary>Reads the rows.</summary>
    /// <exception cref="InvalidDataException">A line is no JSON object, or lacks a property, or it is of another kind.</exception>
    public static IEnumerable<LabeledText> Read(string path, TaskFileFormat format, SameColumns same)
    {
        foreach ((int number, string? line) in StrictText.FullLines(path, format.Encoding))
        {
            yield return Row(line, number);
        }

        LabeledText Row(string line, int number)
        {
            try
            {
                using JsonDocument json = JsonText.Parse(JsonText.Bytes(line, path));
                JsonElement row = json.RootElement;
                string text = Value(row, format.Text, number, out _);
                string? second = format.TextPair is { } pair ? Value(row, pair, number, out _) : null;
                string label = Value(row, format.Label, number, out JsonValueKind kind);
                same.CheckLabel(path, number, format.Label, kind is JsonValueKind.True or JsonValueKind.False ? "Boolean" : $"{kind}");
                return new LabeledText(text, second, label, number);
            }
            // Half a surrogate pair is noticed only when a text is asked for, as an InvalidOperationException.
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: a JSON object was expected, and the line is not valid JSON: {e.Message}",
                    e
                );
            }
        }

        string Value(JsonElement row, FileColumn column, int number, out JsonValueKind kind)
        {
            if (row.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidDataException($"{path}, line {number}: a JSON object was expected and {row.ValueKind} found.");
            }

            if (!Find(row, column.Name!, out JsonElement value))
            {
                throw new InvalidDataException(
                    $"{path}, line {number}: the object has no property {column}, "
                        + $"only {string.Join(", ", row.EnumerateObject().Select(property => property.Name))}."
                );
            }

            kind = value.ValueKind;
            return kind switch
            {
                JsonValueKind.String => value.GetString()!,
                JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
                _ => throw new InvalidDataException(
                    $"{path}, line {number}: the property {column} is {kind}; it must be a text, a number or a flag."
                ),
            };
        }
    }

    // A property's own name may have dots; it goes before one within an object.
    private static bool Find(JsonElement row, string name, out JsonElement value)
    {
        if (row.TryGetProperty(name, out value))
        {
            return true;
        }

        for (int dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
        {
            if (
                row.TryGetProperty(name[..dot], out JsonElement inner)
                && inner.ValueKind == JsonValueKind.Object
                && Find(inner, name[(dot + 1)..], out value)
            )
            {
                return true;
            }
        }

        return false;
    }
}
