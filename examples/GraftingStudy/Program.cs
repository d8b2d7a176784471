using System.CommandLine;
using SkillLoc.GraftingStudy;

Option<string> plan = new("--plan") { Description = "the study's plan, a JSON file", DefaultValueFactory = _ => "examples/GraftingStudy/small.json" };
Option<string> output = new("--output") { Description = "where results go; a study that was stopped goes on from what is there", DefaultValueFactory = _ => "artifacts/grafting-study" };
Option<string?> checkpoint = new("--checkpoint") { Description = "another Hugging Face checkpoint folder than the plan's" };
Option<string?> data = new("--data") { Description = "another data folder than the plan's" };
RootCommand command = new("Repeats the experiments of the grafting paper on a checkpoint and data sets of yours.") { plan, output, checkpoint, data };
command.SetAction(arguments =>
{
    try
    {
        StudyPlan read = StudyPlan.Load(arguments.GetValue(plan)!);
        read = read with { Checkpoint = arguments.GetValue(checkpoint) ?? read.Checkpoint, Data = arguments.GetValue(data) ?? read.Data };
        string folder = arguments.GetValue(output)!;
        var report = new Report(read, new Study(read, folder).Run());
        report.Save(folder);
        Console.WriteLine(report.Markdown());
        Console.WriteLine($"Written to {folder}: results.csv, results.md, and a file for each task, number of shots and seed.");
        return 0;
    }
    catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException
        or FormatException or InvalidOperationException or NotSupportedException)
    {
        Console.Error.WriteLine($"study: {error.Message}");
        return 1;
    }
});
return command.Parse(args).Invoke();
