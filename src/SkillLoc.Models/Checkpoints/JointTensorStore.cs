using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Combines the weights of a model with those of a second file.</summary>
internal sealed class JointTensorStore : ITensorStore
{
    private readonly ITensorStore _weights;
    private readonly ITensorStore _own;

    /// <summary>Combines two stores, which it takes over.</summary>
    /// <exception cref="InvalidDataException">Both have a tensor with the same name.</exception>
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
