using SkillLoc.Models.Backbones;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tuning;

/// <summary>
/// A soft prompt (methods, B.1). The sequence is the mask, P - 1 trainable vectors, and the text with its special tokens; slot 0, the mask,
/// is scored, whatever <see cref="TokenBatch.Positions"/> says. In a causal model, P trainable vectors follow each row's
/// <see cref="TokenBatch.Positions"/>, and the last one is scored. In T5, P trainable vectors precede the encoder's text; the decoder's
/// input is unchanged. Positions count over the whole sequence; token types are 0 for the prompt. The mask's embedding is the model's own,
/// and word embeddings receive no gradient from the input.
/// </summary>
/// <remarks>Parameter: <c>prompt</c> <c>[1, P - 1, hidden]</c>, in causal models and T5 <c>[1, P, hidden]</c>, initialised N(0, 1) /
/// 30.</remarks>
internal sealed class SoftPrompt : PeftModule
{
    private readonly Parameter _prompt;
    private readonly bool _causal;
    private readonly long? _mask;

    internal SoftPrompt(LanguageModel model, SoftPromptOptions options, ParameterSource source)
        : base(model, options, source)
    {
        _causal = model.Config.IsCausal;
        bool masked = model is MaskedLanguageModel;

        // A masked model's text has at least its two special tokens, another's one.
        int shortest = masked ? 2 : 1;
        long longest = model.MaxLength + (long)(model.PeftModule?.PromptSize ?? 0) - shortest;
        if (options.Size < shortest || options.Size > longest)
        {
            throw new ArgumentException(
                $"The soft prompt's Size is {options.Size}; it must be from {shortest} to {longest} for this model."
            );
        }

        if (masked)
        {
            _mask =
                options.MaskTokenId
                ?? model.Config.MaskTokenId
                ?? throw new ArgumentException("The model's configuration does not name a mask token; set the soft prompt's MaskTokenId.");
            if (_mask < 0 || _mask >= model.Config.VocabularySize)
            {
                throw new ArgumentException(
                    $"The soft prompt's MaskTokenId is {_mask}; the vocabulary has {model.Config.VocabularySize} tokens."
                );
            }
        }

        Size = options.Size;
        _prompt = AddNormal("prompt", 1.0 / 30, 1, masked ? Size - 1 : Size, model.Config.HiddenSize);
    }

    /// <summary>P, the number of slots; the text of a masked model begins at index P.</summary>
    public int Size { get; }

    /// <inheritdoc/>
    internal override int PromptSize => Size;

    /// <inheritdoc/>
    internal override Tensor Prompt(Tensor words, Tensor table, TokenBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        long rows = words.size(0);
        words = words.detach();
        if (!_causal)
        {
            Tensor slots = _mask is { } mask ? cat([table.detach().narrow(0, mask, 1).unsqueeze(0), _prompt], 1) : _prompt;
            return cat([slots.expand(rows, -1, -1), words], 1).MoveToOuterDisposeScope();
        }

        // Behind the padding first, then each row's padding behind the prompt.
        long length = words.size(1);
        Tensor column = TensorArithmetic.Arange(0, length + Size, words.device).unsqueeze(0).expand(rows, -1);
        Tensor end = batch.Positions.unsqueeze(1).Add(1);
        Tensor index = where(column < end, column, where(column < end.Add(Size), (column - end).Add(length), column.Sub(Size)));
        return cat([words, _prompt.expand(rows, -1, -1)], 1)
            .gather(1, index.unsqueeze(-1).expand(-1, -1, words.size(2)))
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override Tensor ScoredPositions(TokenBatch batch) => _causal ? batch.Positions.Add(Size) : zeros_like(batch.Positions);
}

/// <summary>A soft prompt: trainable vectors before the text, or after it in causal models (methods, B.1).</summary>
public sealed record SoftPromptOptions : TuningOptions
{
    /// <summary>P, the number of slots, 2 or more: the mask and P - 1 trainable vectors. In causal models and T5, 1 or more trainable
    /// vectors. 16 by default.</summary>
    public int Size { get; init; } = 16;

    /// <summary>Id of the mask token; null (default) uses that of the tokenizer (in a classifier) or of the configuration. Not used by
    /// causal models and T5.</summary>
    public int? MaskTokenId { get; init; }

    /// <inheritdoc/>
    internal override SoftPrompt Build(LanguageModel model, ParameterSource source) => new(model, this, source);
}
