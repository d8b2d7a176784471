using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>T5's tokenizer: text is prepared as <c>spiece.model</c> or <c>tokenizer.json</c> says and spelled by a unigram model.</summary>
/// <remarks>
/// The algorithm is our own since Microsoft.ML.Tokenizers 2.0.0 reads unigram models from <c>spiece.model</c> only. Special tokens
/// are no pieces that text could be spelled in.
/// </remarks>
internal sealed class UnigramTokenizer
{
    private const int ExtraIds = 100;
    private const string ExtraId = "<extra_id_";

    private readonly UnigramModel _model;
    private readonly Func<string, IEnumerable<ReadOnlyMemory<char>>> _prepare;
    private readonly Dictionary<int, string> _pieces = [];
    private readonly Dictionary<int, byte> _bytes = [];

    private UnigramTokenizer(UnigramModel model, Func<string, IEnumerable<ReadOnlyMemory<char>>> prepare, Dictionary<string, int> vocabulary, HashSet<int> special, int[]? bytes)
    {
        _model = model;
        _prepare = prepare;
        Vocabulary = vocabulary;
        foreach (var (piece, id) in vocabulary.Where(entry => !special.Contains(entry.Value)))
            _pieces.Add(id, piece);
        for (var value = 0; value < bytes?.Length; value++)
            _bytes.TryAdd(bytes[value], (byte)value);
    }

    /// <summary>Piece to id, special tokens included.</summary>
    public Dictionary<string, int> Vocabulary { get; }

    /// <summary>
    /// Reads <c>spiece.model</c>, else <c>tokenizer.json</c>. To pieces without <c>&lt;extra_id_0&gt;</c> the hundred extra ids (or
    /// <c>extra_ids</c> of <c>tokenizer_config.json</c>, as many as the model embeds) are added, the last of them first.
    /// </summary>
    /// <exception cref="InvalidDataException">A file is malformed or cut off.</exception>
    /// <exception cref="NotSupportedException">A file asks for a step that is not there.</exception>
    public static UnigramTokenizer Load(TokenizerFiles files) =>
        files.Has(TokenizerFiles.SentencePiece) ? FromSentencePiece(files) : FromSerialized(files, files.ReadSerialized()!.Value.Root);

    /// <summary>The ids of a text without lone surrogates.</summary>
    public int[] Encode(string text)
    {
        var ids = new List<int>();
        foreach (var chunk in _prepare(text))
            _model.Encode(chunk.Span, ids);
        return [.. ids];
    }

    /// <summary>The text of ids, without special tokens and without spaces around it.</summary>
    public string Decode(IEnumerable<int> ids)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            if (_bytes.TryGetValue(id, out var value))
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            if (_pieces.TryGetValue(id, out var piece))
                text.Append(piece);
        }
        Flush();
        return text.Replace(PieceText.Space, ' ').ToString().Trim();

        void Flush()
        {
            text.Append(Encoding.UTF8.GetString([.. bytes]));
            bytes.Clear();
        }
    }

    private static UnigramTokenizer FromSentencePiece(TokenizerFiles files)
    {
        var path = files.PathOf(TokenizerFiles.SentencePiece);
        var file = SentencePieceFile.Read(path);
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var special = new HashSet<int>();
        for (var id = 0; id < file.Pieces.Count; id++)
        {
            var (text, _, type) = file.Pieces[id];
            if (!vocabulary.TryAdd(text, id))
                throw files.Malformed(TokenizerFiles.SentencePiece, $"piece '{text}' has the ids {vocabulary[text]} and {id}; every piece should occur once");
            if (type is SentencePieceFile.PieceType.Unknown or SentencePieceFile.PieceType.Control || text.StartsWith(ExtraId, StringComparison.Ordinal))
                special.Add(id);
        }
        AddExtraIds(files, vocabulary, special);

        var unknown = file.Pieces.FindIndex(piece => piece.Type == SentencePieceFile.PieceType.Unknown);
        if (unknown < 0)
            throw files.Malformed(TokenizerFiles.SentencePiece, "it has no piece for what it cannot spell");
        var normal = file.Pieces.Where(piece => piece.Type == SentencePieceFile.PieceType.Normal).Select(piece => (double)piece.Score).DefaultIfEmpty();
        var best = normal.Max();
        var spellable = file.Pieces.Select((piece, id) => (Piece: piece, Id: id))
            .Where(entry => !special.Contains(entry.Id) && entry.Piece.Type is SentencePieceFile.PieceType.Normal or SentencePieceFile.PieceType.UserDefined)
            .Select(entry => (entry.Id, entry.Piece.Text, entry.Piece.Type == SentencePieceFile.PieceType.Normal
                ? entry.Piece.Score
                : (Encoding.UTF8.GetByteCount(entry.Piece.Text) * best) - 0.1));
        var bytes = file.FallsBackToBytes ? Bytes(files, vocabulary) : null;
        var preparation = new PieceText(file, path);
        return new(
            new UnigramModel(spellable, unknown, normal.Min(), bytes, single: true),
            text => preparation.Prepare(text) is { Length: > 0 } prepared ? [prepared.AsMemory()] : [], vocabulary, special, bytes);
    }

    private static void AddExtraIds(TokenizerFiles files, Dictionary<string, int> vocabulary, HashSet<int> special)
    {
        if (vocabulary.ContainsKey(ExtraId + "0>"))
            return;
        var count = Integer(TokenizerFiles.Settings, "extra_ids") ?? ExtraIds;
        if (Integer("config.json", "vocab_size") is { } embedded)
            count = Math.Min(count, embedded - vocabulary.Count);
        for (var i = count - 1; i >= 0; i--)
        {
            special.Add(vocabulary.Count);
            vocabulary.Add(string.Create(CultureInfo.InvariantCulture, $"{ExtraId}{i}>"), vocabulary.Count);
        }

        int? Integer(string file, string key) =>
            files.ReadObject(file)?.TryGetProperty(key, out var value) == true && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : null;
    }

    private static UnigramTokenizer FromSerialized(TokenizerFiles files, JsonElement root)
    {
        var model = root.GetProperty("model");
        if (!model.TryGetProperty("vocab", out var entries) || entries.ValueKind != JsonValueKind.Array || entries.GetArrayLength() == 0)
            throw files.Malformed(TokenizerFiles.Serialized, "its unigram model has no 'vocab', an array of pieces with their scores");
        var pieces = new List<(int Id, string Text, double Score)>();
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in entries.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Array || entry.GetArrayLength() != 2 || entry[0].ValueKind != JsonValueKind.String || entry[1].ValueKind != JsonValueKind.Number)
                throw files.Malformed(TokenizerFiles.Serialized, $"its vocabulary holds {entry.GetRawText()}; right would be a piece and its score");
            var text = entry[0].GetString()!;
            if (!vocabulary.TryAdd(text, pieces.Count))
                throw files.Malformed(TokenizerFiles.Serialized, $"piece '{text}' occurs twice");
            pieces.Add((pieces.Count, text, entry[1].GetDouble()));
        }
        if (!model.TryGetProperty("unk_id", out var unknown) || unknown.ValueKind != JsonValueKind.Number || !unknown.TryGetInt32(out var unknownId) || unknownId < 0 || unknownId >= pieces.Count)
            throw files.Malformed(TokenizerFiles.Serialized, "its unigram model has no 'unk_id' within the vocabulary");

        var special = files.AddTokens(root, vocabulary);
        special.Add(unknownId);
        var bytes = model.TryGetProperty("byte_fallback", out var fallsBack) && fallsBack.ValueKind == JsonValueKind.True ? Bytes(files, vocabulary) : null;
        var steps = new SerializedSteps(root, files.PathOf(TokenizerFiles.Serialized));
        return new(
            new UnigramModel(pieces.Where(piece => !special.Contains(piece.Id)), unknownId, pieces.Min(piece => piece.Score), bytes, single: false),
            steps.Prepare, vocabulary, special, bytes);
    }

    private static int[] Bytes(TokenizerFiles files, Dictionary<string, int> vocabulary) =>
    [
        .. Enumerable.Range(0, 256).Select(value => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>")).Select(piece => vocabulary.TryGetValue(piece, out var id)
            ? id
            : throw files.Malformed(files.Has(TokenizerFiles.SentencePiece) ? TokenizerFiles.SentencePiece : TokenizerFiles.Serialized, $"it falls back to bytes and has no piece '{piece}'")),
    ];
}
