using System.CommandLine;
using SkillLoc.PublishedModels;
using SkillLoc.Studies;

Option<string> data = new("--data")
{
    Description = "the data sets: mrpc, sent-conv and sst-2",
    DefaultValueFactory = _ => "../shared/data",
};
Option<string> output = new("--output")
{
    Description = "where tables, report and merged models go",
    DefaultValueFactory = _ => "artifacts/published-models",
};
Option<int> points = new("--points") { Description = "points of the path, both models among them", DefaultValueFactory = _ => 11 };
Option<int> texts = new("--texts") { Description = "at most so many texts of a retrieval set", DefaultValueFactory = _ => 600 };
Option<int> rows = new("--rows") { Description = "rows to fine-tune on", DefaultValueFactory = _ => 500 };
Option<int> seeds = new("--seeds") { Description = "how often each model is fine-tuned", DefaultValueFactory = _ => 3 };
RootCommand command = new(
    "Measures how far apart two published models are that were trained from one, what lies between them, and what merging them does to "
        + "retrieval and to fine-tuning."
)
{
    data,
    output,
    points,
    texts,
    rows,
    seeds,
};
command.SetAction(given =>
    StopSignals.Run(stop =>
    {
        try
        {
            SkillLoc.Checkpoints.Register();
            ArcticXs.Register();
            string folder = given.GetValue(output)!;
            Directory.CreateDirectory(folder);
            var walk = new Walk(given.GetValue(data)!, folder, given.GetValue(texts), given.GetValue(rows), given.GetValue(seeds), stop);
            string command = args.Length == 0 ? "make published-models" : $"make published-models ARGS=\"{string.Join(' ', args)}\"";
            var report = new Report(walk.Distances(), walk.Run(given.GetValue(points)), walk.Sentences, walk.Questions, command);
            report.Save(folder);
            Console.WriteLine(report.Markdown());
            Console.WriteLine($"Written to {folder}: results.md, report.html and pictures.");
            return 0;
        }
        catch (Exception error)
            when (error
                    is IOException
                        or UnauthorizedAccessException
                        or InvalidDataException
                        or ArgumentException
                        or InvalidOperationException
            )
        {
            Console.Error.WriteLine($"published-models: {error.Message}");
            return 1;
        }
    })
);
return command.Parse(args).Invoke();
