using System.Globalization;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Cartography;

/// <summary>
/// Training dynamics: correctness and confidence of each training row after each epoch, the basis of a data map (Swayamdipta et al. 2020;
/// methods, C.6).
/// </summary>
public sealed class TrainingDynamics
{
    private readonly SortedDictionary<int, List<Outcome>> _rows = [];

    /// <summary>Number of rows.</summary>
    public int Count => _rows.Count;

    /// <summary>Adds the result of an epoch for a row.</summary>
    /// <param name="row">The row's zero-based number in the training data.</param>
    /// <param name="isRight">Whether it was predicted right.</param>
    /// <param name="confidence">The probability of its true label, from 0 to 1.</param>
    public void Add(int row, bool isRight, double confidence)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        if (!(confidence >= 0 && confidence <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "A confidence is from 0 to 1.");
        }

        if (!_rows.TryGetValue(row, out List<Outcome>? history))
        {
            _rows.Add(row, history = []);
        }

        history.Add(new(isRight, confidence));
    }

    /// <summary>Returns the measures of all rows.</summary>
    /// <returns>One entry per row, in the order of the rows.</returns>
    public IReadOnlyList<CartographyRow> Map() => [.. _rows.Select(pair => Measure(pair.Key, pair.Value))];

    /// <summary>Writes <c>cartography.json</c>: for each row, the lists <c>acc</c> (0 or 1) and <c>confidence</c>.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path) =>
        AtomicFile.Write(
            path,
            stream =>
            {
                using var json = new Utf8JsonWriter(stream);
                json.WriteStartObject();
                foreach ((int row, List<Outcome> history) in _rows)
                {
                    json.WriteStartObject($"{row}");
                    Write("acc", history.Select(epoch => epoch.IsRight ? 1.0 : 0.0));
                    Write("confidence", history.Select(epoch => epoch.Confidence));
                    json.WriteEndObject();
                }

                json.WriteEndObject();

                void Write(string name, IEnumerable<double> values)
                {
                    json.WriteStartArray(name);
                    foreach (double value in values)
                    {
                        json.WriteNumberValue(value);
                    }

                    json.WriteEndArray();
                }
            }
        );

    /// <summary>Reads a file that <see cref="Save"/> or the paper's code wrote.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The histories.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is invalid; the message says where.</exception>
    public static TrainingDynamics Load(string path)
    {
        ReadOnlySpan<byte> json = JsonText.ReadFile(path).Span;
        try
        {
            JsonText.CheckUnicode(json);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path} holds no training dynamics: {error.Message}", error);
        }

        // Row by row: there may be millions.
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InvalidDataException($"{path} holds {reader.TokenType}, no training dynamics, which are an object of rows.");
        }

        var dynamics = new TrainingDynamics();
        List<double> right = [],
            confidence = [];
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            string name = reader.GetString()!;
            if (
                !int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int row)
                || (name.Length > 1 && name[0] == '0')
                || !ReadHistory(ref reader, right, confidence)
                || right.Count != confidence.Count
                || right.Count == 0
                || right.Exists(value => value is not (0 or 1))
                || confidence.Exists(value => value is not (>= 0 and <= 1))
            )
            {
                throw new InvalidDataException(
                    $"{path}: row '{name}' must be a number, with the lists 'acc', of 0 and 1, and 'confidence', from 0 to 1, each once "
                        + "and of one length above 0."
                );
            }

            var history = new List<Outcome>(right.Count);
            for (int epoch = 0; epoch < right.Count; epoch++)
            {
                history.Add(new(right[epoch] == 1, confidence[epoch]));
            }

            if (!dynamics._rows.TryAdd(row, history))
            {
                throw new InvalidDataException($"{path}: row '{name}' occurs twice.");
            }
        }

        return dynamics;
    }

    /// <summary>Reads the lists of a row.</summary>
    /// <returns>Whether both are there, each once, as lists of numbers.</returns>
    private static bool ReadHistory(ref Utf8JsonReader reader, List<double> right, List<double> confidence)
    {
        right.Clear();
        confidence.Clear();
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        bool hasRight = false,
            hasConfidence = false;
        for (reader.Read(); reader.TokenType == JsonTokenType.PropertyName; reader.Read())
        {
            bool isRight = reader.ValueTextEquals("acc"u8);
            if (!isRight && !reader.ValueTextEquals("confidence"u8))
            {
                // The paper's code may write more.
                reader.Skip();
                continue;
            }

            if ((isRight ? hasRight : hasConfidence) || !ReadNumbers(ref reader, isRight ? right : confidence))
            {
                return false;
            }

            hasRight |= isRight;
            hasConfidence |= !isRight;
        }

        return hasRight && hasConfidence;
    }

    private static bool ReadNumbers(ref Utf8JsonReader reader, List<double> numbers)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }

        for (reader.Read(); reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (reader.TokenType != JsonTokenType.Number)
            {
                return false;
            }

            numbers.Add(reader.GetDouble());
        }

        return true;
    }

    private static CartographyRow Measure(int row, List<Outcome> history)
    {
        double mean = history.Average(epoch => epoch.Confidence);
        return new(
            row,
            mean,
            Math.Sqrt(history.Average(epoch => (epoch.Confidence - mean) * (epoch.Confidence - mean))),
            history.Average(epoch => epoch.IsRight ? 1.0 : 0.0),
            history.Zip(history.Skip(1)).Count(pair => pair.First.IsRight != pair.Second.IsRight)
        );
    }

    /// <summary>What became of a row in an epoch.</summary>
    private readonly record struct Outcome(bool IsRight, double Confidence);
}

/// <summary>The training dynamics of a row over the epochs.</summary>
/// <param name="Row">The row's zero-based number in the training data.</param>
/// <param name="Confidence">The mean probability of its true label.</param>
/// <param name="Variability">Population standard deviation of that probability.</param>
/// <param name="Correctness">The share of epochs after which it was predicted right.</param>
/// <param name="Turns">The number of changes between right and wrong from one epoch to the next.</param>
public sealed record CartographyRow(int Row, double Confidence, double Variability, double Correctness, int Turns);
