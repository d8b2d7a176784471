using System.CommandLine;

namespace SkillLoc.Studies;

/// <summary>The command line that studies have in common.</summary>
public static class StudyProgram
{
    /// <summary>Runs a study.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="description">What the study does.</param>
    /// <param name="plan">The plan that is used unless another is named.</param>
    /// <param name="output">The folder that is used unless another is named.</param>
    /// <param name="run">Runs it: given the plan's path, the output folder, the checkpoint and the data folder, null unless named, and what
    /// stops it. Returns the report as Markdown.</param>
    /// <returns>The process's exit code.</returns>
    public static int Run(
        string[] arguments,
        string description,
        string plan,
        string output,
        Func<string, string, string?, string?, CancellationToken, string> run
    ) =>
        Run(
            arguments,
            description,
            plan,
            output,
            [],
            (_, path, folder, checkpoint, data, stop) => run(path, folder, checkpoint, data, stop)
        );

    /// <summary>Runs a study that has options of its own.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="description">What the study does.</param>
    /// <param name="plan">The plan that is used unless another is named.</param>
    /// <param name="output">The folder that is used unless another is named.</param>
    /// <param name="own">The options of its own.</param>
    /// <param name="run">As above, given the command line first.</param>
    /// <returns>The process's exit code.</returns>
    public static int Run(
        string[] arguments,
        string description,
        string plan,
        string output,
        IReadOnlyList<Option> own,
        Func<ParseResult, string, string, string?, string?, CancellationToken, string> run
    )
    {
        Option<string> planOption = new("--plan") { Description = "the study's plan, a JSON file", DefaultValueFactory = _ => plan };
        Option<string> outputOption = new("--output")
        {
            Description = "where results go; a study that was stopped goes on from what is there",
            DefaultValueFactory = _ => output,
        };
        Option<string?> checkpoint = new("--checkpoint") { Description = "another Hugging Face checkpoint folder or name than the plan's" };
        Option<string?> data = new("--data") { Description = "another data folder than the plan's" };
        RootCommand command = new(description) { planOption, outputOption, checkpoint, data };
        foreach (Option option in own)
        {
            command.Options.Add(option);
        }

        // Plans name checkpoints as well as folders.
        SkillLoc.Checkpoints.Register();
        ArcticXs.Register();
        command.SetAction(given =>
            StopSignals.Run(stop =>
            {
                try
                {
                    string folder = given.GetValue(outputOption)!;
                    Console.WriteLine(
                        run(given, given.GetValue(planOption)!, folder, given.GetValue(checkpoint), given.GetValue(data), stop)
                    );
                    Console.WriteLine($"Written to {folder}: tables as CSV, results.md, and a file for each part of the study.");
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
                                or DllNotFoundException
                    )
                {
                    Console.Error.WriteLine($"study: {error.Message}");
                    return 1;
                }
            })
        );
        return command.Parse(arguments).Invoke();
    }
}
