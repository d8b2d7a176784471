using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc;

/// <summary>The device that models run on.</summary>
public static class SkillLocDevice
{
    private static readonly ConditionalWeakTable<MLContext, string> Logged = [];

    /// <summary>
    /// Returns the device from <see cref="MLContext.GpuDeviceId"/> and <see cref="MLContext.FallbackToCpu"/>, as for ML.NET's deep-learning
    /// trainers.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <returns>The GPU if requested and available, else the CPU.</returns>
    /// <exception cref="InvalidOperationException">A GPU was requested but is not available, and falling back to the CPU is not
    /// allowed.</exception>
    /// <exception cref="DllNotFoundException">libtorch cannot be loaded; the message names the cause and the remedy.</exception>
    public static torch.Device Device(this SkillLocCatalog catalog)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        TorchRuntime.Require();
        MLContext context = catalog.Context;
        using IChannel channel = ((IHostEnvironment)context).Register("SkillLoc").Start("Device");
        if (Logged.TryAdd(context, TorchRuntime.Description))
        {
            channel.Info(MessageSensitivity.None, TorchRuntime.Description);
        }

        if (context.GpuDeviceId is not { } gpu)
        {
            return torch.CPU;
        }

        if (torch.cuda.is_available() && gpu < torch.cuda.device_count())
        {
            return torch.device(DeviceType.CUDA, gpu);
        }

        if (!context.FallbackToCpu)
        {
            throw new InvalidOperationException(
                $"GPU {gpu} is asked for and CUDA offers {(torch.cuda.is_available() ? torch.cuda.device_count() : 0)} devices; "
                    + "set MLContext.FallbackToCpu or MLContext.GpuDeviceId = null."
            );
        }

        channel.Warning(MessageSensitivity.None, $"GPU {gpu} is not available; running on the CPU.");
        return torch.CPU;
    }

    /// <summary>Returns the device, as <see cref="Device(SkillLocCatalog)"/> does.</summary>
    /// <param name="room">A part of the catalog.</param>
    internal static torch.Device Device(this CatalogRoom room) => room.Catalog.Device();
}
