using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Evaluators;
using Spectre.Console;

namespace SkillLoc.Demo;

/// <summary>Each model's measures on each test set, beside those of the fine-tuned model.</summary>
public sealed class Results(MLContext ml, IReadOnlyList<TestSet> tests, ITransformer fineTuned)
{
    private readonly List<Row> _rows = [];
    private readonly IDataView[] _reference = [.. tests.Select(test => Score(ml, fineTuned, test.Rows))];

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

    public void Add(string name, ITransformer model, long changed, double share, string? path)
    {
        long bytes =
            path is null ? 0
            : File.Exists(path) ? new FileInfo(path).Length
            : new DirectoryInfo(path).EnumerateFiles().Sum(file => file.Length);
        for (int i = 0; i < tests.Count; i++)
        {
            IDataView scored = Score(ml, model, tests[i].Rows);
            MulticlassClassificationMetrics quality = ml.MulticlassClassification.Evaluate(scored);
            CalibrationMetrics calibration = ml.SkillLoc().EvaluateCalibration(scored);
            AgreementMetrics agreement = ml.SkillLoc().Evaluation.EvaluateAgreement(scored, _reference[i]);
            _rows.Add(
                new(
                    tests[i].Name,
                    name,
                    quality.MicroAccuracy,
                    quality.MacroAccuracy,
                    calibration.ExpectedCalibrationError,
                    agreement.Agreement,
                    changed,
                    share,
                    bytes
                )
            );
        }
    }

    public void Save(string path) =>
        File.WriteAllLines(
            path,
            [
                "test\tmodel\taccuracy\tmacro_accuracy\tece\tagreement\tchanged_parameters\tshare\tbytes",
                .. _rows
                    .OrderBy(TestIndex)
                    .Select(row =>
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"{row.Test}\t{row.Model}\t{row.Accuracy:F4}\t{row.MacroAccuracy:F4}\t{row.CalibrationError:F4}\t{row.Agreement:F4}\t{row.Changed}\t{row.Share:G4}\t{row.Bytes}"
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

        foreach (IGrouping<string, Row> test in _rows.OrderBy(TestIndex).GroupBy(row => row.Test))
        {
            if (table.Rows.Count > 0)
            {
                table.AddEmptyRow();
            }

            table.AddRow(test.Key);
            foreach (Row row in test)
            {
                table.AddRow(
                    " " + row.Model,
                    Percent(row.Accuracy),
                    Percent(row.MacroAccuracy),
                    Percent(row.CalibrationError),
                    Percent(row.Agreement),
                    row.Changed.ToString("N0", CultureInfo.InvariantCulture),
                    row.Share.ToString("0.##%", CultureInfo.InvariantCulture),
                    Size(row.Bytes)
                );
            }
        }

        return table;
    }

    /// <summary>Scored once, read by three evaluators.</summary>
    private static IDataView Score(MLContext ml, ITransformer model, IDataView rows) =>
        ml.Data.Cache(model.Transform(rows), "Label", "Score", "PredictedLabel");

    private int TestIndex(Row row) => tests.Select(test => test.Name).ToList().IndexOf(row.Test);

    private static string Percent(double value) => value.ToString("0.0%", CultureInfo.InvariantCulture);

    private static string Size(long bytes) =>
        bytes switch
        {
            0 => "-",
            < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1000.0:F0} kB"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        };
}
