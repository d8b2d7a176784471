using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds grafts of several sparsities (the paper's figures over sparsity). Models are loaded, rows encoded, movements ranked and the
/// pre-trained and fine-tuned models evaluated once; grafts are exchanged in place. Each graft equals, bit for bit, the one that
/// <see cref="GraftMaskEstimator"/> finds for its sparsity. Each mask is trained separately, so with epochs, the cost is proportional to
/// the number of sparsities.
/// </summary>
public sealed class GraftSweep
{
    private readonly ComponentHost _host;
    private readonly GraftMaskEstimator.Options _options;
    private readonly double[] _sparsities;

    internal GraftSweep(SkillLocCatalog catalog, GraftMaskEstimator.Options options, IEnumerable<double> sparsities)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(sparsities);
        options.Check();
        _sparsities = [.. sparsities];
        if (_sparsities.Length == 0 || _sparsities.Any(sparsity => sparsity is not (>= 0 and <= 1)))
        {
            throw new ArgumentOutOfRangeException(
                nameof(sparsities), string.Join(", ", _sparsities), "A sweep needs one sparsity or more, each of them in [0, 1].");
        }

        if (options.BasePatch is BasePatchKind.Biases or BasePatchKind.Layer or BasePatchKind.Loaded or BasePatchKind.Empty)
        {
            throw new ArgumentException($"With Options.BasePatch = {options.BasePatch} the sparsity does not matter; there is nothing to sweep.", nameof(options));
        }

        _host = new(catalog.Context, nameof(GraftSweep));
        _options = options;
    }

    /// <summary>Finds and evaluates the grafts.</summary>
    /// <param name="input">The training view, as for <see cref="GraftMaskEstimator.Fit"/>.</param>
    /// <returns>The grafts in the order of the sparsities; fewer if cancelled.</returns>
    /// <exception cref="ArgumentException">A column is missing or of another type, or a label is not one of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or a row cannot be encoded.</exception>
    /// <exception cref="InvalidDataException">The base checkpoint is damaged, or of another architecture than the fine-tuned
    /// model.</exception>
    /// <exception cref="IOException">An output cannot be written; nothing was trained.</exception>
    public GraftSweepResult Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using CancellationWatch cancellation = _host.Watch(_options.CancellationToken);
        using IChannel channel = _host.Start("Training");
        using var training = new GraftTraining(_host, channel, _options, _sparsities, input);
        GraftQuality preTrained = training.MeasureBase(), fineTuned = training.MeasureFineTuned();
        training.Rank(_sparsities.Max());
        var points = new List<GraftSweepPoint>();
        foreach (double sparsity in _sparsities)
        {
            if (cancellation.IsRequested)
            {
                break;
            }

            Models.Grafts.Graft graft = training.Find(sparsity);
            points.Add(new(sparsity, graft, training.Measure(graft)));
        }

        return new(preTrained, fineTuned, points);
    }
}
