namespace Microsoft.ML.Runtime;

/// <summary>Progress has no listener in an <see cref="MLContext"/>: entries are accepted and dropped.</summary>
internal sealed class ProgressChannel : IProgressChannel
{
    public void SetHeader(ProgressHeader header, Action<IProgressEntry> fillAction)
    {
        ArgumentNullException.ThrowIfNull(header);
        ArgumentNullException.ThrowIfNull(fillAction);
    }

    public void Checkpoint(params double?[] values) => ArgumentNullException.ThrowIfNull(values);

    public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

    public void Dispose()
    {
    }
}
