using Microsoft.ML.OnnxRuntime;

namespace SkillLoc.Onnx;

/// <summary>A session, with the weights in memory that it reads and does not own.</summary>
/// <param name="inner">The session.</param>
/// <param name="shared">The weights.</param>
internal sealed class OnnxSession(InferenceSession inner, IReadOnlyCollection<OrtValue> shared) : IDisposable
{
    /// <summary>The session.</summary>
    public InferenceSession Inner => inner;

    /// <summary>What encodes rows, where it is made of the file's metadata already; null where it is not.</summary>
    public Task<OnnxEncoder>? Encoder { get; init; }

    /// <inheritdoc/>
    public void Dispose()
    {
        inner.Dispose();
        foreach (OrtValue weight in shared)
        {
            weight.Dispose();
        }
    }
}
