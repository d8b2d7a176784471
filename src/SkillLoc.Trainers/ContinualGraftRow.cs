namespace SkillLoc.Trainers;

/// <summary>A task's metric at a point of a sequence.</summary>
/// <param name="After">The task that was learnt last.</param>
/// <param name="Task">The scored task, this or an earlier one.</param>
/// <param name="Method">The scoring method.</param>
/// <param name="Metric">The task's own metric on its test rows.</param>
/// <param name="Parameters">Scalars stored in addition to the base model: those of the grafts used, or all that sequential fine-tuning
/// trains, without classification heads.</param>
/// <param name="Bytes">Their size in bytes: that of the graft files, or 4 bytes per scalar, heads included.</param>
public sealed record ContinualGraftRow(string After, string Task, ContinualMethod Method, double Metric, long Parameters, long Bytes);
