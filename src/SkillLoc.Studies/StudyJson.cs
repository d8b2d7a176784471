using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Studies;

/// <summary>How plans and results are written as JSON.</summary>
public static class StudyJson
{
    internal static readonly JsonSerializerOptions Options = new()
    {
        AllowDuplicateProperties = false,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private const int MostOfPlan = 4 << 20;

    private static readonly JsonDocumentOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    private static readonly JsonReaderOptions LenientReader = new()
    {
        AllowTrailingCommas = true,
        CommentHandling = JsonCommentHandling.Skip,
    };

    // A measurement may be NaN; what a plan asks for may not.
    private static readonly JsonSerializerOptions PlanOptions = new(Options) { NumberHandling = JsonNumberHandling.Strict };

    /// <summary>Reads a plan.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a plan; the message names line and property.</exception>
    public static T ReadPlan<T>(string path)
        where T : class => Read<T>(path, $"{path} is not a study plan", PlanOptions);

    /// <summary>The kind of study that a plan says it is of; null where it says none.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not JSON.</exception>
    internal static string? ReadStudy(string path)
    {
        try
        {
            byte[] json = File.ReadAllBytes(path);
            if (json.Length > MostOfPlan)
            {
                throw new InvalidDataException(
                    $"{path} is not a study plan: it has {json.Length} bytes, and plans have at most {MostOfPlan}."
                );
            }

            using JsonDocument document = JsonText.Parse(json, Lenient);
            return
                document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("study", out JsonElement study)
                && study.ValueKind == JsonValueKind.String
                ? study.GetString()
                : null;
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path} is not a study plan: {error.Message}", error);
        }
    }

    /// <summary>Reads a value in which no element of a list is null.</summary>
    /// <exception cref="InvalidDataException">The file holds something else; the message begins with <paramref
    /// name="complaint"/>.</exception>
    internal static T Read<T>(string path, string complaint, JsonSerializerOptions? options = null)
        where T : class
    {
        try
        {
            ReadOnlyMemory<byte> json = JsonText.ReadFile(path);
            JsonText.CheckObjects(json.Span, LenientReader);
            using (var document = JsonDocument.Parse(json, Lenient))
            {
                if (NullElement(document.RootElement) is { } place)
                {
                    throw new JsonException($"${place} is null.");
                }
            }

            return JsonSerializer.Deserialize<T>(json.Span, options ?? Options)!;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException or NotSupportedException)
        {
            throw new InvalidDataException($"{complaint}: {error.Message}", error);
        }
    }

    /// <summary>The path of a list's element that is null, or of the whole; null where none is.</summary>
    private static string? NullElement(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return "";
            case JsonValueKind.Array:
                int i = 0;
                foreach (JsonElement element in value.EnumerateArray())
                {
                    if (NullElement(element) is { } rest)
                    {
                        return $"[{i}]{rest}";
                    }

                    i++;
                }

                return null;
            case JsonValueKind.Object:
                foreach (JsonProperty property in value.EnumerateObject())
                {
                    if (property.Value.ValueKind != JsonValueKind.Null && NullElement(property.Value) is { } rest)
                    {
                        return $".{property.Name}{rest}";
                    }
                }

                return null;
            default:
                return null;
        }
    }

    /// <summary>The identity of a part of a study: a hash of everything that its measurements depend on.</summary>
    public static string FingerprintOf(params object[] parts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(parts, Options))))[..16];
}
