using Microsoft.ML;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Evaluators;

/// <summary>A graft and the model that carries it, such as a <see cref="SkillLoc.Transforms.GraftTransformer"/> or a loaded chain.</summary>
/// <param name="Graft">The graft.</param>
/// <param name="Model">What scores rows with it.</param>
public sealed record GraftedModel(Graft Graft, ITransformer Model);
