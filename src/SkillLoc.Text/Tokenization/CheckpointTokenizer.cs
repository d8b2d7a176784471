using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>
/// The tokenizer of a checkpoint folder in the Hugging Face layout: byte-level BPE (RoBERTa, GPT-2), WordPiece (BERT, DistilBERT, ELECTRA,
/// MPNet) or SentencePiece's unigram model (T5, XLM-RoBERTa, CamemBERT).
/// </summary>
/// <remarks>
/// The ids equal those of Hugging Face's tokenizers, with one exception: special tokens spelled in a text are ordinary text, so that no row
/// can move the mask (methods, A.2). Instances are thread-safe.
/// </remarks>
public sealed partial class CheckpointTokenizer
{
    private readonly TokenizerKind _kind;
    private readonly SerializedSteps _steps;
    private readonly AddedTokens _added;
    private readonly BytePairModel? _bytePairs;
    private readonly WordPieceModel? _wordPieces;
    private readonly UnigramTokenizer? _unigram;
    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<int, string> _tokens;
    private readonly SpecialTokens _special;
    private readonly string _folder;

    private CheckpointTokenizer(TokenizerFiles files, string folder, TokenizerKind kind)
    {
        _folder = folder;
        _kind = kind;
        Files = files.Paths;
        _unigram = kind == TokenizerKind.Unigram ? UnigramTokenizer.Load(files) : null;
        _vocabulary = _unigram?.Vocabulary ?? (DistinguishesLeadingSpace ? files.ReadVocabulary() : files.ReadWordPieces());
        IReadOnlyList<AddedToken> added = _unigram?.Added ?? files.ReadAdded(_vocabulary, SpecialTokens.Named(files));
        _tokens = _vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        _special = SpecialTokens.Find(files, _vocabulary, kind);
        VocabularySize = _tokens.Keys.Max() + 1;

        var special = new HashSet<string>(_special.All, StringComparer.Ordinal);
        special.UnionWith(SpecialTokens.Named(files));
        special.UnionWith(added.Where(token => token.IsSpecial).Select(token => token.Content));
        HashSet<string> unspelled = [.. special, .. added.Where(token => token.IsNew).Select(token => token.Content)];
        JsonElement? serialized = files.ReadSerialized()?.Root;
        SerializedStep? model = serialized is { } root && _unigram is null ? files.ModelOf(root) : null;
        _steps = _unigram?.Steps ?? Steps(files, serialized);
        if (kind == TokenizerKind.BytePairs)
        {
            char[] letters = [];
            // A merge that made a special token would let text spell it.
            HashSet<string>.AlternateLookup<ReadOnlySpan<char>> specials = special.GetAlternateLookup<ReadOnlySpan<char>>();
            IEnumerable<string> merges = files
                .ReadMerges(_vocabulary)
                .Where(merge => !specials.Contains(TokenizerFiles.Joined(merge, ref letters)));
            _bytePairs = new BytePairModel(_vocabulary, _tokens, merges, unspelled, model);
        }
        else if (kind == TokenizerKind.WordPieces)
        {
            _wordPieces = new WordPieceModel(_vocabulary, unspelled, UnknownWord(files, model), model);
        }
        Added = [.. added.Select(token => special.Contains(token.Content) ? token with { IsSpecial = true } : token)];
        _added = new AddedTokens(Added, _steps.Normalize);
        Format = FormatOf(files, serialized);

        // Rows of models of one segment, or of no segments, have no types.
        int types =
            TokenizerFiles.Find(files.ReadObject("config.json"), "type_vocab_size") is { ValueKind: JsonValueKind.Number } size
            && size.TryGetInt32(out int count)
                ? count
                : 2;
        string? architecture = TokenizerChoice.ModelType(files);
        UsesTokenTypes =
            types > 1
            && (kind == TokenizerKind.WordPieces || architecture is "bert" or "electra")
            && architecture is not ("distilbert" or "mpnet");
    }

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize { get; }

    /// <summary>The id that starts a sequence: <c>&lt;s&gt;</c> or <c>[CLS]</c>.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int ClsId => IdOf(_special.Cls, "start-of-sequence");

    /// <summary>The id that ends a sequence or a sentence: <c>&lt;/s&gt;</c> or <c>[SEP]</c>; T5 ends both texts and answers with
    /// it.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int SepId => IdOf(_special.Sep, "separator");

    /// <summary>The id of <c>&lt;mask&gt;</c> or <c>[MASK]</c>.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token, as in GPT-2.</exception>
    public int MaskId => IdOf(_special.Mask, "mask");

    /// <summary>The id that pads shorter rows of a batch; 0 if the vocabulary has no padding token.</summary>
    public int PadId => _special.Pad is null ? 0 : _vocabulary[_special.Pad];

    /// <summary>The id of unknown text.</summary>
    /// <exception cref="InvalidOperationException">The vocabulary has no such token.</exception>
    public int UnknownId => IdOf(_special.Unknown, "unknown");

    /// <summary>Whether the vocabulary has a mask token, as for masked language models.</summary>
    public bool HasMask => _special.Mask is not null;

    /// <summary>Whether a word after a space and the same word without one are different tokens (byte-level BPE).</summary>
    public bool DistinguishesLeadingSpace => _kind == TokenizerKind.BytePairs;

    /// <summary>Whether the model takes token types (segment ids), as BERT does.</summary>
    public bool UsesTokenTypes { get; }

    /// <summary>How it spells words.</summary>
    internal TokenizerKind Kind => _kind;

    /// <summary>The added tokens, special ones too.</summary>
    internal IReadOnlyList<AddedToken> Added { get; }

    /// <summary>The special tokens around texts.</summary>
    internal SequenceFormat Format { get; }

    /// <summary>The folder that it was loaded from.</summary>
    internal string Folder => _folder;

    /// <summary>Paths of the tokenizer files, which saved checkpoints include.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>Loads the tokenizer of a checkpoint folder.</summary>
    /// <param name="folder">
    /// A folder with a <c>tokenizer.json</c>, else with <c>vocab.json</c> and <c>merges.txt</c> (RoBERTa, GPT-2), <c>vocab.txt</c>
    /// (BERT, DistilBERT, ELECTRA, MPNet) or <c>sentencepiece.bpe.model</c> (XLM-RoBERTa, CamemBERT); for T5, with <c>spiece.model</c>, else
    /// a <c>tokenizer.json</c>.
    /// </param>
    /// <returns>The tokenizer.</returns>
    /// <remarks>
    /// <para>Every step of <c>tokenizer.json</c> (normalizers, pre-tokenizers, model settings, added tokens, post-processor) is applied or
    /// refused by name, as are <c>tokenizer_class</c> and the settings of <c>tokenizer_config.json</c>; settings of both files that
    /// contradict each other are refused. Where <c>tokenizer.json</c> and a class of <c>transformers</c> differ, the file decides.</para>
    /// <para>Deliberately ignored: <c>truncation</c> and <c>padding</c>, <c>model_max_length</c>, <c>padding_side</c> and
    /// <c>truncation_side</c>, which are up to the caller here, and settings about offsets and decoding.</para>
    /// </remarks>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="FileNotFoundException">A file that the kind of model needs is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed or cut off.</exception>
    /// <exception cref="NotSupportedException">The checkpoint has another kind of tokenizer, or one of its steps is not
    /// supported.</exception>
    public static CheckpointTokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"There is no checkpoint folder '{folder}'.");
        }

        return Load(new TokenizerFiles(folder), folder);
    }

    /// <summary>Loads a tokenizer whose files lie in no folder.</summary>
    /// <param name="files">The files by name, <c>config.json</c> among them.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <inheritdoc cref="Load(string)" path="/exception"/>
    internal static CheckpointTokenizer Load(IReadOnlyDictionary<string, byte[]> files, string source) =>
        Load(new TokenizerFiles(source, files), source);

    private static CheckpointTokenizer Load(TokenizerFiles files, string folder) => new(files, folder, TokenizerChoice.Of(files, folder));

    /// <summary>Encodes a text without special tokens. Lone surrogates become U+FFFD.</summary>
    /// <param name="text">Any text.</param>
    /// <returns>Token ids.</returns>
    public int[] Encode(string text) => EncodeFirst(text, int.MaxValue);

    /// <summary>Returns the first ids of <see cref="Encode(string)"/> without encoding the rest of the text.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="maxTokens">Maximum number of ids, 0 or more.</param>
    /// <returns>Token ids.</returns>
    public int[] EncodeFirst(string text, int maxTokens)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfNegative(maxTokens);
        var ids = new List<int>();
        foreach ((int? id, string? part, bool isFirst) in _added.InText(WellFormed(text)))
        {
            if (id is { } token)
            {
                ids.Add(token);
            }
            else
            {
                EncodePart(part, isFirst, ids, maxTokens);
            }

            if (ids.Count >= maxTokens)
            {
                break;
            }
        }
        return ids.Count > maxTokens ? [.. ids[..maxTokens]] : [.. ids];
    }

    /// <inheritdoc cref="Encode(string)"/>
    public int[] Encode(ReadOnlySpan<char> text) => Encode(text.ToString());

    /// <summary>Decodes ids. Byte-level BPE returns the encoded text, WordPiece a cleaned text with separated words, T5 a cleaned and
    /// trimmed text.</summary>
    /// <param name="ids">Token ids; special tokens are spelled out, except in T5, where they are omitted with the ids beyond the
    /// vocabulary.</param>
    /// <returns>The text.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        int[] list = ids.ToArray();
        if (_unigram is not null)
        {
            return _unigram.Decode(list);
        }

        return DistinguishesLeadingSpace ? ByteAlphabet.Read(list.Select(TokenOf)) : _wordPieces!.Decode(Array.ConvertAll(list, TokenOf));
    }

    /// <summary>Returns the id of a vocabulary entry (<c>Ġgreat</c>, <c>##ing</c>), or null.</summary>
    /// <param name="token">A vocabulary entry.</param>
    /// <returns>Its id, or null when the vocabulary has no such entry.</returns>
    public int? TokenId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _vocabulary.TryGetValue(token, out int id) ? id : null;
    }

    /// <summary>Returns the vocabulary entry of an id.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The vocabulary entry.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string TokenOf(int id) =>
        _tokens.TryGetValue(id, out string? token)
            ? token
            : throw new ArgumentOutOfRangeException(
                nameof(id),
                id,
                $"The vocabulary of '{_folder}' has no token {id}; it ends at {VocabularySize - 1}."
            );

    /// <summary>The vocabulary's spelling of an id; null where it has no such id.</summary>
    internal string? Find(int id) => _tokens.GetValueOrDefault(id);

    /// <summary>Checks that a model can embed every id and, for masked language models, that there is a mask token.</summary>
    /// <param name="modelVocabularySize">The model's <c>vocab_size</c>.</param>
    /// <exception cref="InvalidDataException">The tokenizer does not fit the model.</exception>
    public void CheckVocabulary(int modelVocabularySize)
    {
        if (VocabularySize > modelVocabularySize)
        {
            throw new InvalidDataException(
                $"The tokenizer in '{_folder}' has ids up to {VocabularySize - 1}, but the model embeds only {modelVocabularySize} "
                    + "tokens (vocab_size in config.json); tokenizer and model should come from one checkpoint."
            );
        }

        if (_special.Cls is not null && !HasMask)
        {
            throw new InvalidDataException(
                $"The vocabulary in '{_folder}' has '{_special.Cls}' but no mask token; it should hold '<mask>' or '[MASK]', or "
                    + "special_tokens_map.json should name it."
            );
        }
    }

    /// <summary>Whether another tokenizer's vocabulary has the same tokens with the same ids.</summary>
    internal bool HasVocabularyOf(CheckpointTokenizer other) =>
        _tokens.Count == other._tokens.Count && _tokens.All(entry => other._tokens.GetValueOrDefault(entry.Key) == entry.Value);

    /// <summary>Encodes the part of a text between added tokens that are matched before normalization.</summary>
    private void EncodePart(string text, bool isFirst, List<int> ids, int maxTokens)
    {
        string normalized = _steps.Normalize(text);
        int first = isFirst ? _steps.FirstOf(text, normalized) : 0;
        foreach ((int? id, string? part, bool begins) in _added.InNormalized(normalized))
        {
            if (id is { } token)
            {
                ids.Add(token);
                continue;
            }
            foreach (string word in _steps.Split(part, begins ? first : 0))
            {
                if (ids.Count >= maxTokens)
                {
                    return;
                }

                if (_bytePairs is not null)
                {
                    _bytePairs.Encode(word, ids, maxTokens);
                }
                else if (_wordPieces is not null)
                {
                    _wordPieces.Encode(word, ids);
                }
                else
                {
                    _unigram!.Encode(word, ids);
                }
            }
        }
    }

    /// <summary>The steps of <c>tokenizer.json</c>, which <c>tokenizer_config.json</c> must not contradict; without the file, those of the
    /// family.</summary>
    private SerializedSteps Steps(TokenizerFiles files, JsonElement? serialized)
    {
        JsonElement? settings = files.ReadObject(TokenizerFiles.Settings);
        if (serialized is not { } root)
        {
            Refuse("do_basic_tokenize", value => value.ValueKind == JsonValueKind.False, "words that are not cut at punctuation");
            Refuse("never_split", value => value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > 0, "words that are not cut");
            Refuse(
                "wordpieces_prefix",
                value => value.ValueKind != JsonValueKind.String || value.GetString() != "##",
                "other pieces than ##"
            );
            if (DistinguishesLeadingSpace)
            {
                return SerializedSteps.ByteLevel(Flag("add_prefix_space") ?? false);
            }

            bool lowers = Flag("do_lower_case") ?? true;
            return SerializedSteps.OfBert(Flag("tokenize_chinese_chars") ?? true, Flag("strip_accents") ?? lowers, lowers);
        }

        var steps = new SerializedSteps(root, files.PathOf(TokenizerFiles.Serialized));
        if (DistinguishesLeadingSpace && steps.Splitters.Count(step => step.Type == "ByteLevel") != 1)
        {
            throw new NotSupportedException(
                $"{files.PathOf(TokenizerFiles.Serialized)}: its pre_tokenizer has "
                    + $"{steps.Splitters.Count(step => step.Type == "ByteLevel")} steps of type 'ByteLevel'; BPE is supported with one."
            );
        }
        if (DistinguishesLeadingSpace && steps.Splitters[^1].Type != "ByteLevel")
        {
            throw new NotSupportedException(
                $"{files.PathOf(TokenizerFiles.Serialized)}: the pre-tokenizer '{steps.Splitters[^1].Type}' comes after 'ByteLevel', "
                    + "which is not supported."
            );
        }

        SerializedStep? bert = steps
            .Normalizers.Where(step => step.Type == "BertNormalizer")
            .Select(step => (SerializedStep?)step)
            .FirstOrDefault();
        bool lowersText = steps.Normalizers.Any(step => step.Type == "Lowercase") || bert?.Flag("lowercase", true) == true;
        Agree("do_lower_case", lowersText, "lowercase");
        if (bert is { } normalizer)
        {
            Agree("strip_accents", normalizer.OptionalFlag("strip_accents") ?? normalizer.Flag("lowercase", true), "strip_accents");
            Agree("tokenize_chinese_chars", normalizer.Flag("handle_chinese_chars", true), "handle_chinese_chars");
        }
        if (DistinguishesLeadingSpace)
        {
            Agree("add_prefix_space", steps.Splitters[^1].Flag("add_prefix_space", true), "add_prefix_space");
        }

        return steps;

        bool? Flag(string name) =>
            TokenizerFiles.Find(settings, name) switch
            {
                null => null,
                { ValueKind: JsonValueKind.True or JsonValueKind.False } value => value.GetBoolean(),
                { } value => throw files.Malformed(TokenizerFiles.Settings, $"{name} is {value.GetRawText()}; it should be true or false"),
            };

        void Agree(string name, bool does, string step)
        {
            if (Flag(name) is { } wanted && wanted != does)
            {
                throw new NotSupportedException(
                    $"{files.PathOf(TokenizerFiles.Settings)} says {name} {(wanted ? "true" : "false")}, and "
                        + $"{TokenizerFiles.Serialized} does the opposite ({step}): make them agree."
                );
            }
        }

        void Refuse(string name, Predicate<JsonElement> asksForMore, string meaning)
        {
            if (TokenizerFiles.Find(settings, name) is { } value && asksForMore(value))
            {
                throw new NotSupportedException(
                    $"{files.PathOf(TokenizerFiles.Settings)}: {name} is {value.GetRawText()}, which asks for {meaning}; that is not "
                        + "supported."
                );
            }
        }
    }

    private string UnknownWord(TokenizerFiles files, SerializedStep? model)
    {
        string file = files.ReadSerialized() is null ? TokenizerFiles.WordPieces : TokenizerFiles.Serialized;
        string unknown =
            model?.Text("unk_token")
            ?? _special.Unknown
            ?? throw files.Malformed(file, "it has no '[UNK]', which words outside the vocabulary become");
        return _vocabulary.ContainsKey(unknown)
            ? unknown
            : throw files.Malformed(file, $"its unk_token '{unknown}' is not in the vocabulary");
    }

    private SequenceFormat FormatOf(TokenizerFiles files, JsonElement? serialized)
    {
        JsonElement? settings = files.ReadObject(TokenizerFiles.Settings);
        string? tokenizerClass = TokenizerChoice.ClassOf(files);
        bool isFamily = _special.Cls is not null || _unigram is not null;
        bool? start = Flag("add_bos_token"),
            end = Flag("add_eos_token");
        if ((start ?? end) is not null && (TokenizerChoice.IsGeneric(tokenizerClass) || !isFamily))
        {
            return SequenceFormat.Around(
                start == true ? IdOf(_special.Bos ?? _special.Eos, "start") : null,
                end == true ? IdOf(_special.Eos, "end") : null
            );
        }

        if (serialized is { } root && SequenceFormat.Read(root, files.PathOf(TokenizerFiles.Serialized)) is { } own)
        {
            return own;
        }

        if (serialized is not null && TokenizerChoice.IsGeneric(tokenizerClass))
        {
            return SequenceFormat.Bare;
        }

        // MPNet's word pieces stand between RoBERTa's tokens.
        bool isBert =
            _kind == TokenizerKind.WordPieces && TokenizerChoice.ModelType(files) != "mpnet" && tokenizerClass != "MPNetTokenizer";
        return _special.Sep is not { } sep ? SequenceFormat.Bare
            : _special.Cls is not { } cls
                ? _unigram is null ? SequenceFormat.Bare
                    : SequenceFormat.Ends(_vocabulary[sep])
            : isBert ? SequenceFormat.Bert(_vocabulary[cls], _vocabulary[sep])
            : SequenceFormat.Roberta(_vocabulary[cls], _vocabulary[sep]);

        bool? Flag(string name) =>
            TokenizerFiles.Find(settings, name) is { ValueKind: JsonValueKind.True or JsonValueKind.False } value
                ? value.GetBoolean()
                : null;
    }

    private int IdOf(string? token, string role) =>
        token is null ? throw new InvalidOperationException($"The vocabulary in '{_folder}' has no {role} token.") : _vocabulary[token];

    private static string WellFormed(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
            {
                continue;
            }

            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
            {
                i++;
            }
            else
            {
                return ReplaceLoneSurrogates(text);
            }
        }
        return text;
    }

    private static string ReplaceLoneSurrogates(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            result.Append(rune);
        }

        return result.ToString();
    }
}
