using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tokenization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>
/// Matches the rows of two models' word embeddings and language-model heads by the text of their tokens, never by position. The vocabulary
/// is that of the model for which texts are encoded; a token that the other model lacks keeps its row, and tokens that only the other has
/// are dropped.
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

    /// <summary>Matches two models; null if all rows have the same positions.</summary>
    /// <param name="own">The model whose vocabulary is used.</param>
    /// <param name="other">The other model.</param>
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

    /// <summary>Whether a parameter has one row per token.</summary>
    public bool Holds(string name) => _parameters.Contains(name);

    /// <summary>Reorders the other model's rows to the vocabulary.</summary>
    /// <param name="own">The model's own rows, used for tokens that the other lacks.</param>
    /// <param name="other">The other model's rows.</param>
    /// <returns>A new tensor of the model's shape and the other model's type.</returns>
    public Tensor Take(Tensor own, Tensor other)
    {
        Tensor found = other.index_select(0, tensor(_others, device: other.device));
        return own.detach().to(other.dtype, copy: true).index_copy_(0, tensor(_own, device: other.device), found);
    }
}
