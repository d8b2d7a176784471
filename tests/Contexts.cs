using System.Reflection;
using Microsoft.ML;

namespace SkillLoc.Tests;

internal static class Contexts
{
    /// <summary>Cancels what a context executes, as AutoML does: the method is internal to ML.NET's own assemblies.</summary>
    public static void CancelExecution(this MLContext context) =>
        typeof(MLContext).GetMethod("CancelExecution", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(context, null);
}
