using Microsoft.ML;

namespace SkillLoc.Evaluators;

/// <summary>A task that a merge is evaluated on.</summary>
/// <param name="Name">The task's name.</param>
/// <param name="Data">Labelled rows with the columns that the models read, in the same order each time they are read.</param>
/// <param name="Single">The model of this task alone, whose quality is the measure.</param>
/// <param name="Merged">The merged model as a scorer of this task.</param>
public sealed record MergeTask(string Name, IDataView Data, ITransformer Single, ITransformer Merged);
