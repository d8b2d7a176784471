using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tokenization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Interpolation;

/// <summary>
/// Which rows of one model's word embeddings, and of its language-model head, are those of another's: rows go by the texts of their tokens,
/// never by their places. The vocabulary is that of the model which the texts are encoded for; a token that the other lacks keeps that
/// model's row, and one that only the other has is left out.
/// </summary>
internal sealed class VocabularyMatch
{
    private readonly HashSet<string> _parameters;
    private readonly long[] _own;
    private readonly long[] _others;

    private VocabularyMatch(LanguageModel own, (long Own, long Other)[] rows)
    {
        _parameters = [.. own.TokenParameters];
        _own = [.. rows.Select(row => row.Own)];
        _others = [.. rows.Select(row => row.Other)];
    }

    /// <summary>Matches two models; null where all rows stand in the same places.</summary>
    /// <param name="own">The model whose vocabulary it is.</param>
    /// <param name="other">The other.</param>
    public static VocabularyMatch? Between(TextClassifier own, TextClassifier other)
    {
        CheckpointTokenizer tokens = own.Tokenizer, others = other.Tokenizer;
        int rows = own.Backbone.Config.VocabularySize, otherRows = other.Backbone.Config.VocabularySize;
        if (rows == otherRows && tokens.HasVocabularyOf(others))
        {
            return null;
        }

        // Rows behind the vocabulary, which fill tables up to a round number, go by their places.
        (long Own, long Other)[] known =
        [
            .. from row in Enumerable.Range(0, rows)
               let token = tokens.Find(row)
               let match = token is not null ? others.TokenId(token) : row < otherRows && others.Find(row) is null ? row : null
               where match is not null
               select ((long)row, (long)match.Value),
        ];
        return new(own.Backbone, known);
    }

    /// <summary>Whether a parameter has a row for each token.</summary>
    public bool Holds(string name) => _parameters.Contains(name);

    /// <summary>The other model's rows in the places of the own ones.</summary>
    /// <param name="own">The own rows, which stand where the other model has none.</param>
    /// <param name="other">The other model's.</param>
    /// <returns>A tensor of its own, of the own shape and the other's type.</returns>
    public Tensor Take(Tensor own, Tensor other)
    {
        Tensor found = other.index_select(0, tensor(_others, device: other.device));
        return own.detach().to(other.dtype, copy: true).index_copy_(0, tensor(_own, device: other.device), found);
    }
}
