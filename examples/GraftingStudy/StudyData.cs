using Microsoft.ML;
using SkillLoc.Models.Datasets;
using SkillLoc.Studies;

namespace SkillLoc.GraftingStudy;

/// <summary>The data sets, read once. What is measured on is held out before any shot is drawn (methods, B.5).</summary>
public sealed class StudyData
{
    private readonly Dictionary<string, (LabeledText[] Train, LabeledText[] Test)> _sets;
    private readonly MLContext _ml;

    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A row is not as its format says, or a data set is too small.</exception>
    public StudyData(MLContext ml, StudyPlan plan)
    {
        _ml = ml;
        _sets = plan.Tasks.ToDictionary(task => task.Name, task => Read(task, plan), StringComparer.Ordinal);
    }

    /// <summary>All rows of a task: a hash.</summary>
    public string Fingerprint(StudyTask task) => StudyJson.FingerprintOf(_sets[task.Name].Train, _sets[task.Name].Test);

    /// <summary>The rows that a task is measured on: a hash.</summary>
    public string TestFingerprint(StudyTask task) => StudyJson.FingerprintOf((object)_sets[task.Name].Test);

    /// <summary>The rows that a task is measured on.</summary>
    public IDataView Test(StudyTask task) => View(_sets[task.Name].Test);

    /// <summary>Draws shots as LM-BFF's script does (methods, A.7).</summary>
    public (IDataView Train, IDataView Validation) Shots(StudyTask task, int shots, int seed)
    {
        (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev) = Draw(task, shots, seed);
        return (View(train), View(dev));
    }

    /// <exception cref="InvalidDataException">A class has too few rows for as many shots.</exception>
    public void CheckShots(StudyTask task, int shots, int seed)
    {
        try
        {
            Draw(task, shots, seed);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{task.Name}: {error.Message}", error);
        }
    }

    private KShotSample Draw(StudyTask task, int shots, int seed) => KShotSampler.Sample(_sets[task.Name].Train, shots, (uint)seed);

    private static (LabeledText[] Train, LabeledText[] Test) Read(StudyTask task, StudyPlan plan)
    {
        LabeledText[] train = [.. task.Train.Read(plan.Data)];
        var split = new NumpyRandom(plan.SplitSeed);
        if (task.Test is null)
        {
            split.Shuffle<LabeledText>(train);
            if (train.Length <= plan.TestRows)
            {
                throw new InvalidDataException(
                    $"{task.Name} has {train.Length} rows; {plan.TestRows} are held out, and none is left to train on."
                );
            }

            return (train[plan.TestRows..], train[..plan.TestRows]);
        }

        LabeledText[] test = [.. task.Test.Read(plan.Data)];
        split.Shuffle<LabeledText>(test);
        return (train, test[..Math.Min(test.Length, plan.TestRows)]);
    }

    private IDataView View(IReadOnlyList<LabeledText> rows) => _ml.SkillLoc().Data.LoadRows(rows);
}
