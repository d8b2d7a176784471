using System.CommandLine;
using System.Globalization;
using Microsoft.ML;
using SkillLoc.Demo;
using SkillLoc.NeuronFeatures;
using Spectre.Console;

Option<string> checkpoint = new("--checkpoint")
{
    Description = "Hugging Face checkpoint folder",
    DefaultValueFactory = _ => "models/mini-roberta",
};
Option<string> corpus = new("--corpus")
{
    Description = "the SpamAssassin corpus, which `make demo` fetches",
    DefaultValueFactory = _ => "artifacts/data/spam-assassin",
};
Option<string?> data = new("--data")
{
    Description = "your own data instead, as the demo takes it: a .tsv or .csv file with label and text, or a folder of folders",
};
Option<string?> test = new("--test") { Description = "with --data: more data to measure on" };
Option<int> rows = new("--rows")
{
    Description = "at most so many rows of a test set, and twice as many to train on",
    DefaultValueFactory = _ => 500,
};
Option<double> fraction = new("--fraction")
{
    Description = "the share of each layer's neurons that become features",
    DefaultValueFactory = _ => 0.02,
};
Option<int> maxLength = new("--max-length") { Description = "the longest row in tokens", DefaultValueFactory = _ => 64 };
RootCommand command = new("Feeds the neurons that predict a label to ML.NET's FastTree and LightGBM.")
{
    checkpoint,
    corpus,
    data,
    test,
    rows,
    fraction,
    maxLength,
};
command.SetAction(arguments =>
{
    try
    {
        var ml = new MLContext(seed: 1);
        int limit = arguments.GetValue(rows);
        DemoData all = arguments.GetValue(data) is { } path
            ? DemoData.FromPaths(ml, path, arguments.GetValue(test), outOfDistribution: null, limit)
            : DemoData.SpamAssassin(ml, arguments.GetValue(corpus)!, limit);
        AnsiConsole.Write(
            Table(
                new TreesOnNeurons(ml, all).Run(
                    arguments.GetValue(checkpoint)!,
                    arguments.GetValue(fraction),
                    arguments.GetValue(maxLength)
                )
            )
        );
        foreach (TestSet set in all.Tests)
        {
            Console.WriteLine($"{set.Name}: {set.About}.");
        }

        return 0;
    }
    catch (Exception error)
        when (error
                is IOException
                    or UnauthorizedAccessException
                    or InvalidDataException
                    or ArgumentException
                    or FormatException
                    or InvalidOperationException
                    or NotSupportedException
        )
    {
        Console.Error.WriteLine($"neuron-features: {error.Message}");
        return 1;
    }
});
return command.Parse(args).Invoke();

static Table Table(IReadOnlyList<FeatureResult> results)
{
    Table table = new Table().Border(TableBorder.Simple).AddColumns("Measured on", "Features", "Trainer");
    foreach (string column in new[] { "Acc.", "ECE" })
    {
        table.AddColumn(new TableColumn(column).RightAligned());
    }

    foreach (FeatureResult row in results.GroupBy(result => result.Test).SelectMany(set => set))
    {
        table.AddRow(row.Test, $"{row.Count} {row.Features}", row.Trainer, Percent(row.Accuracy), Percent(row.CalibrationError));
    }

    return table;
}

static string Percent(double value) => value.ToString("0.0%", CultureInfo.InvariantCulture);
