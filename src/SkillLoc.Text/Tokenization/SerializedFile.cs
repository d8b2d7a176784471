using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>A <c>tokenizer.json</c> as a document without the model's long values, vocabulary and merges, which are read from its bytes
/// value by value: a document of them would take several times the file.</summary>
internal sealed class SerializedFile
{
    private SerializedFile(JsonDocument document, ReadOnlyMemory<byte> vocabulary, ReadOnlyMemory<byte> merges) =>
        (Document, Vocabulary, Merges) = (document, vocabulary, merges);

    /// <summary>The file with an empty object or array for each of the two.</summary>
    public JsonDocument Document { get; }

    /// <summary>The JSON of <c>model.vocab</c> where it is an object or array; else empty.</summary>
    public ReadOnlyMemory<byte> Vocabulary { get; }

    /// <summary>The JSON of <c>model.merges</c> where it is an object or array; else empty.</summary>
    public ReadOnlyMemory<byte> Merges { get; }

    /// <summary>Parses a file.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    public static SerializedFile Parse(ReadOnlyMemory<byte> json)
    {
        JsonText.CheckUnicode(json.Span);
        (Range? vocabulary, Range? merges) = Find(json.Span);
        Range[] left = [.. new[] { vocabulary, merges }.OfType<Range>().OrderBy(range => range.Start.Value)];
        if (left.Length == 0)
        {
            return new(JsonText.Parse(json), default, default);
        }

        byte[] rest = new byte[json.Length - left.Sum(range => range.End.Value - range.Start.Value - 2)];
        int done = 0,
            written = 0;
        foreach (Range range in left)
        {
            Copy(json.Span[done..(range.Start.Value + 1)]);
            // The bracket that closes the value.
            Copy(json.Span[(range.End.Value - 1)..range.End.Value]);
            done = range.End.Value;
        }

        Copy(json.Span[done..]);
        return new(JsonText.Parse(rest), Of(vocabulary), Of(merges));

        ReadOnlyMemory<byte> Of(Range? range) => range is { } found ? json[found] : default;

        void Copy(ReadOnlySpan<byte> part)
        {
            part.CopyTo(rest.AsSpan(written));
            written += part.Length;
        }
    }

    // Of several the last; that there are several is found when the rest is parsed.
    private static (Range? Vocabulary, Range? Merges) Find(ReadOnlySpan<byte> json)
    {
        Range? vocabulary = null,
            merges = null;
        var reader = new Utf8JsonReader(json);
        bool isInModel = false;
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            if (reader.CurrentDepth == 1)
            {
                isInModel = reader.ValueTextEquals("model"u8);
            }
            else if (isInModel && reader.CurrentDepth == 2)
            {
                bool isVocabulary = reader.ValueTextEquals("vocab"u8);
                if (isVocabulary || reader.ValueTextEquals("merges"u8))
                {
                    Range? value = Skip(ref reader);
                    (vocabulary, merges) = isVocabulary ? (value, merges) : (vocabulary, value);
                }
            }
        }

        return (vocabulary, merges);
    }

    private static Range? Skip(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return null;
        }

        int start = (int)reader.TokenStartIndex;
        reader.Skip();
        return start..(int)reader.BytesConsumed;
    }
}
