namespace SkillLoc.Models.Tokenization;

/// <summary>The algorithm of a checkpoint's tokenizer.</summary>
internal enum TokenizerKind
{
    /// <summary>Byte-level BPE (RoBERTa, GPT-2).</summary>
    BytePairs,

    /// <summary>WordPiece (BERT).</summary>
    WordPieces,

    /// <summary>SentencePiece's unigram model (T5).</summary>
    Unigram,
}
