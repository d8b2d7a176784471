using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.PromptHead;

/// <summary>The folder that the training begins with, and the difference that is kept of it.</summary>
internal static class PromptHeadFiles
{
    /// <summary>Writes MiniLM's encoder with a head that nothing has been learnt for: <c>examples/Pretrain --head-start</c> sets it. There
    /// is no dropout, since so short a training does not overfit.</summary>
    public static void Begin(string folder)
    {
        using var encoder = CheckpointFolder.Open(Checkpoints.MiniLMEncoder());
        ModelConfig config = encoder
            .Config.WithArchitecture("BertForMaskedLM")
            .With("hidden_dropout_prob", 0.0)
            .With("attention_probs_dropout_prob", 0.0);
        using var fresh = LanguageModel.Create(config, seed: 1);
        using DisposeScope scope = NewDisposeScope();
        CheckpointFolder.Save(
            folder,
            config,
            fresh.Parameters.Select(pair => (pair.Key, encoder.Weights.Contains(pair.Key) ? encoder.Weights.Read(pair.Key) : pair.Value)),
            encoder.TokenizerFiles
        );
        Console.WriteLine($"Written to {folder}.");
    }

    /// <summary>Writes the difference between the encoder as published and what was trained.</summary>
    public static void WritePatch(string from, string trained, string path)
    {
        using CheckpointFolder before = CheckpointFolder.Open(from),
            after = CheckpointFolder.Open(trained);
        using DisposeScope scope = NewDisposeScope();
        CheckpointPatch.Write(
            path,
            before
                .Weights.Tensors.Where(info => info.Name.StartsWith("bert.", StringComparison.Ordinal))
                .Select(info => (info.Name, before.Weights.Read(info.Name))),
            after.Weights.Tensors.Select(info => (info.Name, after.Weights.Read(info.Name, ScalarType.Float32)))
        );
        Console.WriteLine($"{path}: {new FileInfo(path).Length:N0} bytes");
    }

    /// <summary>Writes what a graft would leave of the training: only the largest changes of the encoder, the head as it is.</summary>
    /// <param name="from">The folder that training began with.</param>
    /// <param name="trained">The folder that it ended with.</param>
    /// <param name="count">How many changes are kept.</param>
    /// <param name="folder">The folder to write.</param>
    public static void WriteGrafted(string from, string trained, int count, string folder)
    {
        using CheckpointFolder before = CheckpointFolder.Open(from),
            after = CheckpointFolder.Open(trained);
        using DisposeScope scope = NewDisposeScope();
        string[] encoder =
        [
            .. after.Weights.Tensors.Select(info => info.Name).Where(name => name.StartsWith("bert.encoder.", StringComparison.Ordinal)),
        ];
        Dictionary<string, Tensor> changes = encoder.ToDictionary(
            name => name,
            name => after.Weights.Read(name, ScalarType.Float32).Add_(before.Weights.Read(name), alpha: -1)
        );
        Tensor sizes = cat([.. changes.Values.Select(change => change.abs().view(-1))]);
        double least = sizes.topk(count).values.min().item<float>();
        CheckpointFolder.Save(
            folder,
            after.Config,
            after.Weights.Tensors.Select(info => (info.Name, ValueOf(info.Name))),
            after.TokenizerFiles
        );
        Console.WriteLine($"{folder}: {count:N0} of {sizes.numel():N0} changes, those of at least {least:G3}");

        Tensor ValueOf(string name) =>
            changes.TryGetValue(name, out Tensor? change)
                ? before.Weights.Read(name).Add_(change.mul(change.abs().Gt(least - 1e-12)))
                : after.Weights.Read(name, ScalarType.Float32);
    }
}
