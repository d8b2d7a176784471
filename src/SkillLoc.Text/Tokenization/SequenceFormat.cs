using System.Text.Json;

namespace SkillLoc.Models.Tokenization;

/// <summary>The special tokens around a text and between two of a pair, as inserted by the post-processor of a checkpoint's
/// tokenizer.</summary>
/// <param name="Single">The parts of a single text.</param>
/// <param name="Pair">The parts of a pair.</param>
internal sealed record SequenceFormat(IReadOnlyList<SequenceFormat.Part> Single, IReadOnlyList<SequenceFormat.Part> Pair)
{
    /// <summary>A part of a sequence.</summary>
    /// <param name="Id">A special token; null for a text.</param>
    /// <param name="IsSecond">Whether it is the second text.</param>
    /// <param name="Type">The segment.</param>
    internal readonly record struct Part(int? Id, bool IsSecond, int Type)
    {
        public static Part First { get; } = new(null, false, 0);

        public static Part Second(int type) => new(null, true, type);

        public static Part Special(int id, int type = 0) => new(id, false, type);
    }

    /// <summary>No special tokens.</summary>
    public static SequenceFormat Bare { get; } = new([Part.First], [Part.First, Part.Second(1)]);

    /// <summary>The format of BERT.</summary>
    public static SequenceFormat Bert(int cls, int sep) =>
        new(
            [Part.Special(cls), Part.First, Part.Special(sep)],
            [Part.Special(cls), Part.First, Part.Special(sep), Part.Second(1), Part.Special(sep, 1)]
        );

    /// <summary>The format of RoBERTa, with two separators between the texts of a pair.</summary>
    public static SequenceFormat Roberta(int cls, int sep) =>
        new(
            [Part.Special(cls), Part.First, Part.Special(sep)],
            [Part.Special(cls), Part.First, Part.Special(sep), Part.Special(sep), Part.Second(0), Part.Special(sep)]
        );

    /// <summary>The format of T5: an end token after each text.</summary>
    public static SequenceFormat Ends(int end) =>
        new([Part.First, Part.Special(end)], [Part.First, Part.Special(end), Part.Second(0), Part.Special(end)]);

    /// <summary>Optional start and end tokens around each text.</summary>
    public static SequenceFormat Around(int? start, int? end)
    {
        Part[] single = [.. Special(start, 0), Part.First, .. Special(end, 0)];
        return new(single, [.. single, .. Special(start, 1), Part.Second(1), .. Special(end, 1)]);

        static Part[] Special(int? id, int type) => id is { } token ? [Part.Special(token, type)] : [];
    }

    /// <summary>Reads the post-processor of <c>tokenizer.json</c>; null if there is none.</summary>
    /// <param name="root">The file.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">A setting is missing or invalid.</exception>
    /// <exception cref="NotSupportedException">The post-processor is of another kind.</exception>
    public static SequenceFormat? Read(JsonElement root, string source)
    {
        if (!root.TryGetProperty("post_processor", out JsonElement processor) || processor.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (processor.ValueKind != JsonValueKind.Object)
        {
            throw new InvalidDataException(
                $"{source}: its post_processor is a JSON {processor.ValueKind}; it should be an object or null."
            );
        }

        // What ByteLevel does there is about offsets alone.
        var steps = new SerializedStep(processor, $"{source}, post_processor")
            .Flatten("processors")
            .Where(step => step.Type != "ByteLevel")
            .ToList();
        return steps.Count switch
        {
            0 => Bare,
            1 => Of(steps[0]),
            _ => throw new NotSupportedException(
                $"{source} has the post-processors {string.Join(", ", steps.Select(step => $"'{step.Type}'"))}, one after another, "
                    + "which is not supported."
            ),
        };
    }

    private static SequenceFormat Of(SerializedStep step)
    {
        switch (step.Type)
        {
            case "BertProcessing":
                step.Only("sep", "cls");
                return Bert(Token("cls"), Token("sep"));
            case "RobertaProcessing":
                step.Only("sep", "cls", "trim_offsets", "add_prefix_space");
                return Roberta(Token("cls"), Token("sep"));
            case "TemplateProcessing":
                step.Only("single", "pair", "special_tokens");
                return new([.. Parts(step, "single")], [.. Parts(step, "pair")]);
            case var other:
                throw new NotSupportedException(
                    $"{step.Source} is of type '{other}'; supported are TemplateProcessing, BertProcessing, RobertaProcessing, "
                        + "ByteLevel and sequences of them."
                );
        }

        // A token and its id.
        int Token(string name) =>
            step.Find(name) is { ValueKind: JsonValueKind.Array } pair && pair.GetArrayLength() == 2 && Id(pair[1]) is { } id
                ? id
                : throw step.Lacks(name);
    }

    private static IEnumerable<Part> Parts(SerializedStep step, string name)
    {
        if (step.Find(name) is not { ValueKind: JsonValueKind.Array } pieces)
        {
            throw step.Lacks(name);
        }

        foreach (JsonElement piece in pieces.EnumerateArray())
        {
            if (
                TokenizerFiles.Find(piece, "Sequence") is { } sequence
                && TokenizerFiles.Text(sequence, "id") is "A" or "B"
                && Type(sequence) is { } type
            )
            {
                yield return new(null, TokenizerFiles.Text(sequence, "id") == "B", type);
            }
            else if (
                TokenizerFiles.Find(piece, "SpecialToken") is { } special
                && TokenizerFiles.Text(special, "id") is { } token
                && Type(special) is { } segment
            )
            {
                foreach (int id in Ids(step, token))
                {
                    yield return Part.Special(id, segment);
                }
            }
            else
            {
                throw step.Lacks(name);
            }
        }

        static int? Type(JsonElement part) => TokenizerFiles.Find(part, "type_id") is { } value ? Id(value) : 0;
    }

    // What a special token of a template stands for: as a rule itself.
    private static List<int> Ids(SerializedStep step, string token)
    {
        if (
            TokenizerFiles.Find(TokenizerFiles.Find(step.Find("special_tokens"), token), "ids")
            is not { ValueKind: JsonValueKind.Array } ids
        )
        {
            throw step.Lacks("special_tokens");
        }

        return [.. ids.EnumerateArray().Select(value => Id(value) ?? throw step.Lacks("special_tokens"))];
    }

    private static int? Id(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0 ? id : null;
}

/// <summary>The special tokens of a vocabulary; null for none.</summary>
internal sealed record SpecialTokens(string? Cls, string? Sep, string? Mask, string? Pad, string? Unknown)
{
    private static readonly SpecialTokens Bert = new("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]");
    private static readonly SpecialTokens Roberta = new("<s>", "</s>", "<mask>", "<pad>", "<unk>");
    private static readonly SpecialTokens Mpnet = new("<s>", "</s>", "<mask>", "<pad>", "[UNK]");
    private static readonly SpecialTokens T5 = new(null, "</s>", null, "<pad>", "<unk>");
    private const string EndOfText = "<|endoftext|>";

    private static readonly string[] Roles = ["cls_token", "sep_token", "mask_token", "pad_token", "unk_token", "bos_token", "eos_token"];
    private static readonly string[] Lists = ["additional_special_tokens", "extra_special_tokens"];

    /// <summary>The token at the start of a text, if <c>tokenizer_config.json</c> adds one.</summary>
    public string? Bos { get; private init; }

    /// <summary>The token at the end of a text, if <c>tokenizer_config.json</c> adds one.</summary>
    public string? Eos { get; private init; }

    /// <summary>The token in the files, else the default of the model family.</summary>
    public static SpecialTokens Find(TokenizerFiles files, IReadOnlyDictionary<string, int> vocabulary, TokenizerKind kind)
    {
        SpecialTokens family =
            kind == TokenizerKind.WordPieces && vocabulary.ContainsKey(Mpnet.Cls!) && vocabulary.ContainsKey(Mpnet.Unknown!) ? Mpnet
            : kind == TokenizerKind.Unigram && !(vocabulary.ContainsKey(Roberta.Cls!) && vocabulary.ContainsKey(Roberta.Mask!)) ? T5
            : vocabulary.ContainsKey(Roberta.Cls!) ? Roberta
            : vocabulary.ContainsKey(EndOfText) ? new SpecialTokens(null, null, null, EndOfText, EndOfText)
            : Bert;
        return new SpecialTokens(
            Spelling("cls_token", family.Cls),
            Spelling("sep_token", family.Sep),
            Spelling("mask_token", family.Mask),
            Spelling("pad_token", family.Pad),
            Spelling("unk_token", family.Unknown)
        )
        {
            Bos = Spelling("bos_token", null),
            Eos = Spelling("eos_token", null),
        };

        string? Spelling(string name, string? usual)
        {
            foreach (JsonElement map in Maps(files))
            {
                if (map.TryGetProperty(name, out JsonElement value) && TextOf(value) is { } text && vocabulary.ContainsKey(text))
                {
                    return text;
                }
            }

            return usual is not null && vocabulary.ContainsKey(usual) ? usual : null;
        }
    }

    /// <summary>The special tokens in the files, whether the vocabulary has them or not.</summary>
    public static HashSet<string> Named(TokenizerFiles files)
    {
        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonElement map in Maps(files))
        {
            named.UnionWith(Roles.Select(role => map.TryGetProperty(role, out JsonElement value) ? TextOf(value) : null).OfType<string>());
            foreach (string list in Lists)
            {
                if (map.TryGetProperty(list, out JsonElement values))
                {
                    named.UnionWith(Texts(values));
                }
            }
        }
        return named;
    }

    /// <summary>The existing special tokens.</summary>
    public IEnumerable<string> All => new[] { Cls, Sep, Mask, Pad, Unknown, Bos, Eos }.OfType<string>();

    private static IEnumerable<JsonElement> Maps(TokenizerFiles files) =>
        new[] { files.ReadObject(TokenizerFiles.SpecialMap), files.ReadObject(TokenizerFiles.Settings) }.OfType<JsonElement>();

    // A list, or, of named ones, an object.
    private static IEnumerable<string> Texts(JsonElement values) =>
        values.ValueKind switch
        {
            JsonValueKind.Array => values.EnumerateArray().Select(TextOf).OfType<string>(),
            JsonValueKind.Object => values.EnumerateObject().Select(entry => TextOf(entry.Value)).OfType<string>(),
            _ => [],
        };

    // Either "<mask>" or { "content": "<mask>", … }.
    private static string? TextOf(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Object
                when value.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.String =>
                content.GetString(),
            _ => null,
        };
}
