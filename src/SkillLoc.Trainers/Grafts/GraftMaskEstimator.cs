using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers;

/// <summary>
/// Localises a skill: finds the few parameters whose fine-tuned values, in the pre-trained model, preserve the skill (Panigrahi et al.
/// 2023, section 3; methods, A.12).
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
    /// <param name="input">The training view, with the label column of fine-tuning and the text columns of the fine-tuned
    /// transformer.</param>
    /// <returns>A scoring transformer with base model and graft; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned model; or the
    /// file of a base patch or of a stored training is damaged or belongs to something else.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
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
