using SkillLoc.Models.Backbones;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The generator of dropout in a training, seeded for each update. On the CPU, each training has its own, independent of other users of
/// random numbers in the process. CUDA's fused attention uses the device's generator only, which is seeded there, so trainings take turns
/// by update.
/// </summary>
internal sealed class DropoutDraws : IDisposable
{
    private static readonly Lock Cuda = new();

    private readonly LanguageModel[] _models;
    private readonly Generator? _own;

    /// <param name="models">The trained models, on one device, which use the generator until it is disposed.</param>
    public DropoutDraws(IEnumerable<LanguageModel> models)
    {
        _models = [.. models];
        _own = _models[0].Device.type == DeviceType.CPU ? new Generator() : null;
        Array.ForEach(_models, model => model.DropoutGenerator = _own);
    }

    /// <summary>Runs the passes of an update.</summary>
    /// <param name="seed">The seed.</param>
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
