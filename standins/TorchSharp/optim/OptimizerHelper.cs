using static TorchSharp.torch;

namespace TorchSharp.Modules;

public abstract class OptimizerHelper : optim.Optimizer
{
    public OptimizerHelper() : base(IntPtr.Zero)
    {
    }

    /// <summary>Runs the closure with gradients, then the body on each group without.</summary>
    protected Tensor? _step<T>(Action<T> body, Func<Tensor>? loss_closure = null) where T : ParamGroup
    {
        Tensor? loss = null;
        if (loss_closure is not null)
        {
            using var recording = enable_grad();
            loss = loss_closure();
        }
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        foreach (var group in _parameter_groups) body((T)group);
        return loss;
    }
}
