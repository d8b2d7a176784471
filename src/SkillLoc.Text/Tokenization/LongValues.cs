using System.Collections;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>Reads the long values of tokenizer files, value by value: vocabularies, merges and pieces.</summary>
/// <param name="malformed">Creates the exception for a problem.</param>
internal sealed class LongValues(Func<string, Exception> malformed)
{
    private const int LongestShown = 200;

    /// <summary>The ids of a vocabulary by token.</summary>
    /// <param name="json">An object, known to be JSON of valid Unicode.</param>
    /// <param name="largestId">The largest id that a vocabulary may have.</param>
    public Dictionary<string, int> Vocabulary(ReadOnlySpan<byte> json, int largestId)
    {
        var vocabulary = new Dictionary<string, int>(Count(json), StringComparer.Ordinal);
        var ids = new BitArray(vocabulary.Capacity);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            string token = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id) || id < 0 || id > largestId)
            {
                throw malformed(
                    $"token '{token}' has the id {Raw(json, ref reader)}; ids are integers from 0 on, and no vocabulary is so large"
                );
            }

            if (!vocabulary.TryAdd(token, id))
            {
                throw malformed($"token '{token}' occurs twice");
            }

            if (id >= ids.Length)
            {
                ids.Length = Math.Min(largestId, 2 * id) + 1;
            }

            if (ids[id])
            {
                throw malformed($"tokens '{vocabulary.First(entry => entry.Value == id).Key}' and '{token}' both have the id {id}");
            }

            ids[id] = true;
        }

        return vocabulary.Count > 0 ? vocabulary : throw malformed("it holds no tokens; it should be an object of token to id");
    }

    /// <summary>Merges, either <c>"a b"</c> or <c>["a", "b"]</c>, as the former.</summary>
    /// <param name="json">An array, known to be JSON of valid Unicode.</param>
    public List<string> Merges(ReadOnlySpan<byte> json)
    {
        var merges = new List<string>(Count(json));
        var reader = new Utf8JsonReader(json);
        reader.Read();
        for (reader.Read(); reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                merges.Add(reader.GetString()!);
                continue;
            }

            int start = (int)reader.TokenStartIndex;
            string? first = reader.TokenType == JsonTokenType.StartArray ? Text(ref reader) : null,
                second = first is null ? null : Text(ref reader);
            if (second is null || Next(ref reader) != JsonTokenType.EndArray)
            {
                throw malformed(
                    $"merge {merges.Count + 1} begins '{Shown(json[start..])}'; it should be two tokens, as a text or as a list"
                );
            }

            merges.Add($"{first} {second}");
        }

        return merges;
    }

    /// <summary>The pieces of a unigram model, whose places are their ids, with their scores.</summary>
    /// <param name="json">An array, known to be JSON of valid Unicode.</param>
    /// <param name="scores">The score of each.</param>
    public Dictionary<string, int> Pieces(ReadOnlySpan<byte> json, out double[] scores)
    {
        scores = new double[Count(json)];
        var pieces = new Dictionary<string, int>(scores.Length, StringComparer.Ordinal);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        for (reader.Read(); reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            int start = (int)reader.TokenStartIndex;
            string? text = reader.TokenType == JsonTokenType.StartArray ? Text(ref reader) : null;
            double? score = text is not null && Next(ref reader) == JsonTokenType.Number ? reader.GetDouble() : null;
            if (score is null || Next(ref reader) != JsonTokenType.EndArray)
            {
                throw malformed($"its vocabulary holds {Shown(json[start..])}; expected a piece and its score");
            }

            if (!pieces.TryAdd(text!, pieces.Count))
            {
                throw malformed($"piece '{text}' occurs twice");
            }

            scores[pieces.Count - 1] = score.Value;
        }

        return pieces;
    }

    /// <summary>The number of elements or properties.</summary>
    private static int Count(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        bool isObject = reader.TokenType == JsonTokenType.StartObject;
        int count = 0;
        for (reader.Read(); reader.CurrentDepth > 0; reader.Read())
        {
            count +=
                reader.CurrentDepth == 1
                && (
                    isObject
                        ? reader.TokenType == JsonTokenType.PropertyName
                        : reader.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject)
                )
                    ? 1
                    : 0;
        }

        return count;
    }

    private static JsonTokenType Next(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType;
    }

    /// <summary>The next value where it is a text; else null.</summary>
    private static string? Text(ref Utf8JsonReader reader) => Next(ref reader) == JsonTokenType.String ? reader.GetString() : null;

    private static string Raw(ReadOnlySpan<byte> json, ref Utf8JsonReader reader)
    {
        int start = (int)reader.TokenStartIndex;
        reader.Skip();
        return Shown(json[start..(int)reader.BytesConsumed]);
    }

    /// <summary>The beginning of a value for error messages.</summary>
    private static string Shown(ReadOnlySpan<byte> json) =>
        System.Text.Encoding.UTF8.GetString(json[..Math.Min(json.Length, LongestShown)]);
}
