using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Data.Parquet;

/// <summary>The names of classes that the Hugging Face library <c>datasets</c> writes into a file's metadata.</summary>
internal static class ClassLabels
{
    private const string Key = "huggingface";

    /// <summary>Reads the names of a column's classes.</summary>
    /// <param name="path">The file.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="column">The column.</param>
    /// <returns>The names from 0; null if there are none.</returns>
    /// <exception cref="InvalidDataException">The metadata are not JSON, or the names are no texts or not different.</exception>
    public static IReadOnlyList<string>? Read(string path, IReadOnlyDictionary<string, string> metadata, string column)
    {
        // The library has null for an entry without a value.
        if (!metadata.TryGetValue(Key, out string? text) || text is null)
        {
            return null;
        }

        try
        {
            using JsonDocument json = JsonText.Parse(JsonText.Bytes(text, path));
            if (
                !(
                    Find(json.RootElement, "info", "features", column) is { } feature
                    && Find(feature, "_type") is { ValueKind: JsonValueKind.String } type
                    && type.ValueEquals("ClassLabel")
                    && Find(feature, "names") is { ValueKind: JsonValueKind.Array } names
                )
            )
            {
                return null;
            }

            string[] found = [.. names.EnumerateArray().Select(name => name.GetString() ?? throw new JsonException("A name is null."))];
            return found.Distinct(StringComparer.Ordinal).Count() == found.Length
                ? found
                : throw new JsonException($"Names of {column} occur twice: {string.Join(", ", found)}.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException(
                $"{path}: the metadata '{Key}' do not name the classes of '{column}' as they should: {e.Message}",
                e
            );
        }
    }

    private static JsonElement? Find(JsonElement element, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }

        return element;
    }
}
