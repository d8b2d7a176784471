using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Evaluators;

/// <summary>A graft and a model with it applied, such as a <see cref="SkillLoc.Transforms.GraftTransformer"/> or a loaded chain.</summary>
/// <param name="Graft">The graft.</param>
/// <param name="Model">The model that scores rows.</param>
public sealed record GraftedModel(Graft Graft, ITransformer Model);
