using Microsoft.ML;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Trainers;

/// <summary>A task of continual learning (<see cref="ContinualGraft"/>). Its views have the columns named in the options.</summary>
/// <param name="Prompt">The task: template, label words, limits; its name is that of the graft and of the
/// metrics.</param>
/// <param name="Train">Training rows.</param>
/// <param name="Test">Test rows, used for reported metrics only.</param>
/// <param name="Validation">Validation rows, which select the best fine-tuned state and the best mask; null for none.</param>
public sealed record ContinualTask(PromptTask Prompt, IDataView Train, IDataView Test, IDataView? Validation = null);
