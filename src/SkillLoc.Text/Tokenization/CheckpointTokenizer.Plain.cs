namespace SkillLoc.Models.Tokenization;

/// <content>Tokenizers that other programs can do the same as.</content>
public sealed partial class CheckpointTokenizer
{
    /// <summary>What other programs need to know to do the same as this tokenizer of word pieces; null where they cannot, with the
    /// reason.</summary>
    internal PlainWordPieces? WordPieces(out string? problem)
    {
        problem =
            _kind != TokenizerKind.WordPieces ? $"it is of the kind {_kind}"
            : _steps.Bert is not { } bert ? "its steps are not BERT's"
            : !bert.Cleans || !bert.SplitsIdeographs ? "it keeps control characters or does not split ideographs"
            : _wordPieces!.IsPlain is false ? "its pieces do not continue with '##', or its longest word is another than 100 letters"
            : _tokens.Count != VocabularySize ? "its ids have gaps"
            : !_added.AreNone ? "it has added tokens that are not special"
            : null;
        return problem is null
            ? new(
                [.. Enumerable.Range(0, VocabularySize).Select(id => _tokens[id])],
                _steps.Bert!.Value.Lowers,
                _steps.Bert.Value.StripsAccents,
                TokenOf(ClsId),
                TokenOf(SepId),
                TokenOf(UnknownId)
            )
            : null;
    }

    /// <summary>What other programs need to know to do the same as this byte-level BPE; null where they cannot, with the reason.</summary>
    internal PlainBytePairs? BytePairs(out string? problem)
    {
        (string vocabulary, string merges) = (
            Path.Combine(_folder, TokenizerFiles.Vocabulary),
            Path.Combine(_folder, TokenizerFiles.Merges)
        );
        problem =
            _kind != TokenizerKind.BytePairs ? $"it is of the kind {_kind}"
            : !_steps.IsByteLevel ? "its steps are not GPT-2's"
            : !_added.AreNone ? "it has added tokens that are not special"
            : !File.Exists(vocabulary) || !File.Exists(merges)
                ? $"there is no {TokenizerFiles.Vocabulary} or no {TokenizerFiles.Merges} beside it"
            : null;
        return problem is null ? new(File.ReadAllText(vocabulary), File.ReadAllText(merges)) : null;
    }

    /// <summary>What other programs need to know to do the same as this unigram tokenizer; null where they cannot, with the
    /// reason.</summary>
    internal PlainUnigrams? Unigrams(out string? problem)
    {
        problem =
            _unigram is null ? $"it is of the kind {_kind}"
            : !_added.AreNone ? "it has added tokens that are not special"
            : null;
        (byte[]? Rules, IReadOnlyList<TextReplacement> Replacements)? steps =
            problem is not null ? null
            : ReferenceEquals(_steps, SerializedSteps.None) ? (null, [])
            : PlainUnigrams.Of(_steps, out problem);
        try
        {
            return steps is { } found ? new(_unigram!.Write(found.Rules), found.Replacements) : null;
        }
        catch (NotSupportedException error)
        {
            problem = error.Message;
            return null;
        }
    }
}
