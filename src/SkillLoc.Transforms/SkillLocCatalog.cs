using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc;

/// <summary>The entry to SkillLoc's components: <c>mlContext.SkillLoc()</c>. Each package adds its own as extension methods.</summary>
public sealed class SkillLocCatalog
{
    private static readonly ConditionalWeakTable<MLContext, string> Logged = [];

    internal SkillLocCatalog(MLContext context) => Context = context;

    /// <summary>
    /// The context that the catalog belongs to: its seed, its device and its log are used. Long calls end when its execution is cancelled,
    /// as ML.NET's AutoML does with trials that take too long: as by a token of their own.
    /// </summary>
    public MLContext Context { get; }

    /// <summary>
    /// The device that <see cref="MLContext.GpuDeviceId"/> and <see cref="MLContext.FallbackToCpu"/> decide, as for ML.NET's own
    /// deep-learning trainers.
    /// </summary>
    /// <returns>The CPU when no GPU is asked for.</returns>
    /// <exception cref="InvalidOperationException">A GPU is asked for, none is there, and falling back is not allowed.</exception>
    /// <exception cref="DllNotFoundException">libtorch cannot be loaded; the message says why and what helps.</exception>
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
