using SkillLoc.SkillNeuronStudy;
using SkillLoc.Studies;

return StudyProgram.Run(
    args,
    "Repeats the experiments of the skill-neuron paper on a checkpoint and data sets of yours.",
    "examples/SkillNeuronStudy/small.json",
    "artifacts/skill-neuron-study",
    (path, output, checkpoint, data, stop) =>
    {
        var plan = StudyPlan.Load(path);
        plan = plan with { Checkpoint = checkpoint ?? plan.Checkpoint, Data = data ?? plan.Data };
        var report = new Report(plan, new Study(plan, output, stop).Run());
        report.Save(output);
        return report.Markdown();
    }
);
