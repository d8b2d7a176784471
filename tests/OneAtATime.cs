using System.Runtime.CompilerServices;
using TorchSharp;

// Tests that watch the number of live tensors must be alone.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace SkillLoc.Tests;

internal static class OneThread
{
    /// <summary>The tests' models are tiny: threads would only wait for each other, and for whatever else the machine does.</summary>
    [ModuleInitializer]
    internal static void Set()
    {
        SkillLoc.Models.Runtime.TorchRuntime.Require();
        torch.set_num_threads(1);
    }
}
