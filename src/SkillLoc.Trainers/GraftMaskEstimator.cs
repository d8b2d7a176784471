using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// Localises a skill: finds the few parameters whose fine-tuned values, put into the pre-trained model, keep what fine-tuning learnt
/// (Panigrahi et al. 2023, section 3; methods, A.12).
/// </summary>
public sealed partial class GraftMaskEstimator : IEstimator<GraftTransformer>
{
    private readonly ComponentHost _host;
    private readonly Options _options;

    internal GraftMaskEstimator(SkillLocCatalog catalog, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _host = new(catalog.Context, nameof(GraftMaskEstimator));
        _options = options;
    }

    /// <summary>Trains the mask.</summary>
    /// <param name="input">The training view, with the label column that fine-tuning had and the fine-tuned transformer's text columns.</param>
    /// <returns>A scoring transformer over the base model with the graft; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is none of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned model; or the
    /// file of a base patch or of a stored training is damaged or belongs to something else.</exception>
    /// <exception cref="IOException">Something that shall be written could not be; nothing was trained.</exception>
    public GraftTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IChannel channel = _host.Start("Training");
        using var training = new GraftTraining(_host, channel, _options, [_options.Sparsity], input);
        return training.Finish(training.Find(_options.Sparsity));
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return ScoringSchema.Append(inputSchema, _options.FineTuned!.Columns, _options.FineTuned.Outputs);
    }
}
