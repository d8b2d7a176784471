using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Evaluators;

/// <summary>The loss and metric of models over a plane in parameter space.</summary>
public sealed record LossPlaneMetrics
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
        NewLine = "\n",
    };

    /// <summary>The evaluated task's name; may be empty.</summary>
    public required string Task { get; init; }

    /// <summary>The name of <see cref="LossPlanePoint.Metric"/>, as for <see cref="InterpolationMetrics.Metric"/>.</summary>
    public required string Metric { get; init; }

    /// <summary>What the axes are.</summary>
    public required LossPlaneAxes Axes { get; init; }

    /// <summary>The seed of random directions; null for a plane through models.</summary>
    public required int? Seed { get; init; }

    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>Places along the first axis, ascending.</summary>
    public required IReadOnlyList<double> X { get; init; }

    /// <summary>Places along the second axis, ascending.</summary>
    public required IReadOnlyList<double> Y { get; init; }

    /// <summary>The points, those of the lowest place along the second axis first: that of column i and line j is at j *
    /// <c>X.Count</c> + i.</summary>
    public required IReadOnlyList<LossPlanePoint> Points { get; init; }

    /// <summary>The models that the plane was made of, measured themselves.</summary>
    public required IReadOnlyList<LossPlaneMark> Marks { get; init; }

    /// <summary>The points as rows, with the columns X, Y, Loss, Metric and Accuracy.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }

    /// <summary>Writes <c>plane.csv</c>, with a line for each point (x, y, loss, metric, accuracy), and <c>plane.json</c>, with
    /// everything.</summary>
    /// <param name="folder">The folder; created if missing. Files of these names are replaced, once the new ones are complete.</param>
    /// <exception cref="IOException">They could not be written; existing ones are unchanged.</exception>
    public void Save(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))!);
        AtomicFolder.Write(
            folder,
            into =>
            {
                File.WriteAllText(Path.Join(into, "plane.json"), JsonSerializer.Serialize(this, Json) + "\n");
                using FileStream table = File.Create(Path.Join(into, "plane.csv"));
                CsvRows.Write(
                    table,
                    Points
                        .Select(point => (double[])[point.X, point.Y, point.Loss, point.Metric, point.Accuracy])
                        .Select(row => row.Select(value => double.IsNaN(value) ? "" : value.ToString("R", CultureInfo.InvariantCulture)))
                        .Prepend(["x", "y", "loss", "metric", "accuracy"])
                );
            }
        );
    }
}

/// <summary>What the axes of a plane in parameter space are.</summary>
public enum LossPlaneAxes
{
    /// <summary>Through three models, on axes in units of length: the first leads from the first to the second model, the other from their
    /// line to the third (Garipov et al. 2018, Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs, appendix A.1).</summary>
    Models,

    /// <summary>Around a model along two random directions, in multiples of them; each row of a matrix has the length of the model's (Li et
    /// al. 2018, Visualizing the Loss Landscape of Neural Nets, section 4).</summary>
    Random,
}

/// <summary>The model at a point of a plane.</summary>
/// <param name="X">The place along the first axis.</param>
/// <param name="Y">The place along the second axis.</param>
/// <param name="Loss">The mean loss in nats, as for <see cref="InterpolationPoint.Loss"/>.</param>
/// <param name="Metric">The task's metric, named by <see cref="LossPlaneMetrics.Metric"/>.</param>
/// <param name="Accuracy">The share of correct rows; NaN if rows have no scores.</param>
public sealed record LossPlanePoint(double X, double Y, double Loss, double Metric, double Accuracy);

/// <summary>A model that a plane was made of.</summary>
/// <param name="Name">Its name.</param>
/// <param name="X">Its place along the first axis.</param>
/// <param name="Y">Its place along the second axis.</param>
/// <param name="Loss">Its loss, as for <see cref="LossPlanePoint.Loss"/>.</param>
/// <param name="Metric">Its metric, as for <see cref="LossPlanePoint.Metric"/>.</param>
public sealed record LossPlaneMark(string Name, double X, double Y, double Loss, double Metric);
