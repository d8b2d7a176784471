using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// SentencePiece's unigram model from <c>spiece.model</c> (T5), <c>sentencepiece.bpe.model</c> (XLM-RoBERTa, CamemBERT; both
/// <see cref="SentencePieceModel"/>) or <c>tokenizer.json</c> (<see cref="SerializedSteps"/>, <see cref="UnigramModel"/>). Texts never match
/// special tokens.
/// </summary>
internal sealed class UnigramTokenizer
{
    private const int ExtraIds = 100;
    private const string ExtraId = "<extra_id_";
    private const string Unknown = "<unk>";

    // What a space is in a piece.
    private const char Space = '\u2581';

    private readonly Action<string, List<int>> _spell;
    private readonly Dictionary<int, string> _pieces = [];
    private readonly Dictionary<int, byte> _bytes = [];

    private UnigramTokenizer(
        Action<string, List<int>> spell,
        SerializedSteps steps,
        Dictionary<string, int> vocabulary,
        IReadOnlyList<AddedToken> added,
        HashSet<int> special,
        int[]? bytes,
        Func<byte[]?, byte[]> write
    )
    {
        _spell = spell;
        Write = write;
        Steps = steps;
        Vocabulary = vocabulary;
        Added = added;
        _pieces.EnsureCapacity(vocabulary.Count);
        foreach ((string piece, int id) in vocabulary)
        {
            if (!special.Contains(id))
            {
                _pieces.Add(id, piece);
            }
        }

        for (int value = 0; value < bytes?.Length; value++)
        {
            _bytes.TryAdd(bytes[value], (byte)value);
        }
    }

    /// <summary>Writes a SentencePiece model with the same ids, given the normalization rules where they are those of <see cref="Steps"/>.
    /// It throws a <see cref="NotSupportedException"/> where there is none.</summary>
    public Func<byte[]?, byte[]> Write { get; }

    /// <summary>The steps from a text to words.</summary>
    public SerializedSteps Steps { get; }

    /// <summary>The added tokens.</summary>
    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>The vocabulary, special tokens included.</summary>
    public Dictionary<string, int> Vocabulary { get; }

    /// <summary>
    /// Reads <c>spiece.model</c>, else <c>tokenizer.json</c>, else <c>sentencepiece.bpe.model</c>. If the pieces of the first lack <c>&lt;extra_id_0&gt;</c>, 100 extra ids (or
    /// <c>extra_ids</c> of <c>tokenizer_config.json</c>) are added in descending order, as many as the model embeds.
    /// </summary>
    /// <exception cref="InvalidDataException">A file is malformed or cut off.</exception>
    /// <exception cref="NotSupportedException">A file needs a step that is not supported.</exception>
    public static UnigramTokenizer Load(TokenizerFiles files) =>
        files.Has(TokenizerFiles.SentencePiece) ? FromSentencePiece(files)
        : files.ReadSerialized() is { } serialized ? FromSerialized(files, serialized.Root)
        : FromFairseq(files);

    /// <summary>Appends the ids of a word without lone surrogates.</summary>
    public void Encode(string word, List<int> ids) => _spell(word, ids);

    /// <summary>Decodes ids as a trimmed text without special tokens.</summary>
    public string Decode(IEnumerable<int> ids)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        foreach (int id in ids)
        {
            if (_bytes.TryGetValue(id, out byte value))
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            if (_pieces.TryGetValue(id, out string? piece))
            {
                text.Append(piece);
            }
        }
        Flush();
        return text.Replace(Space, ' ').ToString().Trim();

        void Flush()
        {
            text.Append(Encoding.UTF8.GetString([.. bytes]));
            bytes.Clear();
        }
    }

    private static UnigramTokenizer FromSentencePiece(TokenizerFiles files)
    {
        var model = new SentencePieceModel(files.Read(TokenizerFiles.SentencePiece), files.PathOf(TokenizerFiles.SentencePiece), IsExtraId);
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var special = new HashSet<int>();
        foreach ((string? text, SentencePieceModel.PieceType type) in model.Pieces)
        {
            if (type is SentencePieceModel.PieceType.Unknown or SentencePieceModel.PieceType.Control || IsExtraId(text))
            {
                special.Add(vocabulary.Count);
            }

            vocabulary.Add(text, vocabulary.Count);
        }
        AddExtraIds(files, vocabulary, special);
        List<AddedToken> added = files.ReadAdded(vocabulary, SpecialTokens.Named(files), withoutSpecial: true);
        special.UnionWith(added.Where(token => token.IsSpecial).Select(token => token.Id));
        CheckBeside(files);
        int[]? bytes = model.FallsBackToBytes ? Bytes(files, vocabulary, TokenizerFiles.SentencePiece) : null;
        string path = files.PathOf(TokenizerFiles.SentencePiece);
        return new(
            (text, ids) => ids.AddRange(model.Encode(text, bytes)),
            SerializedSteps.None,
            vocabulary,
            added,
            special,
            bytes,
            _ => SentencePieceWriter.Renumbered(path, vocabulary, IsExtraId)
        );

        static bool IsExtraId(string piece) => piece.StartsWith(ExtraId, StringComparison.Ordinal);
    }

    /// <summary>Reads a <c>sentencepiece.bpe.model</c>, whose pieces have the ids that fairseq gave them: behind special tokens of its own, and
    /// before the mask.</summary>
    private static UnigramTokenizer FromFairseq(TokenizerFiles files)
    {
        var model = new SentencePieceModel(
            files.Read(TokenizerFiles.FairseqSentencePiece),
            files.PathOf(TokenizerFiles.FairseqSentencePiece),
            _ => false
        );
        bool isCamembert = TokenizerChoice.ModelType(files) == "camembert" || TokenizerChoice.ClassOf(files) == "CamembertTokenizer";
        string[] first = isCamembert ? ["<s>NOTUSED", "<pad>", "</s>NOTUSED", Unknown, "<unk>NOTUSED"] : ["<s>", "<pad>", "</s>", Unknown];

        // The model's unknown piece, its first, is replaced; XLM-RoBERTa's ids of <s> and </s> are fairseq's too.
        int offset = isCamembert ? first.Length - 1 : 1,
            replaced = isCamembert ? 1 : 3;
        var vocabulary = first.Select((token, id) => (token, id)).ToDictionary(pair => pair.token, pair => pair.id, StringComparer.Ordinal);
        HashSet<int> special = [.. vocabulary.Values];
        int[] ids = new int[model.Pieces.Count];
        for (int piece = 0; piece < ids.Length; piece++)
        {
            (string? text, SentencePieceModel.PieceType type) = model.Pieces[piece];
            bool isKnown = vocabulary.TryGetValue(text, out int known);
            if (isKnown != piece < replaced || (piece == 0) != (piece == model.Unknown))
            {
                throw files.Malformed(
                    TokenizerFiles.FairseqSentencePiece,
                    $"its piece {piece} is '{text}'; the model should begin with '<unk>', '<s>' and '</s>', each once"
                );
            }

            ids[piece] = isKnown ? known : piece + offset;
            vocabulary.TryAdd(text, ids[piece]);
            if (type is not (SentencePieceModel.PieceType.Normal or SentencePieceModel.PieceType.UserDefined))
            {
                special.Add(ids[piece]);
            }
        }

        if (ids.Length < replaced)
        {
            throw files.Malformed(
                TokenizerFiles.FairseqSentencePiece,
                $"it has {ids.Length} pieces and should begin with {replaced} special ones"
            );
        }

        special.Add(ids.Length + offset);
        vocabulary.TryAdd("<mask>", ids.Length + offset);
        List<AddedToken> added = files.ReadAdded(vocabulary, SpecialTokens.Named(files));
        special.UnionWith(added.Where(token => token.IsSpecial).Select(token => token.Id));
        int[]? bytes = null;
        if (model.FallsBackToBytes)
        {
            var pieces = model.Pieces.Select((piece, id) => (piece.Text, id)).ToDictionary(StringComparer.Ordinal);
            bytes = Bytes(files, pieces, TokenizerFiles.FairseqSentencePiece);
        }

        string path = files.PathOf(TokenizerFiles.FairseqSentencePiece);
        return new(
            (text, result) => result.AddRange(model.Encode(text, bytes).Select(piece => ids[piece])),
            SerializedSteps.None,
            vocabulary,
            added,
            special,
            bytes?.Select(piece => ids[piece]).ToArray(),
            _ => SentencePieceWriter.Renumbered(path, vocabulary, _ => false)
        );
    }

    /// <summary>Throws if a <c>tokenizer.json</c> beside <c>spiece.model</c> has more steps than Python derives from such a
    /// model.</summary>
    private static void CheckBeside(TokenizerFiles files)
    {
        if (files.ReadSerialized() is not { } serialized)
        {
            return;
        }

        var steps = new SerializedSteps(serialized.Root, files.PathOf(TokenizerFiles.Serialized));
        var strangers = steps
            .Normalizers.Where(step => step.Type is not ("Precompiled" or "Nmt" or "NFKC" or "Strip" or "Replace" or "Prepend"))
            .Concat(steps.Splitters.Where(step => step.Type is not ("WhitespaceSplit" or "Metaspace")))
            .Select(step => $"'{step.Type}'")
            .ToList();
        if (serialized.Kind != TokenizerKind.Unigram || strangers.Count > 0)
        {
            throw new NotSupportedException(
                $"{files.PathOf(TokenizerFiles.Serialized)} "
                    + $"{(strangers.Count > 0 ? $"has the step {strangers[0]}" : "holds another kind of model")}, and "
                    + $"{TokenizerFiles.SentencePiece} "
                    + "beside it has not: remove the one that the model was not trained with."
            );
        }
    }

    private static void AddExtraIds(TokenizerFiles files, Dictionary<string, int> vocabulary, HashSet<int> special)
    {
        if (vocabulary.ContainsKey(ExtraId + "0>"))
        {
            return;
        }

        int count = Integer(TokenizerFiles.Settings, "extra_ids") ?? ExtraIds;
        if (Integer("config.json", "vocab_size") is { } embedded)
        {
            count = Math.Min(count, embedded - vocabulary.Count);
        }

        for (int i = count - 1; i >= 0; i--)
        {
            special.Add(vocabulary.Count);
            vocabulary.Add(string.Create(CultureInfo.InvariantCulture, $"{ExtraId}{i}>"), vocabulary.Count);
        }

        int? Integer(string file, string key) =>
            files.ReadObject(file)?.TryGetProperty(key, out JsonElement value) == true
            && value.ValueKind == JsonValueKind.Number
            && value.TryGetInt32(out int number)
                ? number
                : null;
    }

    private static UnigramTokenizer FromSerialized(TokenizerFiles files, JsonElement root)
    {
        Dictionary<string, int> vocabulary = files.ReadPieces(out double[] scores);
        SerializedStep step = files.ModelOf(root).Only("vocab", "unk_id", "byte_fallback");
        if (step.Whole("unk_id", 0) is not { } unknownId || unknownId >= scores.Length)
        {
            throw files.Malformed(TokenizerFiles.Serialized, "its unigram model has no 'unk_id' within the vocabulary");
        }

        List<AddedToken> added = files.ReadAdded(vocabulary, SpecialTokens.Named(files));
        HashSet<int> special = [.. added.Where(token => token.IsSpecial).Select(token => token.Id), unknownId];
        int[]? bytes = step.Flag("byte_fallback", false) ? Bytes(files, vocabulary, TokenizerFiles.Serialized) : null;
        HashSet<string> strangers = [.. added.Where(token => token.IsNew).Select(token => token.Content)];
        var unigrams = new UnigramModel(
            vocabulary.Where(piece => !special.Contains(piece.Value) && !strangers.Contains(piece.Key)),
            scores,
            unknownId,
            bytes
        );
        return new(
            (word, ids) => unigrams.Encode(word, ids),
            new SerializedSteps(root, files.PathOf(TokenizerFiles.Serialized)),
            vocabulary,
            added,
            special,
            bytes,
            rules => Written(vocabulary, scores, special, unknownId, bytes is not null, rules)
        );
    }

    /// <summary>The pieces of a <c>tokenizer.json</c> as a SentencePiece model.</summary>
    private static byte[] Written(
        Dictionary<string, int> vocabulary,
        double[] scores,
        HashSet<int> special,
        int unknown,
        bool fallsBackToBytes,
        byte[]? rules
    )
    {
        if (fallsBackToBytes)
        {
            throw new NotSupportedException("its pieces are those of a tokenizer.json and fall back to bytes");
        }

        var pieces = new (string Text, double Score, SentencePieceModel.PieceType Type)[scores.Length];
        foreach ((string text, int id) in vocabulary)
        {
            if (id >= scores.Length)
            {
                continue;
            }

            // Words begin with the sign of a space and have no other.
            pieces[id] = (
                text,
                scores[id],
                id == unknown ? SentencePieceModel.PieceType.Unknown
                : special.Contains(id) || text.LastIndexOf(Space) > 0 ? SentencePieceModel.PieceType.Unused
                : SentencePieceModel.PieceType.Normal
            );
        }

        // What an unknown character costs is found from the worst piece: there of all, in SentencePiece of those that texts may have.
        double worst = pieces
            .Where(piece => piece.Type == SentencePieceModel.PieceType.Normal)
            .Select(piece => piece.Score)
            .DefaultIfEmpty(double.PositiveInfinity)
            .Min();
        return worst <= scores.Min()
            ? SentencePieceWriter.Of(pieces, rules)
            : throw new NotSupportedException("its worst piece is one that no text has");
    }

    private static int[] Bytes(TokenizerFiles files, Dictionary<string, int> vocabulary, string file) =>
        [
            .. Enumerable
                .Range(0, 256)
                .Select(value => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"))
                .Select(piece =>
                    vocabulary.TryGetValue(piece, out int id)
                        ? id
                        : throw files.Malformed(file, $"it falls back to bytes and has no piece '{piece}'")
                ),
        ];
}

/// <summary>
/// The unigram language model of Kudo (2018), as in <c>tokenizer.json</c>: the segmentation of a text into pieces with the highest sum of
/// log-probabilities.
/// </summary>
/// <remarks>
/// Our own since Microsoft.ML.Tokenizers 2.0.1 has it for <c>spiece.model</c> only, with sums in single precision. Hugging Face's are
/// double, and their ids differ where spellings are nearly equal: in 132 of 22,884 reviews, news and tweets with a vocabulary of 800.
/// </remarks>
internal sealed class UnigramModel
{
    // What a character without a piece costs beyond the worst piece.
    private const double UnknownPenalty = 10;

    // A radix trie over UTF-16. The children of a node lie one after another, in the order of their first letters, and behind those of
    // the node before it. A node stands for the beginning, of a length, of one of the pieces.
    private readonly string[] _texts;
    private readonly char[] _letters;
    private readonly int[] _text;
    private readonly int[] _length;
    private readonly int[] _firstChild;
    private readonly int[] _piece;
    private readonly double[] _scores;
    private readonly int _unknown;
    private readonly double _unknownScore;
    private readonly int[]? _bytes;

    /// <param name="pieces">The pieces that texts may contain, with their ids.</param>
    /// <param name="scores">The log-probabilities of all pieces by id.</param>
    /// <param name="unknown">The id of unknown text, one per run of such characters.</param>
    /// <param name="bytes">Ids of the 256 bytes, used for characters without a piece; null for none.</param>
    public UnigramModel(IEnumerable<KeyValuePair<string, int>> pieces, double[] scores, int unknown, int[]? bytes)
    {
        KeyValuePair<string, int>[] sorted = [.. pieces.Where(piece => piece.Key.Length > 0)];
        _texts = Array.ConvertAll(sorted, piece => piece.Key);
        int[] ids = Array.ConvertAll(sorted, piece => piece.Value);
        Array.Sort(_texts, ids, StringComparer.Ordinal);
        int most = (2 * _texts.Length) + 1;
        (_letters, _text, _length, _firstChild, _piece) = (new char[most], new int[most], new int[most], new int[most + 1], new int[most]);
        int[] ends = new int[most];
        (_piece[0], ends[0]) = (-1, _texts.Length);
        int count = 1;
        for (int node = 0; node < count; node++)
        {
            _firstChild[node] = count;
            int depth = _length[node];
            for (int first = _text[node] + (_piece[node] >= 0 ? 1 : 0); first < ends[node]; )
            {
                int end = first + 1;
                while (end < ends[node] && _texts[end][depth] == _texts[first][depth])
                {
                    end++;
                }

                (_letters[count], _text[count], ends[count]) = (_texts[first][depth], first, end);
                _length[count] = depth + _texts[first].AsSpan(depth).CommonPrefixLength(_texts[end - 1].AsSpan(depth));
                _piece[count] = _texts[first].Length == _length[count] ? ids[first] : -1;
                count++;
                first = end;
            }
        }

        _firstChild[count] = count;
        _scores = scores;
        _unknown = unknown;
        _unknownScore = scores.Min() - UnknownPenalty;
        _bytes = bytes;
    }

    /// <summary>Appends the ids of a text without lone surrogates.</summary>
    public void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        // The best way to each place: where its last piece starts, that piece, and the score.
        var best = new (int Start, int Id, double Score)[text.Length + 1];
        best.AsSpan(1).Fill((-1, 0, 0));
        for (int start = 0; start < text.Length; )
        {
            int letter = char.IsHighSurrogate(text[start]) ? 2 : 1;
            double soFar = best[start].Score;
            bool known = false;
            int node = 0;
            for (int end = start; end < text.Length && Child(node, text[end..], end - start) is >= 0 and var child; )
            {
                end = start + _length[child];
                if (_piece[child] is >= 0 and var id)
                {
                    Offer(best, start, end, id, _scores[id] + soFar);
                    known |= end - start == letter;
                }
                node = child;
            }
            if (!known)
            {
                Offer(best, start, start + letter, _unknown, _unknownScore + soFar);
            }

            start += letter;
        }

        int first = ids.Count;
        bool unknownBefore = false;
        for (int end = text.Length; end > 0; end = best[end].Start)
        {
            (int start, int id, double _) = best[end];
            if (id == _unknown && _bytes is not null)
            {
                AppendBytes(text[start..end], ids);
                continue;
            }
            if (id != _unknown || !unknownBefore)
            {
                ids.Add(id);
            }

            unknownBefore = id == _unknown;
        }
        ids.Reverse(first, ids.Count - first);
    }

    private static void Offer((int Start, int Id, double Score)[] best, int start, int end, int id, double score)
    {
        if (best[end].Start < 0 || score > best[end].Score)
        {
            best[end] = (start, id, score);
        }
    }

    // Backwards, as ids are gathered from the end.
    private void AppendBytes(ReadOnlySpan<char> letter, List<int> ids)
    {
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = Encoding.UTF8.GetBytes(letter, utf8) - 1; i >= 0; i--)
        {
            ids.Add(_bytes![utf8[i]]);
        }
    }

    /// <summary>The child of a node that a text goes on with; -1 for none.</summary>
    private int Child(int node, ReadOnlySpan<char> rest, int depth)
    {
        int first = _firstChild[node];
        int child = first + _letters.AsSpan(first, _firstChild[node + 1] - first).BinarySearch(rest[0]);
        return child >= first && rest.StartsWith(_texts[_text[child]].AsSpan(depth, _length[child] - depth)) ? child : -1;
    }
}
