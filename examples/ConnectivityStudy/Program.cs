using System.CommandLine;
using SkillLoc.ConnectivityStudy;
using SkillLoc.Studies;

Option<string[]> experiments = new("--experiment")
{
    Description = "one or several of the plan's experiments; without it all",
    AllowMultipleArgumentsPerToken = true,
};
return StudyProgram.Run(
    args,
    "Repeats the experiments on mode connectivity on a checkpoint and data sets of yours: trains ends, walks between them, and tells "
        + "where the path breaks.",
    "examples/ConnectivityStudy/small.json",
    "artifacts/connectivity-study",
    [experiments],
    (given, path, output, checkpoint, data, stop) =>
    {
        StudyPlan plan = StudyPlan.Load(path).Only(given.GetValue(experiments) ?? []);
        plan = plan with { Checkpoint = checkpoint ?? plan.Checkpoint, Data = data ?? plan.Data };
        var report = new Report(plan, new Study(plan, output, stop).Run());
        report.Save(output);
        return report.Markdown();
    }
);
