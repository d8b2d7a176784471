using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc;

/// <summary>The entry to SkillLoc's components: <c>mlContext.SkillLoc()</c>. Packages add components as extension methods.</summary>
public sealed class SkillLocCatalog
{
    private static readonly ConditionalWeakTable<MLContext, string> Logged = [];

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

    /// <summary>
    /// Returns the device from <see cref="MLContext.GpuDeviceId"/> and <see cref="MLContext.FallbackToCpu"/>, as for ML.NET's deep-learning
    /// trainers.
    /// </summary>
    /// <returns>The GPU if requested and available, else the CPU.</returns>
    /// <exception cref="InvalidOperationException">A GPU was requested but is not available, and falling back to the CPU is not
    /// allowed.</exception>
    /// <exception cref="DllNotFoundException">libtorch cannot be loaded; the message names the cause and the remedy.</exception>
    public torch.Device Device()
    {
        TorchRuntime.Require();
        using IChannel channel = ((IHostEnvironment)Context).Register("SkillLoc").Start("Device");
        if (Logged.TryAdd(Context, TorchRuntime.Description))
        {
            channel.Info(MessageSensitivity.None, TorchRuntime.Description);
        }

        if (Context.GpuDeviceId is not { } gpu)
        {
            return torch.CPU;
        }

        if (torch.cuda.is_available() && gpu < torch.cuda.device_count())
        {
            return torch.device(DeviceType.CUDA, gpu);
        }

        if (!Context.FallbackToCpu)
        {
            throw new InvalidOperationException(
                $"GPU {gpu} is asked for and CUDA offers {(torch.cuda.is_available() ? torch.cuda.device_count() : 0)} devices; "
                    + "set MLContext.FallbackToCpu or MLContext.GpuDeviceId = null."
            );
        }

        channel.Warning(MessageSensitivity.None, $"GPU {gpu} is not available; running on the CPU.");
        return torch.CPU;
    }
}

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
