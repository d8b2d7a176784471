using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Classification;

namespace SkillLoc.Onnx;

/// <summary>How ONNX Runtime scores.</summary>
public sealed record OnnxScoringOptions
{
    /// <summary>Threads within an operator; 0, the default, lets ONNX Runtime take one per physical core.</summary>
    public int Threads { get; init; }

    /// <summary>How far the graph is rewritten when it is loaded; by default all that ONNX Runtime can.</summary>
    public GraphOptimizationLevel Optimization { get; init; } = GraphOptimizationLevel.ORT_ENABLE_ALL;

    /// <summary>The padded tokens of a batch, 1 or more; 1024 by default, which suits a CPU. A single longer row is a batch of its
    /// own.</summary>
    public int BatchTokens { get; init; } = LengthBatches.CpuTokens;

    /// <summary>Called with the session's options before the model is loaded, for instance to append an execution provider. A saved ML.NET
    /// model does not hold it.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>Throws where an option is out of range.</summary>
    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Threads);
        ArgumentOutOfRangeException.ThrowIfLessThan(BatchTokens, 1);
        if (!Enum.IsDefined(Optimization))
        {
            throw new ArgumentOutOfRangeException(nameof(Optimization), Optimization, "It is no level of ONNX Runtime.");
        }
    }
}
