using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Backbones;

/// <summary>
/// A model as TorchSharp's <see cref="nn.Module"/>: its parameters are the model's own by their Hugging Face names, so that
/// <c>torch.optim</c>, <c>state_dict</c> and what else takes a module work on the model. It owns nothing; disposing it leaves the weights.
/// </summary>
/// <remarks>Parameters of a model that was loaded take no gradients until they are told to, for example by
/// <c>requires_grad_(true)</c> of each.</remarks>
public sealed class LanguageModelModule : nn.Module<TokenBatch, Tensor>
{
    private readonly LanguageModel _model;

    internal LanguageModelModule(LanguageModel model)
        : base(model.GetType().Name)
    {
        _model = model;
        var branches = new Dictionary<string, Branch>(StringComparer.Ordinal);
        foreach ((string name, Parameter parameter) in model.Parameters)
        {
            int dot = name.LastIndexOf('.');
            BranchOf(name[..dot]).register_parameter(name[(dot + 1)..], parameter);
        }

        Branch BranchOf(string path)
        {
            if (!branches.TryGetValue(path, out Branch? branch))
            {
                int dot = path.LastIndexOf('.');
                branches.Add(path, branch = new(path[(dot + 1)..]));
                if (dot < 0)
                {
                    register_module(path, branch);
                }
                else
                {
                    BranchOf(path[..dot]).register_module(path[(dot + 1)..], branch);
                }
            }

            return branch;
        }
    }

    /// <summary><see cref="LanguageModel.Encode"/>, with dropout while the module is in training mode, as it is at first.</summary>
    /// <param name="input">Token ids.</param>
    /// <returns><c>[batch, length, hidden]</c>.</returns>
    public override Tensor forward(TokenBatch input) => _model.Encode(input, training);

    /// <summary>Leaves the parameters, which are the model's and which the base class would dispose.</summary>
    /// <param name="disposing">Makes no difference.</param>
    protected override void Dispose(bool disposing) => base.Dispose(false);

    /// <summary>Not supported: the module would get parameters of its own. A model is loaded to a device and as a type, and
    /// <see cref="LanguageModel.Clone"/> makes one of another type.</summary>
    protected override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => throw Parted();

    /// <inheritdoc cref="_to(Device, ScalarType, bool)"/>
    protected override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => throw Parted();

    /// <inheritdoc cref="_to(Device, ScalarType, bool)"/>
    protected override nn.Module _to(ScalarType dtype, bool non_blocking) => throw Parted();

    private static NotSupportedException Parted() =>
        new(
            "A model's module cannot be moved or converted, since it would no longer be the model's. Load the model to the device and "
                + "as the type."
        );

    private sealed class Branch(string name) : nn.Module(name)
    {
        protected override void Dispose(bool disposing) => base.Dispose(false);
    }
}
