namespace SkillLoc.Trainers;

/// <summary>A task's metric at a point of a sequence.</summary>
/// <param name="After">The task that was learnt last.</param>
/// <param name="Task">The task that is scored: that one, or an earlier one.</param>
/// <param name="Method">How it is scored.</param>
/// <param name="Metric">The task's own metric on its test rows.</param>
/// <param name="Parameters">Scalars that have to be kept beside the base model for it: those of the grafts that are used, or all that
/// sequential fine-tuning trains. A classification head's are not counted.</param>
/// <param name="Bytes">What keeping them takes: the sizes of these grafts' files, or 4 bytes per scalar. A head's are counted.</param>
public sealed record ContinualGraftRow(string After, string Task, ContinualMethod Method, double Metric, long Parameters, long Bytes);
