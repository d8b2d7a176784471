using System.Buffers;
using System.Text;

namespace Microsoft.ML.Tokenizers;

public class WordPieceTokenizer : Tokenizer
{
    private readonly Dictionary<string, int> _vocabulary = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _tokens = [];

    internal WordPieceTokenizer(TextReader vocabulary, WordPieceOptions options)
    {
        for (var id = 0; vocabulary.ReadLine() is { } line; id++)
        {
            if (line.Length == 0)
                continue;
            _vocabulary.Add(line, id);
            _tokens.Add(id, line);
        }

        ArgumentNullException.ThrowIfNull(options.UnknownToken);
        ArgumentNullException.ThrowIfNull(options.ContinuingSubwordPrefix);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.MaxInputCharsPerWord);
        if (!_vocabulary.TryGetValue(options.UnknownToken, out var unknownId))
            throw new ArgumentException($"The unknown token '{options.UnknownToken}' is not in the vocabulary.");

        UnknownToken = options.UnknownToken;
        UnknownTokenId = unknownId;
        ContinuingSubwordPrefix = options.ContinuingSubwordPrefix;
        MaxInputCharsPerWord = options.MaxInputCharsPerWord;
        Normalizer = options.Normalizer;
        PreTokenizer = options.PreTokenizer ?? WordPatterns.WhiteSpace;
    }

    public override Normalizer? Normalizer { get; }

    public override PreTokenizer? PreTokenizer { get; }

    public string UnknownToken { get; }

    public int UnknownTokenId { get; }

    public string ContinuingSubwordPrefix { get; }

    public int MaxInputCharsPerWord { get; }

    public static WordPieceTokenizer Create(string vocabFilePath, WordPieceOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(vocabFilePath);
        using var stream = File.OpenRead(vocabFilePath);
        return Create(stream, options);
    }

    public static WordPieceTokenizer Create(Stream vocabStream, WordPieceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(vocabStream);
        using var reader = new StreamReader(vocabStream, leaveOpen: true);
        return new WordPieceTokenizer(reader, options ?? new WordPieceOptions());
    }

    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var text = new StringBuilder();
        foreach (var id in ids)
        {
            if (!_tokens.TryGetValue(id, out var token))
                continue;
            if (token.StartsWith(ContinuingSubwordPrefix, StringComparison.Ordinal))
                text.Append(token.AsSpan(ContinuingSubwordPrefix.Length));
            else
                text.Append(text.Length > 0 && token[0] is not ('.' or ',' or '!' or '?' or '\'') ? " " : "").Append(token);
        }
        return text.ToString();
    }

    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten) =>
        Decode(ids, Decode, destination, out idsConsumed, out charsWritten);

    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        var (input, normalized, words) = Split(text, textSpan, settings);
        var tokens = new List<EncodedToken>();
        foreach (var (offset, length) in words)
            EncodeWord(input.AsSpan(offset, length), offset, tokens);
        return new EncodeResults<EncodedToken> { Tokens = tokens, NormalizedText = normalized, CharsConsumed = input.Length };
    }

    // Longest match first; a word with a part that no piece matches is unknown as a whole.
    private void EncodeWord(ReadOnlySpan<char> word, int offset, List<EncodedToken> tokens)
    {
        var first = tokens.Count;
        var vocabulary = _vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var known = word.Length <= MaxInputCharsPerWord;
        for (int start = 0, end; known && start < word.Length; start = end)
        {
            known = false;
            for (end = word.Length; end > start; end--)
            {
                var piece = start == 0 ? word[..end] : string.Concat(ContinuingSubwordPrefix, word[start..end]);
                if (vocabulary.TryGetValue(piece, out var id))
                {
                    tokens.Add(new EncodedToken(id, piece.ToString(), (offset + start)..(offset + end)));
                    known = true;
                    break;
                }
            }
        }

        if (!known)
        {
            tokens.RemoveRange(first, tokens.Count - first);
            tokens.Add(new EncodedToken(UnknownTokenId, UnknownToken, offset..(offset + word.Length)));
        }
    }
}
