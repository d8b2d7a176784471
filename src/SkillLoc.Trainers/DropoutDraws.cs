using SkillLoc.Models.Backbones;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// What dropout draws from in one training, seeded anew for each update. On the CPU it is a generator of the training's own, so that
/// trainings side by side, and whoever else draws in the process, do not disturb each other. CUDA's fused attention draws from its
/// device's generator and no other: there that one is seeded, and trainings take turns, an update at a time.
/// </summary>
internal sealed class DropoutDraws : IDisposable
{
    private static readonly Lock Cuda = new();

    private readonly LanguageModel[] _models;
    private readonly Generator? _own;

    /// <param name="models">The models that train, on one device; they draw from it until it is disposed.</param>
    public DropoutDraws(IEnumerable<LanguageModel> models)
    {
        _models = [.. models];
        _own = _models[0].Device.type == DeviceType.CPU ? new Generator() : null;
        Array.ForEach(_models, model => model.DropoutGenerator = _own);
    }

    /// <summary>Runs an update's passes.</summary>
    /// <param name="seed">What they draw by.</param>
    /// <param name="passes">The passes.</param>
    public void Run(uint seed, Action passes)
    {
        if (_own is not null)
        {
            _own.manual_seed(seed);
            passes();
            return;
        }

        lock (Cuda)
        {
            cuda.manual_seed_all(seed);
            passes();
        }
    }

    public void Dispose()
    {
        Array.ForEach(_models, model => model.DropoutGenerator = null);
        _own?.Dispose();
    }
}
