using SkillLoc.MergingStudy;
using SkillLoc.Studies;

return StudyProgram.Run(
    args,
    "Merges models of several tasks by every method, and measures what is left of each beside multi-task training and stitched grafts.",
    "examples/MergingStudy/minilm.json",
    "artifacts/merging-study",
    (path, output, checkpoint, data, stop) =>
    {
        var plan = StudyPlan.Load(path);
        plan = plan with { Checkpoint = checkpoint ?? plan.Checkpoint, Data = data ?? plan.Data };
        var report = new Report(plan, new Study(plan, output, stop).Run());
        report.Save(output);
        return report.Markdown();
    }
);
