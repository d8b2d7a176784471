using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// PEFT's prompt tuning and P-tuning: vectors before the text and its special tokens, in T5 before the encoder's. Positions count over the
/// whole sequence; token types are 0 for the prompt.
/// </summary>
/// <remarks>Parameter: <c>virtual_tokens</c> <c>[1, size, hidden]</c>.</remarks>
internal sealed class VirtualTokens : PeftModule
{
    public const string ParameterName = "virtual_tokens";

    private readonly Parameter _prompt;
    private readonly bool _scoresFirst;

    internal VirtualTokens(LanguageModel model, VirtualTokenOptions options, ParameterSource source)
        : base(model, options, source)
    {
        if (options.Size >= model.MaxLength)
        {
            throw new ArgumentException($"The prompt has {options.Size} vectors, and this model has room for {model.MaxLength} tokens.");
        }

        PromptSize = options.Size;
        _scoresFirst = options.ScoresFirst;
        _prompt = AddNormal(ParameterName, 1.0 / 30, 1, options.Size, model.Config.HiddenSize);
    }

    /// <inheritdoc/>
    internal override int PromptSize { get; }

    /// <inheritdoc/>
    internal override Tensor Prompt(Tensor words, Tensor table, TokenBatch batch) => cat([_prompt.expand(words.size(0), -1, -1), words], 1);

    /// <inheritdoc/>
    internal override Tensor ScoredPositions(TokenBatch batch) =>
        _scoresFirst ? zeros_like(batch.Positions) : batch.Positions.Add(PromptSize);
}

/// <summary>PEFT's prompt tuning.</summary>
internal sealed record VirtualTokenOptions : TuningOptions
{
    /// <summary>The number of vectors, 1 or more.</summary>
    public int Size { get; init; } = 16;

    /// <summary>Whether the first vector is scored, as by PEFT's sequence classifiers.</summary>
    public bool ScoresFirst { get; init; }

    /// <inheritdoc/>
    internal override VirtualTokens Build(LanguageModel model, ParameterSource source)
    {
        RequirePositive(Size, "The virtual tokens' Size");
        return new(model, this, source);
    }
}
