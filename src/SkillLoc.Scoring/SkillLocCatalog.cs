using Microsoft.ML;

namespace SkillLoc;

/// <summary>The entry to SkillLoc's components: <c>mlContext.SkillLoc()</c>. Packages add components as extension methods.</summary>
public sealed class SkillLocCatalog
{
    internal SkillLocCatalog(MLContext context) => Context = context;

    /// <summary>
    /// The context of the catalog, whose seed, device and log are used. Cancelling its execution, as ML.NET's AutoML does with trials that
    /// take too long, also cancels long calls.
    /// </summary>
    public MLContext Context { get; }

    /// <summary>Reads labelled text and draws samples of it.</summary>
    public DataCatalog Data => new(this);

    /// <summary>Many grafts: sweeps, sets, sequences and their measures.</summary>
    public GraftCatalog Grafts => new(this);

    /// <summary>Operations on probed skill neurons.</summary>
    public NeuronCatalog Neurons => new(this);

    /// <summary>Paths between checkpoints.</summary>
    public ConnectivityCatalog Connectivity => new(this);

    /// <summary>Several models made one.</summary>
    public MergingCatalog Merging => new(this);

    /// <summary>Measures of any trainer's scores.</summary>
    public EvaluationCatalog Evaluation => new(this);
}

/// <summary>A part of SkillLoc's catalog, for one topic. Packages add components as extension methods.</summary>
public abstract class CatalogRoom
{
    private readonly SkillLocCatalog _catalog;

    private protected CatalogRoom(SkillLocCatalog catalog) => _catalog = catalog;

    /// <summary>The context of the catalog, whose seed, device and log are used.</summary>
    public MLContext Context => _catalog.Context;

    /// <summary>The catalog that the room is in.</summary>
    internal SkillLocCatalog Catalog => _catalog;
}

/// <summary>Reads labelled text and draws samples of it: <c>mlContext.SkillLoc().Data</c>.</summary>
public sealed class DataCatalog : CatalogRoom
{
    internal DataCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Many grafts: sweeps, sets, sequences and their measures: <c>mlContext.SkillLoc().Grafts</c>.</summary>
public sealed class GraftCatalog : CatalogRoom
{
    internal GraftCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Operations on probed skill neurons: <c>mlContext.SkillLoc().Neurons</c>.</summary>
public sealed class NeuronCatalog : CatalogRoom
{
    internal NeuronCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Paths between checkpoints: <c>mlContext.SkillLoc().Connectivity</c>.</summary>
public sealed class ConnectivityCatalog : CatalogRoom
{
    internal ConnectivityCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Several models made one: <c>mlContext.SkillLoc().Merging</c>.</summary>
public sealed class MergingCatalog : CatalogRoom
{
    internal MergingCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Measures of any trainer's scores, beside the catalog's <c>EvaluateCalibration</c>:
/// <c>mlContext.SkillLoc().Evaluation</c>.</summary>
public sealed class EvaluationCatalog : CatalogRoom
{
    internal EvaluationCatalog(SkillLocCatalog catalog)
        : base(catalog) { }
}

/// <summary>Adds SkillLoc to ML.NET's context.</summary>
public static class SkillLocExtensions
{
    /// <summary>SkillLoc's components for this context.</summary>
    /// <param name="context">The context.</param>
    /// <returns>The catalog.</returns>
    public static SkillLocCatalog SkillLoc(this MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return new(context);
    }
}
