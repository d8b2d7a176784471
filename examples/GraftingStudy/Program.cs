using SkillLoc.GraftingStudy;
using SkillLoc.Studies;

return StudyProgram.Run(
    args,
    "Repeats the experiments of the grafting paper on a checkpoint and data sets of yours.",
    "examples/GraftingStudy/small.json",
    "artifacts/grafting-study",
    (path, output, checkpoint, data, stop) =>
    {
        var plan = StudyPlan.Load(path);
        plan = plan with { Checkpoint = checkpoint ?? plan.Checkpoint, Data = data ?? plan.Data };
        var report = new Report(plan, new Study(plan, output, stop).Run());
        report.Save(output);
        return report.Markdown();
    }
);
