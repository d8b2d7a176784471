using SkillLoc.Studies;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Runs studies within the tests' process.</summary>
internal static class StudyRuns
{
    private static readonly StudyBuild Build = new("1.2.3", "tests");

    /// <summary>Works through a study in a folder.</summary>
    /// <returns>What its runs measured.</returns>
    public static StudyResults Run(IStudy study, string folder, CancellationToken stop = default)
    {
        var messages = new StringWriter();
        StudyExit exit = StudyRunner.Run(
            study,
            new(folder)
            {
                Build = Build,
                Heartbeat = TimeSpan.FromMilliseconds(200),
                Lines = TextWriter.Null,
                Messages = messages,
                CancellationToken = stop,
            }
        );
        stop.ThrowIfCancellationRequested();
        Assert.True(exit == StudyExit.Done, $"{messages}");
        return ResultsOf(study, folder);
    }

    /// <summary>What is in the folder.</summary>
    public static StudyResults ResultsOf(IStudy study, string folder) =>
        new(new(folder), Build, PlannedRun.Of(study).Select(run => KeyValuePair.Create(run.Run.Name, run.Id)));

    /// <summary>Where a run's result is.</summary>
    public static string FileOf(IStudy study, string folder, string name) =>
        new StudyFolder(folder).ResultFile(PlannedRun.Of(study).Single(run => run.Run.Name == name).Id);

    /// <summary>Forgets a run.</summary>
    public static void Lose(IStudy study, string folder, string name) =>
        Directory.Delete(Path.GetDirectoryName(FileOf(study, folder, name))!, recursive: true);

    /// <summary>Everything that was measured, byte for byte.</summary>
    public static string[] Contents(string folder) =>
        [
            .. Directory
                .GetFiles(Path.Combine(folder, "runs"), "result.json", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
                .Select(File.ReadAllText),
        ];
}
