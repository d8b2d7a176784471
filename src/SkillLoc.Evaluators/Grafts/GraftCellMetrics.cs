using Microsoft.ML;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>Where a graft lies, by layer and kind of weight, and what each such cell is worth.</summary>
public sealed record GraftCellMetrics
{
    /// <summary>Number of labelled rows.</summary>
    public required long Count { get; init; }

    /// <summary>The task's metric without any of the graft's coordinates, but with its head if it has one.</summary>
    public required double PreTrained { get; init; }

    /// <summary>The task's metric with the whole graft.</summary>
    public required double Grafted { get; init; }

    /// <summary>The cells in the model's order, including those without a coordinate.</summary>
    public required IReadOnlyList<GraftCellEntry> Entries { get; init; }

    /// <summary>The entries as rows, with the columns Place, Module, Count, Scalars, Metric, Worth and Density.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per cell.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Entries);
    }

    internal static GraftCellMetrics Of(
        MLContext context,
        GraftTransformer grafted,
        IDataView data,
        string labelColumnName,
        IEnumerable<string>? considered,
        CancellationToken cancellation
    )
    {
        Graft graft = grafted.Graft;
        if (graft.Outside != GraftOutside.PreTrained)
        {
            throw new ArgumentException("The graft has zeros outside its mask, which belong to none of its cells.", nameof(grafted));
        }

        using CancellationWatch watch = new ComponentHost(context, nameof(SkillLocGraftEvaluators.EvaluateGraftCells)).Watch(cancellation);
        using GraftTransformer without = grafted.WithoutGraft();
        TextClassifier classifier = without.Classifier;
        var rows = EncodedDataset.Read(data, grafted.Columns, labelColumnName, classifier, "data");
        IReadOnlyList<GraftSpread> spread = graft.Spread(classifier.Backbone, considered ?? classifier.Backbone.Parameters.Keys);

        // After other grafts the weights are not the base's any more; the graft was made for the base all the same.
        string fingerprint = graft.BaseFingerprint;
        double preTrained = rows.Metric(classifier, cancellation: watch.Token),
            whole = Metric(graft);
        return new()
        {
            Count = rows.Count,
            PreTrained = preTrained,
            Grafted = whole,
            Entries =
            [
                .. spread
                    .GroupBy(part => CellOf(part.Place))
                    .Select(cell =>
                    {
                        watch.ThrowIfRequested();
                        long count = cell.Sum(part => part.Count);
                        double metric = count == 0 ? whole : Metric(graft.Restrict(name => CellOf(ParameterPlace.Of(name)) != cell.Key));
                        return new GraftCellEntry(
                            cell.Key.Place,
                            cell.Key.Module,
                            count,
                            cell.Sum(part => part.Scalars),
                            metric,
                            whole == preTrained ? double.NaN : (whole - metric) / (whole - preTrained)
                        );
                    }),
            ],
        };

        double Metric(Graft part)
        {
            using GraftSwitch applied = part.Apply(classifier.Backbone, fingerprint);
            return rows.Metric(classifier, cancellation: watch.Token);
        }
    }

    private static (string Place, string Module) CellOf(ParameterPlace place) => (place.Area, place.Module);
}

/// <summary>A cell of a graft: a layer's weights of one kind.</summary>
/// <param name="Place"><c>layer 3</c>, in T5 <c>encoder 3</c> or <c>decoder 3</c>, or <c>embeddings</c> or <c>head</c>.</param>
/// <param name="Module">The kind of weight, <see cref="Models.Backbones.ParameterPlace.Module"/>.</param>
/// <param name="Count">Number of the graft's scalars here.</param>
/// <param name="Scalars">Number of considered scalars here.</param>
/// <param name="Metric">The task's metric with the graft without this cell.</param>
/// <param name="Worth">The share of the gain that is lost without it, (P_gamma - P_without) / (P_gamma - P_0): 0 if nothing changes,
/// negative if the metric rises. Cells may share what they carry, so worths need not sum to 1. NaN if P_gamma = P_0.</param>
public sealed record GraftCellEntry(string Place, string Module, long Count, long Scalars, double Metric, double Worth)
{
    /// <summary>The share of considered scalars here that are in the graft.</summary>
    public double Density => (double)Count / Scalars;
}
