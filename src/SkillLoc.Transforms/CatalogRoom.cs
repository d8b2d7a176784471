using Microsoft.ML;
using TorchSharp;

namespace SkillLoc;

/// <summary>A part of SkillLoc's catalog, for one topic. Packages add components as extension methods.</summary>
public abstract class CatalogRoom
{
    private readonly SkillLocCatalog _catalog;

    private protected CatalogRoom(SkillLocCatalog catalog) => _catalog = catalog;

    /// <summary>The context of the catalog, whose seed, device and log are used.</summary>
    public MLContext Context => _catalog.Context;

    /// <summary>Returns the device, as <see cref="SkillLocCatalog.Device"/> does.</summary>
    /// <returns>The GPU if requested and available, else the CPU.</returns>
    internal torch.Device Device() => _catalog.Device();

    /// <summary>The catalog that the room is in.</summary>
    internal SkillLocCatalog Catalog => _catalog;
}

/// <summary>Reads labelled text and draws samples of it: <c>mlContext.SkillLoc().Data</c>.</summary>
public sealed class DataCatalog : CatalogRoom
{
    internal DataCatalog(SkillLocCatalog catalog)
        : base(catalog)
    {
    }
}

/// <summary>Many grafts: sweeps, sets, sequences and their measures: <c>mlContext.SkillLoc().Grafts</c>.</summary>
public sealed class GraftCatalog : CatalogRoom
{
    internal GraftCatalog(SkillLocCatalog catalog)
        : base(catalog)
    {
    }
}

/// <summary>Operations on probed skill neurons: <c>mlContext.SkillLoc().Neurons</c>.</summary>
public sealed class NeuronCatalog : CatalogRoom
{
    internal NeuronCatalog(SkillLocCatalog catalog)
        : base(catalog)
    {
    }
}

/// <summary>Paths between checkpoints: <c>mlContext.SkillLoc().Connectivity</c>.</summary>
public sealed class ConnectivityCatalog : CatalogRoom
{
    internal ConnectivityCatalog(SkillLocCatalog catalog)
        : base(catalog)
    {
    }
}

/// <summary>Measures of any trainer's scores, beside the catalog's <c>EvaluateCalibration</c>:
/// <c>mlContext.SkillLoc().Evaluation</c>.</summary>
public sealed class EvaluationCatalog : CatalogRoom
{
    internal EvaluationCatalog(SkillLocCatalog catalog)
        : base(catalog)
    {
    }
}
