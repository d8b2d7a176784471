using System.Buffers;

namespace Microsoft.ML.Tokenizers;

public abstract class Tokenizer
{
    public virtual Normalizer? Normalizer => null;

    public virtual PreTokenizer? PreTokenizer => null;

    public IReadOnlyList<int> EncodeToIds(string text, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        return EncodeToIds(text, default, Settings(considerPreTokenization, considerNormalization)).Tokens;
    }

    public IReadOnlyList<int> EncodeToIds(ReadOnlySpan<char> text, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(null, text, Settings(considerPreTokenization, considerNormalization)).Tokens;

    public IReadOnlyList<EncodedToken> EncodeToTokens(
        string text, out string? normalizedText, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var results = EncodeToTokens(text, default, Settings(considerPreTokenization, considerNormalization));
        normalizedText = results.NormalizedText;
        return results.Tokens;
    }

    public int CountTokens(string text, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        return CountTokens(text, default, Settings(considerPreTokenization, considerNormalization));
    }

    public virtual string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var list = ids.ToArray();
        var buffer = new char[Math.Max(16, 4 * list.Length)];
        int written;
        while (Decode(list, buffer, out _, out written) == OperationStatus.DestinationTooSmall)
            buffer = new char[2 * buffer.Length];
        return new string(buffer, 0, written);
    }

    public abstract OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten);

    protected abstract EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings);

    protected virtual EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        var results = EncodeToTokens(text, textSpan, settings);
        return new EncodeResults<int>
        {
            Tokens = results.Tokens.Take(settings.MaxTokenCount).Select(token => token.Id).ToArray(),
            NormalizedText = results.NormalizedText,
            CharsConsumed = results.CharsConsumed,
        };
    }

    protected virtual int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    // The normalised text and the words in it, as the settings ask.
    internal (string Text, string? Normalized, IEnumerable<(int Offset, int Length)> Words) Split(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        text ??= textSpan.ToString();
        string? normalized = null;
        if (settings.ConsiderNormalization && Normalizer is { } normalizer)
            text = normalized = normalizer.Normalize(text);
        var words = settings.ConsiderPreTokenization && PreTokenizer is { } preTokenizer
            ? preTokenizer.PreTokenize(text)
            : [(0, text.Length)];
        return (text, normalized, words.Where(word => word.Length > 0));
    }

    // As many leading ids as the destination has room for.
    internal static OperationStatus Decode(
        IEnumerable<int> ids, Func<IEnumerable<int>, string> decode, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        var list = ids.ToArray();
        for (idsConsumed = list.Length; ; idsConsumed--)
        {
            var text = decode(list.Take(idsConsumed));
            if (text.AsSpan().TryCopyTo(destination))
            {
                charsWritten = text.Length;
                return idsConsumed == list.Length ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
            }
        }
    }

    private static EncodeSettings Settings(bool considerPreTokenization, bool considerNormalization) =>
        new() { ConsiderPreTokenization = considerPreTokenization, ConsiderNormalization = considerNormalization };
}
