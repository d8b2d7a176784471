using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>Computes the gradients of rows' losses, for all kinds of training.</summary>
internal static class BatchGradients
{
    /// <summary>The targets of rows in a pass over the data; of several answers one is drawn for each row.</summary>
    public static RowTarget[] Targets(EncodedDataset train, IReadOnlyList<int> rows, int seed, int pass) =>
        train.TargetsOf(rows, row => Derive((int)Derive(seed, 3, pass), 3, row));

    /// <summary>
    /// Returns the weights of the rows of micro-batches, in order: 1 / (micro-batches x rows of the micro-batch), which gives the same
    /// gradient as one pass per micro-batch; for generated answers 1 / (micro-batches x tokens of the micro-batch) per token. Each is
    /// multiplied by the row's own weight.
    /// </summary>
    /// <param name="train">The data set of the rows.</param>
    /// <param name="microBatches">The rows of micro-batches.</param>
    /// <param name="count">Number of micro-batches in the update.</param>
    /// <param name="targets">The rows' targets from <see cref="Targets"/>.</param>
    public static float[] Weights(EncodedDataset train, IEnumerable<int[]> microBatches, int count, RowTarget[] targets)
    {
        var weights = new List<float>();
        foreach (int[] part in microBatches)
        {
            int[] tokens = [.. part.Select((_, i) => Math.Max(1, train.Task.TokensOf(targets[weights.Count + i])))];
            float all = count * tokens.Sum();
            weights.AddRange(tokens.Select((number, i) => number / all * (train.Weights.Length > 0 ? train.Weights[part[i]] : 1)));
        }

        return [.. weights];
    }

    /// <summary>Adds the gradients of a weighted sum of the rows' losses (<see cref="TextTask.Losses"/>) to the parameters. Rows are
    /// regrouped by length, which affects only padding.</summary>
    /// <param name="classifier">The model.</param>
    /// <param name="data">The data set of the rows.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="weights">Their weights.</param>
    /// <param name="maxTokens">Padded tokens in one pass; null chooses a size that suits the device.</param>
    /// <param name="training">True enables dropout.</param>
    /// <param name="targets">The targets of the rows.</param>
    /// <returns>The weighted sum, in nats.</returns>
    public static double Add(
        TextClassifier classifier,
        EncodedDataset data,
        int[] rows,
        float[] weights,
        int? maxTokens,
        bool training,
        RowTarget[] targets
    )
    {
        double loss = 0;
        Device device = classifier.Backbone.Device;
        foreach (
            int[] part in ScoringBatch.Split(
                [.. rows.Select((row, i) => classifier.TokensOf(data.Texts[row]) + data.Task.TokensOf(targets[i]))],
                device,
                maxTokens
            )
        )
        {
            using DisposeScope scope = NewDisposeScope();
            using TokenBatch batch = classifier.Batch([.. part.Select(i => data.Texts[rows[i]])]);
            Tensor weight = tensor(part.Select(i => weights[i]).ToArray(), device: device);
            Tensor losses = data.Task.Losses(classifier, batch, [.. part.Select(i => targets[i])], training);
            Tensor sum = (losses * weight).sum();
            sum.backward();
            loss += sum.item<float>();
        }

        return loss;
    }

    /// <summary>Derives a distinct seed for each use and place with SplitMix64's finaliser.</summary>
    public static uint Derive(int seed, uint use, int place)
    {
        ulong mixed = (((ulong)(uint)seed << 32) | (uint)place) + (use * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return (uint)(mixed ^ (mixed >> 31));
    }
}

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
