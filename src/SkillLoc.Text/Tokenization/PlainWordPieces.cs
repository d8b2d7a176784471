namespace SkillLoc.Models.Tokenization;

/// <summary>A tokenizer of word pieces that does nothing but BERT's steps.</summary>
/// <param name="Vocabulary">The tokens by id.</param>
/// <param name="Lowers">Whether texts are lowered.</param>
/// <param name="StripsAccents">Whether accents are dropped.</param>
/// <param name="Cls">The token that starts a sequence.</param>
/// <param name="Sep">The token that ends one.</param>
/// <param name="Unknown">The token of unknown words.</param>
internal sealed record PlainWordPieces(
    IReadOnlyList<string> Vocabulary,
    bool Lowers,
    bool StripsAccents,
    string Cls,
    string Sep,
    string Unknown
);
