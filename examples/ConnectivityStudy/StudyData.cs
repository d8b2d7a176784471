using Microsoft.ML;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Datasets;
using SkillLoc.Studies;

namespace SkillLoc.ConnectivityStudy;

/// <summary>The data sets, read once.</summary>
public sealed class StudyData
{
    private readonly MLContext _ml;
    private readonly Dictionary<string, (TaskRows Rows, ITransformer Keys, string Training, string Whole)> _sets;

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a data set is too small.</exception>
    public StudyData(MLContext ml, StudyPlan plan)
    {
        _ml = ml;
        var noWords = new Dictionary<string, string>();
        _sets = plan.Tasks.ToDictionary(
            task => task.Name,
            task =>
            {
                TaskRows rows = plan.RowsOf(task);
                ITransformer keys = ml
                    .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
                    .Fit(ml.SkillLoc().Data.LoadRows(rows.Train));
                return (rows, keys, StudyJson.FingerprintOf(task.Task, task.Words ?? noWords, rows.Train), StudyJson.FingerprintOf(rows));
            },
            StringComparer.Ordinal
        );
    }

    /// <summary>What a task is and its training rows: a hash.</summary>
    public string TrainingFingerprint(string task) => _sets[task].Training;

    /// <summary>All rows of a task: a hash.</summary>
    public string Fingerprint(string task) => _sets[task].Whole;

    /// <summary>Rows to train on.</summary>
    public IDataView Train(string task, TrainingRows part)
    {
        IReadOnlyList<LabeledText> rows = _sets[task].Rows.Train;
        return View(
            task,
            part switch
            {
                TrainingRows.FirstHalf => [.. rows.Take(rows.Count / 2)],
                TrainingRows.SecondHalf => [.. rows.Skip(rows.Count / 2)],
                _ => rows,
            }
        );
    }

    /// <summary>Rows to choose a curve's state by.</summary>
    public IDataView Dev(string task) => View(task, _sets[task].Rows.Dev);

    /// <summary>Rows to judge by.</summary>
    public IDataView Test(string task) => View(task, _sets[task].Rows.Test);

    private IDataView View(string task, IReadOnlyList<LabeledText> rows) =>
        _ml.Data.Cache(_sets[task].Keys.Transform(_ml.SkillLoc().Data.LoadRows(rows)));
}
