namespace SkillLoc.Evaluators;

/// <summary>The distance between two checkpoints in a region of the model.</summary>
/// <param name="Region">Embeddings, Layer or Head, as <see cref="Models.Backbones.ParameterRegion"/> names them; empty for the
/// total.</param>
/// <param name="Layer">Zero-based layer; -1 outside the layers, and for totals over layers.</param>
/// <param name="Kind">The parameter's name within its layer, such as <c>attention.self.query.weight</c>, or its whole name outside the
/// layers; for totals over kinds, empty or T5's stack, <c>encoder</c> or <c>decoder</c>.</param>
/// <param name="Count">Number of scalars here.</param>
/// <param name="L2">The Euclidean norm of the difference.</param>
/// <param name="MeanL2">The root of the mean squared difference, sqrt(L2^2 / n).</param>
/// <param name="Cosine">The cosine similarity.</param>
public sealed record CheckpointDistanceEntry(string Region, int Layer, string Kind, long Count, double L2, double MeanL2, double Cosine);
