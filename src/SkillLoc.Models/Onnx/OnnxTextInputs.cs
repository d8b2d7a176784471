using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Onnx;

/// <summary>Texts become token ids in the graph: a tokenizer's operator, the template's tokens around, and the limit of a row.</summary>
/// <remarks>The operators are those of onnxruntime-extensions, domain <c>ai.onnx.contrib</c>.</remarks>
internal sealed class OnnxTextInputs
{
    private const string Contrib = "ai.onnx.contrib";

    private readonly OnnxModelBuilder _graph;
    private readonly ClassifierSettings _settings;
    private readonly PlainWordPieces? _wordPieces;
    private readonly PlainBytePairs? _bytePairs;
    private readonly PlainUnigrams? _unigrams;
    private readonly RowPart[] _parts;
    private readonly string? _before;

    /// <param name="graph">Where nodes are added.</param>
    /// <param name="settings">The task.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <exception cref="NotSupportedException">No operator does what tokenizer or template do.</exception>
    public OnnxTextInputs(OnnxModelBuilder graph, ClassifierSettings settings, CheckpointTokenizer tokenizer)
    {
        _graph = graph;
        _settings = settings;
        string? problem;
        _wordPieces = tokenizer.WordPieces(out problem);
        _bytePairs = tokenizer.Kind == TokenizerKind.BytePairs ? tokenizer.BytePairs(out problem) : null;
        _unigrams = tokenizer.Kind == TokenizerKind.Unigram ? tokenizer.Unigrams(out problem) : null;
        if (_wordPieces is null && _bytePairs is null && _unigrams is null)
        {
            throw new NotSupportedException(
                $"The tokenizer cannot be in the graph: {problem}. Plain ones of BERT's word pieces, of byte-level BPE and of SentencePiece "
                    + $"can; export with {nameof(OnnxTokenizer)}.{nameof(OnnxTokenizer.Metadata)}."
            );
        }

        switch (settings.CreateEncoder(tokenizer))
        {
            case TemplateEncoder template:
                _parts = [.. template.Parts()];
                break;
            case SequenceEncoder sequence:
                _parts = [.. sequence.Parts(settings.HasTextPair)];
                break;
            case TextToTextEncoder answers:
                _parts = [.. answers.Parts()];
                _before =
                    answers.Before
                    ?? throw new NotSupportedException(
                        $"A task with {nameof(TextToTextTask.Lowercase)} changes letters of a text, which the graph cannot."
                    );
                break;
            default:
                throw new NotSupportedException("A causal model's rows cannot be made in the graph.");
        }

        if (!_parts.Any(part => part.Ids is { Length: > 0 }))
        {
            throw new NotSupportedException("An empty text of a tokenizer without special tokens has no row that the graph could make.");
        }

        if (settings.Truncation != Truncation.Sentences)
        {
            throw new NotSupportedException(
                $"Rows that are cut at their {settings.Truncation} cannot be made in the graph, only with {Truncation.Sentences}."
            );
        }

        // Pieces of lowered texts are the same whatever the first letter is.
        TemplatePiece.Sentence[] sentences = [.. _parts.Select(part => part.Sentence).OfType<TemplatePiece.Sentence>()];
        if (sentences.Any(each => each.DropsLastCharacter || (each.FirstLetter != FirstLetter.AsIs && _wordPieces?.Lowers != true)))
        {
            throw new NotSupportedException($"The template '{settings.Template}' changes letters of a text, which the graph cannot.");
        }

        if (sentences.GroupBy(each => each.Index).Any(same => same.Count() > 1))
        {
            throw new NotSupportedException($"The template '{settings.Template}' has a text twice, which the graph cannot.");
        }
    }

    private int Room => _settings.MaxLength - _parts.Sum(part => part.Ids?.Length ?? 0);

    /// <summary>Adds the inputs, and what makes token ids of them.</summary>
    /// <param name="hasTypes">Whether the model has segments.</param>
    public OnnxInputs Add(bool hasTypes)
    {
        if (Room < 0)
        {
            throw new NotSupportedException($"The template alone is longer than the limit of {_settings.MaxLength} tokens.");
        }

        string axis = _graph.Int64([0]);
        string[] texts = Sentences();
        var ids = new List<string>();
        var types = new List<string>();
        foreach (RowPart part in _parts)
        {
            string own = part.Sentence is { } sentence
                ? texts[sentence.Index]
                : _graph.Int64([.. part.Ids!.Select(id => (long)id)], part.Ids!.Length);
            ids.Add(own);
            types.Add(_graph.Add("Expand", [_graph.Int64([part.Type]), _graph.Add("Shape", [own])]));
        }

        string row = Row(ids);
        string mask = _graph.Add("Expand", [_graph.Int64([1], 1, 1), _graph.Add("Shape", [row])]);
        return new(row, mask, hasTypes ? Row(types) : null, "");

        string Row(List<string> parts) => _graph.Add("Unsqueeze", [_graph.Add("Concat", [.. parts], ("axis", 0L)), axis]);
    }

    /// <summary>The tokens of each text, cut so that the row is within its limit: the longest shrink together.</summary>
    private string[] Sentences()
    {
        string first = Text("Text");
        if (_before is not null)
        {
            // A text-to-text model reads one text, whatever the row has.
            string joined = Joined("Text_named", _before, first);
            if (_settings.HasTextPair)
            {
                joined = Joined("Text_both", joined, Joined("TextPair_spaced", TextToTextEncoder.Between, Text("TextPair")), isText: false);
            }

            return [Cut(Tokens("Text", joined, null), _graph.Int64([Room]))];
        }

        first = Tokens("Text", Spaced(0, first), _settings.Template is null ? null : _settings.FirstSentenceLimit);
        if (!_settings.HasTextPair)
        {
            return [Cut(first, _graph.Int64([Room]))];
        }

        int? limit = _settings.Template is null ? null : _settings.OtherSentenceLimit;
        string second = Tokens("TextPair", Spaced(1, Text("TextPair")), limit);
        (string firstLength, string secondLength) = (_graph.Add("Shape", [first]), _graph.Add("Shape", [second]));
        return [Cut(first, Share(firstLength, secondLength)), Cut(second, Share(secondLength, firstLength))];

        // What the other leaves: a short one all but its length, a long one half.
        string Share(string own, string other)
        {
            bool isFirst = own == firstLength;
            string half = _graph.Int64([Room / 2]);
            string left = _graph.Add("Sub", [_graph.Int64([Room]), _graph.Add("Min", [other, half])]);
            string isShorter = isFirst ? _graph.Add("Not", [_graph.Add("Greater", [own, other])]) : _graph.Add("Less", [own, other]);
            return _graph.Add("Where", [isShorter, half, left]);
        }
    }

    private string Text(string input)
    {
        _graph.Input(input, OnnxType.Text, "1", "1");
        return _graph.Add("Reshape", [input, _graph.Int64([1])]);
    }

    /// <summary>A text with the space that the template puts before it, where the tokenizer tells the difference.</summary>
    private string Spaced(int index, string text)
    {
        bool hasSpace = _parts.Any(part => part.Sentence is { LeadingSpace: true } sentence && sentence.Index == index);
        return hasSpace && _wordPieces is null ? Joined(index == 0 ? "Text_spaced" : "TextPair_spaced", " ", text) : text;
    }

    /// <summary>Two texts as one.</summary>
    /// <param name="output">The name of the result.</param>
    /// <param name="before">The first: a text, or the name of one.</param>
    /// <param name="text">The name of the second.</param>
    /// <param name="isText">Whether the first is a text.</param>
    private string Joined(string output, string before, string text, bool isText = true)
    {
        string first = isText ? _graph.Texts(output + "_before", [before]) : before;
        _graph.AddForeign(Contrib, "StringConcat", "/" + output, [first, text], [output]);
        return output;
    }

    private string Tokens(string input, string text, int? limit)
    {
        string inner =
            _wordPieces is not null ? WordPieces(input, text, _wordPieces)
            : _bytePairs is not null ? BytePairs(input, text, _bytePairs)
            : Unigrams(input, text, _unigrams!);
        return limit is { } most ? Cut(inner, _graph.Int64([most])) : inner;
    }

    private string Unigrams(string input, string text, PlainUnigrams tokenizer)
    {
        int number = 0;
        foreach (TextReplacement replacement in tokenizer.Replacements)
        {
            string output = string.Create(CultureInfo.InvariantCulture, $"{input}_replaced_{number++}");
            string[] operands =
            [
                text,
                _graph.Texts(output + "_pattern", [replacement.Pattern]),
                _graph.Texts(output + "_content", [replacement.Content]),
            ];
            _graph.AddForeign(Contrib, "StringRegexReplace", "/" + output, operands, [output], ("global_replace", 1L));
            text = output;
        }

        // Neither samples, nor tokens around, nor backwards.
        string no = _graph.Add(input + "_no", OnnxType.Bool, [], sizeof(bool), () => [0]);
        string[] inputs = [text, _graph.Scalar(0), _graph.Scalar(0f), no, no, no];
        string[] outputs = [$"{input}_pieces", $"{input}_rows"];
        _graph.AddForeign(Contrib, "SentencepieceTokenizer", "/" + outputs[0], inputs, outputs, ("model", tokenizer.Model));
        return _graph.Add("Cast", [outputs[0]], ("to", (long)OnnxType.Int64));
    }

    private string BytePairs(string input, string text, PlainBytePairs tokenizer)
    {
        string[] outputs = [$"{input}_ids", $"{input}_mask"];
        _graph.AddForeign(
            Contrib,
            "GPT2Tokenizer",
            "/" + outputs[0],
            [text],
            outputs,
            ("vocab", tokenizer.Vocabulary),
            ("merges", tokenizer.Merges),
            ("padding_length", -1L)
        );
        return _graph.Add("Reshape", [outputs[0], _graph.Int64([-1])]);
    }

    private string WordPieces(string input, string text, PlainWordPieces tokenizer)
    {
        string[] outputs = [$"{input}_ids", $"{input}_types", $"{input}_mask"];
        _graph.AddForeign(
            Contrib,
            "BertTokenizer",
            "/" + outputs[0],
            [text],
            outputs,
            ("vocab_file", string.Join('\n', tokenizer.Vocabulary)),
            ("do_lower_case", tokenizer.Lowers ? 1L : 0L),
            ("do_basic_tokenize", 1L),
            ("strip_accents", tokenizer.StripsAccents ? 1L : 0L),
            ("tokenize_chinese_chars", 1L),
            ("unk_token", tokenizer.Unknown),
            ("sep_token", tokenizer.Sep),
            ("cls_token", tokenizer.Cls),
            ("suffix_indicator", "##"),
            ("max_length", -1L)
        );

        // Without the tokens that start and end a sequence.
        return _graph.Add("Slice", [outputs[0], _graph.Int64([1]), _graph.Int64([-1]), _graph.Int64([0])]);
    }

    private string Cut(string tokens, string end) => _graph.Add("Slice", [tokens, _graph.Int64([0]), end, _graph.Int64([0])]);
}
