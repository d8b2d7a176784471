using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>A model's weights and what lies in a file of its own beside them, as one.</summary>
internal sealed class JointTensorStore : ITensorStore
{
    private readonly ITensorStore _weights;
    private readonly ITensorStore _own;

    /// <summary>Takes over both.</summary>
    /// <exception cref="InvalidDataException">A tensor is in both.</exception>
    public JointTensorStore(ITensorStore weights, ITensorStore own)
    {
        _weights = weights;
        _own = own;
        if (own.Tensors.FirstOrDefault(info => weights.Contains(info.Name)) is { } twice)
        {
            Dispose();
            throw new InvalidDataException($"The tensor '{twice.Name}' is in {weights.Path} and in {own.Path}; it must be in one of them.");
        }
    }

    /// <inheritdoc/>
    public string Path => _weights.Path;

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors => [.. _weights.Tensors, .. _own.Tensors];

    /// <inheritdoc/>
    public bool Contains(string name) => _weights.Contains(name) || _own.Contains(name);

    /// <inheritdoc/>
    public torch.Tensor Read(string name, torch.ScalarType? asType = null, torch.Device? device = null) =>
        (_own.Contains(name) ? _own : _weights).Read(name, asType, device);

    /// <inheritdoc/>
    public void Dispose()
    {
        _weights.Dispose();
        _own.Dispose();
    }
}
