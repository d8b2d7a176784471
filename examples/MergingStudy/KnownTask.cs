using SkillLoc.Models.Prompts;
using SkillLoc.Studies;

namespace SkillLoc.MergingStudy;

/// <summary>A task with its prompt and its rows.</summary>
/// <param name="Plan">What the plan says.</param>
/// <param name="Prompt">The prompt and the label words.</param>
/// <param name="Data">The rows.</param>
internal sealed record KnownTask(SplitTask Plan, PromptTask Prompt, StudyData Data);
