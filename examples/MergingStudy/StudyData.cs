using Microsoft.ML;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Datasets;
using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>The rows of a task.</summary>
public sealed class StudyData
{
    private readonly TaskRows _rows;

    /// <summary>Reads them.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a split would be empty.</exception>
    public StudyData(MLContext ml, StudyPlan plan, SplitTask task)
    {
        _rows = TaskRows.Draw(
            [.. task.Sources.Select(source => source.Read(plan.Data))],
            plan.SplitSeed,
            plan.TrainRows,
            plan.DevRows,
            plan.TestRows
        );
        ValueToKeyMappingTransformer keys = ml
            .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(ml.SkillLoc().Data.LoadRows(_rows.Train));
        (Train, Dev, Test) = (View(_rows.Train), View(_rows.Dev), View(_rows.Test));

        IDataView View(IReadOnlyList<LabeledText> rows) => ml.Data.Cache(keys.Transform(ml.SkillLoc().Data.LoadRows(rows)));
    }

    /// <summary>What models learn from.</summary>
    public IDataView Train { get; }

    /// <summary>What states and parameters are chosen by.</summary>
    public IDataView Dev { get; }

    /// <summary>What is judged by.</summary>
    public IDataView Test { get; }

    /// <summary>The dev rows, for statistics that need no labels.</summary>
    public IReadOnlyList<LabeledText> Unlabelled => _rows.Dev;

    /// <summary>A hash of all rows.</summary>
    public string Fingerprint() => StudyJson.FingerprintOf(_rows);
}
