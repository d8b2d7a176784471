using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using SkillLoc.Reports;
using Spectre.Console;

namespace SkillLoc.Demo;

/// <summary>Each model's measures on each test set, beside those of the fine-tuned model of the same seed.</summary>
public sealed class Results(MLContext ml)
{
    private readonly List<Row> _rows = [];

    /// <param name="Seed">The seed.</param>
    /// <param name="Test">The test set.</param>
    /// <param name="Model">The model.</param>
    /// <param name="Accuracy">Share of rows predicted right.</param>
    /// <param name="MacroAccuracy">The mean over the labels of their rows' accuracy.</param>
    /// <param name="CalibrationError">Expected calibration error in 15 bins.</param>
    /// <param name="Agreement">Share of rows with the fine-tuned model's prediction.</param>
    /// <param name="Changed">Parameters that differ from the pre-trained model's.</param>
    /// <param name="Share">The same as a share of those that fine-tuning could change.</param>
    /// <param name="Bytes">What has to be kept on disk beside the pre-trained model.</param>
    private sealed record Row(
        int Seed,
        string Test,
        string Model,
        double Accuracy,
        double MacroAccuracy,
        double CalibrationError,
        double Agreement,
        long Changed,
        double Share,
        long Bytes
    );

    /// <summary>The fine-tuned model's scores, which others are compared with.</summary>
    public IReadOnlyList<IDataView> Reference(IReadOnlyList<TestSet> tests, ITransformer fineTuned) =>
        [.. tests.Select(test => Score(fineTuned, test.Rows))];

    /// <summary>Measures a model on each test set.</summary>
    /// <returns>The scored rows of each.</returns>
    public IReadOnlyList<IDataView> Add(
        int seed,
        string name,
        ITransformer model,
        IReadOnlyList<TestSet> tests,
        IReadOnlyList<IDataView> reference,
        long changed,
        double share,
        string? path
    )
    {
        long bytes =
            path is null ? 0
            : File.Exists(path) ? new FileInfo(path).Length
            : new DirectoryInfo(path).EnumerateFiles().Sum(file => file.Length);
        IDataView[] all = [.. tests.Select(test => Score(model, test.Rows))];
        foreach ((int i, IDataView scored) in all.Index())
        {
            MulticlassClassificationMetrics quality = ml.MulticlassClassification.Evaluate(scored);
            _rows.Add(
                new(
                    seed,
                    tests[i].Name,
                    name,
                    quality.MicroAccuracy,
                    quality.MacroAccuracy,
                    ml.SkillLoc().EvaluateCalibration(scored).ExpectedCalibrationError,
                    ml.SkillLoc().Evaluation.EvaluateAgreement(scored, reference[i]).Agreement,
                    changed,
                    share,
                    bytes
                )
            );
        }

        return all;
    }

    /// <summary>One seed's accuracies by model and test set.</summary>
    public NamedMatrix Accuracies(int seed)
    {
        Row[] rows = [.. _rows.Where(row => row.Seed == seed)];
        string[] models = [.. rows.Select(row => row.Model).Distinct()],
            tests = [.. rows.Select(row => row.Test).Distinct()];
        return new()
        {
            Measure = "accuracy",
            RowsAre = "Model",
            Rows = models,
            Columns = tests,
            Values =
            [
                .. models.Select(model =>
                    (IReadOnlyList<double>)[.. tests.Select(test => rows.Single(row => row.Model == model && row.Test == test).Accuracy)]
                ),
            ],
        };
    }

    public void Save(string path) =>
        File.WriteAllLines(
            path,
            [
                "seed\ttest\tmodel\taccuracy\tmacro_accuracy\tece\tagreement\tchanged_parameters\tshare\tbytes",
                .. _rows.Select(row =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{row.Seed}\t{row.Test}\t{row.Model}\t{row.Accuracy:F4}\t{row.MacroAccuracy:F4}\t{row.CalibrationError:F4}\t{row.Agreement:F4}\t{row.Changed}\t{row.Share:G4}\t{row.Bytes}"
                    )
                ),
            ]
        );

    public Table Table()
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumn(new TableColumn("Model").NoWrap().Padding(0, 0));
        foreach (string column in new[] { "Acc.", "Macro", "ECE", "Agree", "Changed", "Share", "On disk" })
        {
            table.AddColumn(new TableColumn(column).RightAligned().NoWrap().Padding(1, 0));
        }

        foreach (IGrouping<string, Row> test in _rows.GroupBy(row => row.Test))
        {
            if (table.Rows.Count > 0)
            {
                table.AddEmptyRow();
            }

            table.AddRow(test.Key);
            foreach (IGrouping<string, Row> model in test.GroupBy(row => row.Model))
            {
                table.AddRow(
                    " " + model.Key,
                    Percent(model, row => row.Accuracy),
                    Percent(model, row => row.MacroAccuracy),
                    Percent(model, row => row.CalibrationError),
                    Percent(model, row => row.Agreement),
                    model.Average(row => row.Changed).ToString("N0", CultureInfo.InvariantCulture),
                    model.Average(row => row.Share).ToString("0.##%", CultureInfo.InvariantCulture),
                    Size((long)model.Average(row => row.Bytes))
                );
            }
        }

        return table;
    }

    /// <summary>Scored once, read by three evaluators.</summary>
    private IDataView Score(ITransformer model, IDataView rows) => ml.Data.Cache(model.Transform(rows), "Label", "Score", "PredictedLabel");

    /// <summary>The mean, and over several seeds the standard deviation.</summary>
    private static string Percent(IEnumerable<Row> rows, Func<Row, double> measure)
    {
        double[] values = [.. rows.Select(measure)];
        double mean = values.Average();
        return values.Length == 1
            ? mean.ToString("0.0%", CultureInfo.InvariantCulture)
            : (100 * mean).ToString("0.0", CultureInfo.InvariantCulture)
                + (100 * Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1))).ToString(
                    "±0.0",
                    CultureInfo.InvariantCulture
                );
    }

    private static string Size(long bytes) =>
        bytes switch
        {
            0 => "-",
            < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1000.0:F0} kB"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        };
}
