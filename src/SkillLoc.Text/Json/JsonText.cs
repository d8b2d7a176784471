using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Unicode;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Json;

/// <summary>Reads JSON strictly: comments are allowed; unknown properties, nulls for values and duplicate keys are errors, which name their
/// line.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Options = new()
    {
        AllowDuplicateProperties = false,
        AllowTrailingCommas = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        ReadCommentHandling = JsonCommentHandling.Skip,
        RespectNullableAnnotations = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>The same, for SkillLoc's own files, with enum names in snake_case.</summary>
    public static JsonSerializerOptions OwnFiles { get; } =
        new(Options)
        {
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            WriteIndented = true,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        };

    // What a value may take: in a document, with the arrays that it outgrew and the sets that find duplicates, and as an object of its own.
    private const int BytesInDocument = 64;
    private const int BytesAsObject = 256;

    // Values are quoted in messages, several times their bytes.
    private const int MostOfSettings = 4 << 20;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonReaderOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <summary>Reads a value with properties in snake_case.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="options">The serializer options; by default, those for user files.</param>
    /// <exception cref="InvalidDataException">The value is invalid; the message names line and property.</exception>
    public static T Read<T>(string json, string source, JsonSerializerOptions? options = null)
        where T : class => Read<T>(Bytes(json, source), source, options);

    /// <inheritdoc cref="Read{T}(string, string, JsonSerializerOptions?)"/>
    public static T Read<T>(ReadOnlySpan<byte> json, string source, JsonSerializerOptions? options = null)
        where T : class
    {
        if (json.Length > MostOfSettings)
        {
            throw new InvalidDataException($"{source} has {json.Length} bytes; a file of this kind has at most {MostOfSettings}.");
        }

        try
        {
            CheckObjects(json, Lenient, allowsNullElements: false);
            return JsonSerializer.Deserialize<T>(json, options ?? Options) ?? throw new InvalidDataException($"{source} holds null.");
        }
        catch (JsonException e)
        {
            // The message itself ends in path or line, counted from 0.
            int end = e.Message.IndexOf(" Path: ", StringComparison.Ordinal) is >= 0 and var path
                ? path
                : e.Message.IndexOf(" LineNumber: ", StringComparison.Ordinal);
            string place = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "" : $", at {e.Path}";
            throw new InvalidDataException(
                $"{source}, line {(e.LineNumber ?? 0) + 1}{place}: {(end < 0 ? e.Message : e.Message[..end])}",
                e
            );
        }
        // What a constructor or a setter refuses, and texts that are not valid Unicode.
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException or NotSupportedException)
        {
            throw new InvalidDataException($"{source}: {e.Message}", e);
        }
    }

    /// <summary>The UTF-8 of a text.</summary>
    /// <exception cref="InvalidDataException">The text has half a surrogate pair.</exception>
    public static byte[] Bytes(string json, string source)
    {
        try
        {
            return StrictUtf8.GetBytes(json);
        }
        catch (EncoderFallbackException e)
        {
            throw new InvalidDataException($"{source}: {e.Message}", e);
        }
    }

    /// <summary>The bytes of a file that may begin with a byte order mark, without it.</summary>
    /// <exception cref="FileNotFoundException">It does not exist.</exception>
    public static ReadOnlyMemory<byte> ReadFile(string path)
    {
        ReadOnlyMemory<byte> bytes = File.ReadAllBytes(path);
        return bytes.Span switch
        {
            [0xEF, 0xBB, 0xBF, ..] => bytes[3..],
            [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] => Encoding.UTF8.GetBytes(File.ReadAllText(path)),
            _ => bytes,
        };
    }

    /// <summary>Parses a document in which no property stands twice and all texts are valid Unicode, which the parser itself would notice
    /// only when they are asked for.</summary>
    /// <param name="json">UTF-8, which must not change while the document is used.</param>
    /// <param name="options">What else is allowed, such as comments.</param>
    /// <exception cref="JsonException">It is not, or it has more values than such a document may take memory for.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json, JsonDocumentOptions options = default)
    {
        Check(json.Span, Of(options), BytesInDocument, allowsNullElements: true);
        options.AllowDuplicateProperties = false;
        return JsonDocument.Parse(json, options);
    }

    /// <summary>Parses an object that is read as nodes; else as <see cref="Parse"/>.</summary>
    /// <returns>The object; null where the text is another value.</returns>
    /// <exception cref="JsonException">It is not, or it has more values than nodes may take memory for.</exception>
    public static JsonObject? ParseObject(ReadOnlySpan<byte> json)
    {
        CheckObjects(json, default);
        var root = JsonElement.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
        return root.ValueKind == JsonValueKind.Object ? JsonObject.Create(root) : null;
    }

    /// <summary>Throws unless a text is JSON of valid Unicode with no more values than objects may take memory for.</summary>
    /// <exception cref="JsonException">It is not.</exception>
    public static void CheckObjects(ReadOnlySpan<byte> json, JsonReaderOptions options, bool allowsNullElements = true) =>
        Check(json, options, BytesAsObject, allowsNullElements);

    /// <summary>Throws unless a text is JSON of valid Unicode, for readers that take value by value.</summary>
    /// <exception cref="JsonException">It is not.</exception>
    public static void CheckUnicode(ReadOnlySpan<byte> json) => Check(json, default, bytesOfValue: 0, allowsNullElements: true);

    private static JsonReaderOptions Of(JsonDocumentOptions options) =>
        new()
        {
            AllowTrailingCommas = options.AllowTrailingCommas,
            CommentHandling = options.CommentHandling,
            MaxDepth = options.MaxDepth,
        };

    private static void Check(ReadOnlySpan<byte> json, JsonReaderOptions options, int bytesOfValue, bool allowsNullElements)
    {
        if (!Utf8.IsValid(json))
        {
            throw new JsonException("It is not valid UTF-8.");
        }

        // Only these escapes can be half a character.
        bool mayBeHalf = json.IndexOf("\\ud"u8) >= 0 || json.IndexOf("\\uD"u8) >= 0;
        long most = bytesOfValue == 0 ? long.MaxValue : FileMemory.MostObjects(json.Length, bytesOfValue),
            values = 0;
        var reader = new Utf8JsonReader(json, options);
        // A bit for each of the 64 levels: whether it is an array.
        ulong arrays = 0;
        ReadOnlySpan<byte> property = default;
        while (reader.Read())
        {
            JsonTokenType type = reader.TokenType;
            if (type == JsonTokenType.PropertyName)
            {
                property = reader.ValueSpan;
            }

            if (type is JsonTokenType.StartArray or JsonTokenType.StartObject)
            {
                arrays = (arrays << 1) | (type == JsonTokenType.StartArray ? 1u : 0);
            }
            else if (type is JsonTokenType.EndArray or JsonTokenType.EndObject)
            {
                arrays >>= 1;
            }
            else if (type == JsonTokenType.Null && !allowsNullElements && (arrays & 1) == 1)
            {
                throw At(json, reader.TokenStartIndex, property, "An element of an array is null.");
            }
            else if (mayBeHalf && reader.ValueIsEscaped)
            {
                CheckText(json, reader, property);
            }

            if (++values > most)
            {
                throw At(
                    json,
                    reader.TokenStartIndex,
                    property,
                    $"It has more than {most} values, which would take too much memory for its length."
                );
            }
        }
    }

    private static void CheckText(ReadOnlySpan<byte> json, Utf8JsonReader reader, ReadOnlySpan<byte> property)
    {
        char[] text = ArrayPool<char>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            reader.CopyString(text);
        }
        catch (InvalidOperationException e)
        {
            throw At(json, reader.TokenStartIndex, property, e.Message, e);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
    }

    private static JsonException At(
        ReadOnlySpan<byte> json,
        long place,
        ReadOnlySpan<byte> property,
        string problem,
        Exception? inner = null
    ) =>
        new(
            property.IsEmpty ? problem : $"{problem} At the property '{Encoding.UTF8.GetString(property)}'.",
            null,
            json[..(int)place].Count((byte)'\n'),
            null,
            inner
        );
}

/// <summary>Converts an enum by its names in snake_case; unknown names throw an error that lists the valid ones.</summary>
internal sealed class NameConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    private static readonly Dictionary<string, T> Values = Enum.GetValues<T>()
        .ToDictionary(value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()), StringComparer.Ordinal);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        string? name = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        return name is not null && Values.TryGetValue(name, out T value)
            ? value
            : throw new JsonException(
                $"{(name is null ? $"A {reader.TokenType}" : $"\"{name}\"")} was found; expected one of "
                    + $"{string.Join(", ", Values.Keys)}."
            );
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()));
}
