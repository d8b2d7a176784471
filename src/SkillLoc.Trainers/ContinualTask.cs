using Microsoft.ML;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Trainers;

/// <summary>One task of a sequence (<see cref="ContinualGraft"/>). Its views have the columns that the options name.</summary>
/// <param name="Prompt">The task: template, label words, limits; its name is that of the graft and of the
/// metrics.</param>
/// <param name="Train">Rows to learn from.</param>
/// <param name="Test">Rows for the metrics that are reported; nothing is chosen by them.</param>
/// <param name="Validation">Rows that choose the best fine-tuned state and the best mask; null for none.</param>
public sealed record ContinualTask(PromptTask Prompt, IDataView Train, IDataView Test, IDataView? Validation = null);
