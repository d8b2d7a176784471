using System.Text.Json;
using System.Text.Json.Serialization;

namespace SkillLoc.Models.Prompts;

/// <summary>
/// The range of scores of a regression. Two label words stand for its ends, and the probability of the second word predicts the score
/// (methods, A.1).
/// </summary>
public sealed record ScoreRange
{
    /// <summary>Creates a range.</summary>
    /// <param name="lowest">The score that the first label word stands for.</param>
    /// <param name="highest">The score that the second label word stands for.</param>
    /// <exception cref="ArgumentOutOfRangeException">The ends are not finite, or not in ascending order.</exception>
    public ScoreRange(float lowest, float highest)
    {
        if (!float.IsFinite(highest - lowest) || lowest >= highest)
        {
            throw new ArgumentOutOfRangeException(
                nameof(highest),
                highest,
                $"A score range needs a finite highest score above the lowest, which is {lowest}."
            );
        }

        Lowest = lowest;
        Highest = highest;
    }

    /// <summary>The score that the first label word stands for.</summary>
    public float Lowest { get; }

    /// <summary>The score that the second label word stands for.</summary>
    public float Highest { get; }

    /// <summary>Whether a score lies in the range.</summary>
    /// <param name="score">A score.</param>
    /// <returns>False for NaN too.</returns>
    public bool Contains(float score) => score >= Lowest && score <= Highest;

    /// <summary>Returns the position of a score in the range, which is the target probability of the second label word.</summary>
    /// <param name="score">A score in the range.</param>
    /// <returns>0 at <see cref="Lowest"/>, 1 at <see cref="Highest"/>.</returns>
    public float ShareOf(float score) => (score - Lowest) / (Highest - Lowest);

    /// <summary>Returns the score that corresponds to probabilities.</summary>
    /// <param name="probabilities">The probabilities of the two label words.</param>
    /// <returns>A score in the range.</returns>
    public float Predict(ReadOnlySpan<float> probabilities) => (probabilities[1] * (Highest - Lowest)) + Lowest;

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"[{Lowest}, {Highest}]");
}

/// <summary>The range of a regression's scores, <c>[0, 5]</c>.</summary>
internal sealed class ScoreRangeConverter : JsonConverter<ScoreRange>
{
    public override ScoreRange Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        JsonTokenType start = reader.TokenType;
        return
            start == JsonTokenType.StartArray
            && JsonSerializer.Deserialize<float[]>(ref reader, options) is [var lowest, var highest]
            && lowest < highest
            ? new(lowest, highest)
            : throw new JsonException("A score range is an array of the lowest and the highest score, such as [0, 5].");
    }

    public override void Write(Utf8JsonWriter writer, ScoreRange value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        writer.WriteNumberValue(value.Lowest);
        writer.WriteNumberValue(value.Highest);
        writer.WriteEndArray();
    }
}
