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
                + "set MLContext.FallbackToCpu or MLContext.GpuDeviceId = null.");
        }

        channel.Warning(MessageSensitivity.None, $"GPU {gpu} is not available; running on the CPU.");
        return torch.CPU;
    }
}
