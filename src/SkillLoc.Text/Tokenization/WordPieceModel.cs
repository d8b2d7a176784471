using System.Text;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>WordPiece (BERT): a word is split into the longest pieces from its start, or is unknown.</summary>
internal sealed class WordPieceModel
{
    private const string DefaultPrefix = "##";
    private const int DefaultLongestWord = 100;

    // Time grows with the square of a word's length.
    private const int LongestSupported = 10_000;

    // No word of a text is that.
    private const char Noncharacter = '\uFDD0';

    private readonly WordPieceTokenizer _tokenizer;
    private readonly string _prefix;
    private readonly int _longestWord;
    private readonly int _unknown;
    private readonly int[] _ids;

    /// <param name="vocabulary">Token to id.</param>
    /// <param name="special">Tokens that are not matched in texts.</param>
    /// <param name="unknown">The token of words that cannot be split into pieces.</param>
    /// <param name="model">The model in <c>tokenizer.json</c>; null without such a file.</param>
    /// <exception cref="NotSupportedException">The model has a setting that is not supported.</exception>
    public WordPieceModel(Dictionary<string, int> vocabulary, IReadOnlySet<string> special, string unknown, SerializedStep? model)
    {
        model?.Only("vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word");
        _longestWord = model?.Whole("max_input_chars_per_word", 1) ?? DefaultLongestWord;
        if (_longestWord > LongestSupported)
        {
            throw new NotSupportedException(
                $"{model!.Value.Source}: max_input_chars_per_word is {_longestWord}; up to {LongestSupported} are supported."
            );
        }

        _prefix = model?.Text("continuing_subword_prefix") ?? DefaultPrefix;
        _unknown = vocabulary[unknown];
        // The library numbers lines; a file's ids may have gaps.
        string[] tokens = [.. vocabulary.Keys];
        _ids = [.. vocabulary.Values];
        Array.Sort(_ids, tokens);
        using var stream = new MemoryStream();
        using (var lines = new StreamWriter(stream, leaveOpen: true))
        {
            for (int i = 0; i < tokens.Length; i++)
            {
                lines.Write(special.Contains(tokens[i]) && tokens[i] != unknown ? Unspelled(_ids[i]) : tokens[i]);
                lines.Write('\n');
            }
        }

        stream.Position = 0;
        _tokenizer = WordPieceTokenizer.Create(
            stream,
            new WordPieceOptions
            {
                PreTokenizer = null,
                UnknownToken = unknown,
                ContinuingSubwordPrefix = _prefix,
                MaxInputCharsPerWord = 2 * _longestWord,
            }
        );

        // Longer than any word that is looked up.
        string Unspelled(int id) => new string(Noncharacter, _longestWord + 1) + id;
    }

    /// <summary>Whether its pieces and longest word are BERT's.</summary>
    public bool IsPlain => _prefix == DefaultPrefix && _longestWord == DefaultLongestWord;

    /// <summary>Appends the ids of a word.</summary>
    public void Encode(string word, List<int> ids)
    {
        // The library counts UTF-16 units.
        if (word.Length > _longestWord && word.EnumerateRunes().Count() > _longestWord)
        {
            ids.Add(_unknown);
        }
        else
        {
            ids.AddRange(
                _tokenizer.EncodeToIds(word, considerPreTokenization: false, considerNormalization: false).Select(line => _ids[line])
            );
        }
    }

    /// <summary>Returns the text of tokens, with separated words.</summary>
    public string Decode(IEnumerable<string> tokens)
    {
        var text = new StringBuilder();
        foreach (string token in tokens)
        {
            if (text.Length > 0 && token.Length > _prefix.Length && token.StartsWith(_prefix, StringComparison.Ordinal))
            {
                text.Append(token.AsSpan(_prefix.Length));
            }
            else
            {
                text.Append(text.Length > 0 ? " " : "").Append(token);
            }
        }
        return text.ToString();
    }
}
