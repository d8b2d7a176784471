using SkillLoc.Models.Prompts;

namespace SkillLoc.MergingStudy;

/// <summary>A task with its prompt and its rows.</summary>
/// <param name="Plan">What the plan says.</param>
/// <param name="Prompt">The prompt and the label words.</param>
/// <param name="Data">The rows.</param>
internal sealed record KnownTask(StudyTask Plan, PromptTask Prompt, StudyData Data);
