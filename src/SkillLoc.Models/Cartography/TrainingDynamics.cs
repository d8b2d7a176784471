using System.Globalization;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Cartography;

/// <summary>
/// Training dynamics: correctness and confidence of each training row after each epoch, the basis of a data map (Swayamdipta et al. 2020;
/// methods, C.6).
/// </summary>
public sealed class TrainingDynamics
{
    private static readonly JsonSerializerOptions Json = new() { AllowDuplicateProperties = false };

    private readonly SortedDictionary<int, History> _rows = [];

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

        if (!_rows.TryGetValue(row, out History? history))
        {
            _rows.Add(row, history = new([], []));
        }

        history.Right.Add(isRight);
        history.Confidence.Add(confidence);
    }

    /// <summary>Returns the measures of all rows.</summary>
    /// <returns>One entry per row, in the order of the rows.</returns>
    public IReadOnlyList<CartographyRow> Map() => [.. _rows.Select(pair => pair.Value.Measure(pair.Key))];

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
                foreach ((int row, History history) in _rows)
                {
                    json.WriteStartObject($"{row}");
                    Write("acc", history.Right.Select(right => right ? 1.0 : 0.0));
                    Write("confidence", history.Confidence);
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
        Dictionary<string, Dictionary<string, double[]>>? file;
        try
        {
            file = JsonSerializer.Deserialize<Dictionary<string, Dictionary<string, double[]>>>(File.ReadAllText(path), Json);
        }
        // Half a surrogate pair in a name is an InvalidOperationException.
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path} holds no training dynamics: {error.Message}", error);
        }

        var dynamics = new TrainingDynamics();
        foreach (
            (string name, Dictionary<string, double[]> history) in file
                ?? throw new InvalidDataException($"{path} holds null, no training dynamics.")
        )
        {
            if (
                !int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int row)
                || name.Length > 1 && name[0] == '0'
                || history is null
                || history.GetValueOrDefault("acc") is not { } right
                || history.GetValueOrDefault("confidence") is not { } confidence
                || right.Length != confidence.Length
                || right.Length == 0
                || right.Any(value => value is not (0 or 1))
                || confidence.Any(value => value is not (>= 0 and <= 1))
            )
            {
                throw new InvalidDataException(
                    $"{path}: row '{name}' must be a number, with the lists 'acc', of 0 and 1, and 'confidence', from 0 to 1, of one "
                        + "length above 0."
                );
            }

            for (int epoch = 0; epoch < right.Length; epoch++)
            {
                dynamics.Add(row, right[epoch] == 1, confidence[epoch]);
            }
        }

        return dynamics;
    }

    private sealed record History(List<bool> Right, List<double> Confidence)
    {
        public CartographyRow Measure(int row)
        {
            double mean = Confidence.Average();
            return new(
                row,
                mean,
                Math.Sqrt(Confidence.Average(value => (value - mean) * (value - mean))),
                Right.Average(right => right ? 1.0 : 0.0),
                Right.Zip(Right.Skip(1)).Count(pair => pair.First != pair.Second)
            );
        }
    }
}

/// <summary>The training dynamics of a row over the epochs.</summary>
/// <param name="Row">The row's zero-based number in the training data.</param>
/// <param name="Confidence">The mean probability of its true label.</param>
/// <param name="Variability">Population standard deviation of that probability.</param>
/// <param name="Correctness">The share of epochs after which it was predicted right.</param>
/// <param name="Turns">The number of changes between right and wrong from one epoch to the next.</param>
public sealed record CartographyRow(int Row, double Confidence, double Variability, double Correctness, int Turns);
