namespace Microsoft.ML.Data;

/// <summary>One step of an <see cref="EstimatorChain{TLastTransformer}"/>.</summary>
internal sealed record EstimatorLink(IEstimator<ITransformer> Estimator, TransformerScope Scope, bool CacheAfter);
