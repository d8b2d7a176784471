using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// The tokenizer of a checkpoint folder in the Hugging Face layout: byte-level BPE (RoBERTa, GPT-2), WordPiece (BERT) or SentencePiece's
/// unigram model (T5).
/// </summary>
/// <remarks>
/// The ids equal those of Hugging Face's tokenizers, with one exception: a special token's spelling inside a text is ordinary text,
/// so that no row can move the mask. Instances are thread-safe.
/// </remarks>
public sealed class CheckpointTokenizer
{
    // Words are cut by code points in the normalizer; this counts UTF-16 units.
    private const int LongestWordInUnits = 2 * BertNormalizer.LongestWord;

    private readonly TokenizerKind _kind;
    private readonly BytePairTokenizer? _bytePairs;
    private readonly WordPieceTokenizer? _wordPieces;
    private readonly UnigramTokenizer? _unigram;
    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<int, string> _tokens;
    private readonly SpecialTokens _special;
    private readonly string _folder;
    private readonly bool _addsPrefixSpace;

    private CheckpointTokenizer(TokenizerFiles files, string folder, TokenizerKind kind)
    {
        _folder = folder;
        _kind = kind;
        Files = files.Paths;
        _unigram = kind == TokenizerKind.Unigram ? UnigramTokenizer.Load(files) : null;
        var vocabulary = _unigram?.Vocabulary ?? (DistinguishesLeadingSpace ? files.ReadVocabulary() : files.ReadWordPieces());
        _vocabulary = vocabulary;
        _tokens = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        _special = SpecialTokens.Find(files, vocabulary, kind);
        VocabularySize = _tokens.Keys.Max() + 1;
        if (_unigram is not null)
            return;

        var settings = files.ReadObject(TokenizerFiles.Settings);
        var serialized = files.ReadSerialized()?.Root;
        _addsPrefixSpace = DistinguishesLeadingSpace && (Flag(settings, "add_prefix_space") ?? Flag(serialized, "pre_tokenizer", "add_prefix_space")) == true;
        if (DistinguishesLeadingSpace)
            _bytePairs = BytePairs(files, vocabulary);
        else
            _wordPieces = WordPieces(files, vocabulary, settings, serialized);
    }

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize { get; }

    /// <summary>The id that starts a sequence: <c>&lt;s&gt;</c> or <c>[CLS]</c>.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int ClsId => IdOf(_special.Cls, "start-of-sequence");

    /// <summary>The id that ends a sequence or a sentence: <c>&lt;/s&gt;</c> or <c>[SEP]</c>; T5's texts and answers both end so.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int SepId => IdOf(_special.Sep, "separator");

    /// <summary>The id of <c>&lt;mask&gt;</c> or <c>[MASK]</c>.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token, as GPT-2's has none.</exception>
    public int MaskId => IdOf(_special.Mask, "mask");

    /// <summary>The id that fills a batch's shorter rows; 0 where the vocabulary has no padding token.</summary>
    public int PadId => _special.Pad is null ? 0 : _vocabulary[_special.Pad];

    /// <summary>The id of what the vocabulary cannot spell.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int UnknownId => IdOf(_special.Unknown, "unknown");

    /// <summary>Whether the vocabulary has a mask token, as masked language models' have.</summary>
    public bool HasMask => _special.Mask is not null;

    /// <summary>Whether a word after a space and the same word without one are different tokens (byte-level BPE).</summary>
    public bool DistinguishesLeadingSpace => _kind == TokenizerKind.BytePairs;

    /// <summary>Whether the models of this tokenizer's family take token types (segment ids), as BERT does.</summary>
    public bool UsesTokenTypes => _kind == TokenizerKind.WordPieces;

    /// <summary>The paths of the tokenizer files, which a saved checkpoint needs copies of.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>Loads the tokenizer of a checkpoint folder.</summary>
    /// <param name="folder">
    /// A folder with <c>vocab.json</c> and <c>merges.txt</c> (RoBERTa, GPT-2), <c>vocab.txt</c> (BERT), <c>spiece.model</c> (T5), or a
    /// <c>tokenizer.json</c> with any of these where they are not;
    /// <c>config.json</c>, <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> are heeded when present.
    /// </param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">A file that the kind of model needs is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed or cut off.</exception>
    /// <exception cref="NotSupportedException">The checkpoint has another kind of tokenizer.</exception>
    public static CheckpointTokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no checkpoint folder '{folder}'.");
        var files = new TokenizerFiles(folder);
        return new CheckpointTokenizer(files, folder, KindOf(files, folder));
    }

    /// <summary>The ids of a text, without special tokens around or in it. Lone surrogates count as U+FFFD.</summary>
    /// <param name="text">Any text.</param>
    /// <returns>Token ids.</returns>
    public int[] Encode(string text) => EncodeFirst(text, int.MaxValue);

    /// <summary>The first ids of a text: those of <see cref="Encode(string)"/>, cut, without the work that the others are.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxTokens">How many ids are wanted at most; 0 or more.</param>
    /// <returns>Token ids.</returns>
    public int[] EncodeFirst(string text, int maxTokens)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfNegative(maxTokens);
        if (text.Length == 0 || maxTokens == 0)
            return [];
        if (_addsPrefixSpace && text[0] != ' ')
            text = " " + text;
        text = WellFormed(text);
        var ids = _bytePairs?.Encode(text, maxTokens) ?? _unigram?.Encode(text) ?? EncodeWordPieces(text, maxTokens);
        return [.. ids.Take(maxTokens)];
    }

    /// <inheritdoc cref="Encode(string)"/>
    public int[] Encode(ReadOnlySpan<char> text) => Encode(text.ToString());

    /// <summary>The text that ids stand for. Byte-level BPE gives back what was encoded; WordPiece a cleaned text, words apart;
    /// T5's a cleaned text without spaces around it.</summary>
    /// <param name="ids">Token ids; special tokens are spelled out, but T5's, which writes them itself, are left out with the ids that its
    /// model has beyond the vocabulary.</param>
    /// <returns>The text.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var list = ids.ToArray();
        if (_unigram is not null)
            return _unigram.Decode(list);
        return DistinguishesLeadingSpace ? ByteAlphabet.Read(list.Select(TokenOf)) : _wordPieces!.Decode(Array.FindAll(list, id => TokenOf(id).Length > 0));
    }

    /// <summary>The id of a token as the vocabulary spells it (<c>Ġgreat</c>, <c>##ing</c>), or null.</summary>
    /// <param name="token">A vocabulary entry.</param>
    /// <returns>Its id, or null when the vocabulary has no such entry.</returns>
    public int? TokenId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _vocabulary.TryGetValue(token, out var id) ? id : null;
    }

    /// <summary>The vocabulary's spelling of an id.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The vocabulary entry.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string TokenOf(int id) => _tokens.TryGetValue(id, out var token)
        ? token
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"The vocabulary of '{_folder}' has no token {id}; it ends at {VocabularySize - 1}.");

    /// <summary>Checks that a model can embed every id and, for masked language models, that there is a mask token.</summary>
    /// <param name="modelVocabularySize">The model's <c>vocab_size</c>.</param>
    /// <exception cref="InvalidDataException">The tokenizer does not fit the model.</exception>
    public void CheckVocabulary(int modelVocabularySize)
    {
        if (VocabularySize > modelVocabularySize)
            throw new InvalidDataException(
                $"The tokenizer in '{_folder}' has ids up to {VocabularySize - 1}, but the model embeds only {modelVocabularySize} tokens (vocab_size in config.json); tokenizer and model should come from one checkpoint.");
        if (_special.Cls is not null && !HasMask)
            throw new InvalidDataException(
                $"The vocabulary in '{_folder}' has '{_special.Cls}' but no mask token; it should hold '<mask>' or '[MASK]', or special_tokens_map.json should name it.");
    }

    /// <summary>The ids that another vocabulary spells otherwise or lacks, or has beyond this one.</summary>
    internal IEnumerable<(int Id, string? Own, string? Other)> Differences(CheckpointTokenizer other) =>
        from id in Enumerable.Range(0, Math.Max(VocabularySize, other.VocabularySize))
        let own = _tokens.GetValueOrDefault(id)
        let others = other._tokens.GetValueOrDefault(id)
        where own != others
        select (id, own, others);

    private static TokenizerKind KindOf(TokenizerFiles files, string folder)
    {
        var model = ModelType(files);
        switch (model)
        {
            case "roberta" or "gpt2":
                return TokenizerKind.BytePairs;
            case "bert":
                return TokenizerKind.WordPieces;
            case "t5" or null when files.Has(TokenizerFiles.SentencePiece) || (model is not null && files.ReadSerialized()?.Kind == TokenizerKind.Unigram):
                return TokenizerKind.Unigram;
            case null when files.Has(TokenizerFiles.Vocabulary) || files.Has(TokenizerFiles.Merges):
                return TokenizerKind.BytePairs;
            case null when files.Has(TokenizerFiles.WordPieces):
                return TokenizerKind.WordPieces;
            case null when files.ReadSerialized() is { } serialized:
                return serialized.Kind;
        }

        var found = string.Join(", ", files.Paths.Select(Path.GetFileName));
        throw new NotSupportedException(
            $"'{folder}' holds {(found.Length > 0 ? found : "no tokenizer files")}{(model is null ? "" : $" and a model of type '{model}'")}; "
            + "supported are vocab.json with merges.txt (RoBERTa, GPT-2), vocab.txt (BERT) and spiece.model (T5), or any of them in tokenizer.json.");
    }

    private static string? ModelType(TokenizerFiles files) =>
        files.ReadObject("config.json")?.TryGetProperty("model_type", out var type) == true && type.ValueKind == JsonValueKind.String
            ? type.GetString()
            : null;

    private static bool? Flag(JsonElement? settings, string name) =>
        settings?.TryGetProperty(name, out var value) == true ? Truth(value) : null;

    private static bool? Flag(JsonElement? root, string outer, string inner) =>
        TokenizerFiles.Find(root, outer, inner) is { } value ? Truth(value) : null;

    private static bool? Truth(JsonElement value) => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;

    // White space cuts a text into two that do not touch one another.
    private IReadOnlyList<int> EncodeWordPieces(string text, int maxTokens)
    {
        for (var length = 16L * maxTokens; ; length *= 4)
        {
            var end = length < text.Length ? text.AsSpan((int)length).IndexOfAny(" \t\r\n") : -1;
            var ids = _wordPieces!.EncodeToIds(end < 0 ? text : text[..((int)length + end)]);
            if (end < 0 || ids.Count >= maxTokens)
                return ids;
        }
    }

    private BytePairTokenizer BytePairs(TokenizerFiles files, Dictionary<string, int> vocabulary)
    {
        // A merge that made a special token would let text spell it.
        var special = _special.All.ToHashSet(StringComparer.Ordinal);
        var merges = files.ReadMerges(vocabulary).Where(merge => !special.Contains(merge.Replace(" ", "", StringComparison.Ordinal)));
        return new BytePairTokenizer(vocabulary, merges);
    }

    private WordPieceTokenizer WordPieces(TokenizerFiles files, Dictionary<string, int> vocabulary, JsonElement? settings, JsonElement? serialized)
    {
        var unknown = _special.Unknown
            ?? throw files.Malformed(
                files.Has(TokenizerFiles.WordPieces) ? TokenizerFiles.WordPieces : TokenizerFiles.Serialized,
                "it has no '[UNK]', which words outside the vocabulary become");
        var lowerCase = Flag(settings, "do_lower_case") ?? Flag(serialized, "normalizer", "lowercase") ?? true;
        var lines = new string[VocabularySize];
        foreach (var (token, id) in vocabulary)
            lines[id] = token;
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines)));
        return WordPieceTokenizer.Create(stream, new WordPieceOptions
        {
            Normalizer = new BertNormalizer(
                lowerCase,
                stripAccents: Flag(settings, "strip_accents") ?? Flag(serialized, "normalizer", "strip_accents") ?? lowerCase,
                splitIdeographs: Flag(settings, "tokenize_chinese_chars") ?? Flag(serialized, "normalizer", "handle_chinese_chars") ?? true),
            PreTokenizer = new BertPreTokenizer(),
            UnknownToken = unknown,
            MaxInputCharsPerWord = LongestWordInUnits,
        });
    }

    private int IdOf(string? token, string role) => token is null
        ? throw new InvalidOperationException($"The vocabulary in '{_folder}' has no {role} token.")
        : _vocabulary[token];

    private static string WellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
                i++;
            else
                return ReplaceLoneSurrogates(text);
        }
        return text;
    }

    private static string ReplaceLoneSurrogates(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            result.Append(rune);
        return result.ToString();
    }
}
