namespace SkillLoc.Models.Tokenization;

/// <summary>Determines the tokenizer of a checkpoint folder from its files, which must agree.</summary>
internal static class TokenizerChoice
{
    // The classes that do what their family's tokenizer does; TokenizersBackend and PreTrainedTokenizer do what tokenizer.json says.
    private static readonly Dictionary<string, TokenizerKind?> Classes = new(StringComparer.Ordinal)
    {
        ["BertTokenizer"] = TokenizerKind.WordPieces,
        ["DistilBertTokenizer"] = TokenizerKind.WordPieces,
        ["ElectraTokenizer"] = TokenizerKind.WordPieces,
        ["MPNetTokenizer"] = TokenizerKind.WordPieces,
        ["RobertaTokenizer"] = TokenizerKind.BytePairs,
        ["GPT2Tokenizer"] = TokenizerKind.BytePairs,
        ["T5Tokenizer"] = TokenizerKind.Unigram,
        ["XLMRobertaTokenizer"] = TokenizerKind.Unigram,
        ["CamembertTokenizer"] = TokenizerKind.Unigram,
        ["TokenizersBackend"] = null,
        ["PreTrainedTokenizer"] = null,
    };

    /// <summary>The architecture in <c>config.json</c>; null if there is none.</summary>
    public static string? ModelType(TokenizerFiles files) => TokenizerFiles.Text(files.ReadObject("config.json"), "model_type");

    /// <summary>The class that <c>tokenizer_config.json</c>, else <c>config.json</c>, names, without the suffix of fast tokenizers; null if
    /// there is none.</summary>
    public static string? ClassOf(TokenizerFiles files)
    {
        string? name =
            TokenizerFiles.Text(files.ReadObject(TokenizerFiles.Settings), "tokenizer_class")
            ?? TokenizerFiles.Text(files.ReadObject("config.json"), "tokenizer_class");
        return name?.EndsWith("Fast", StringComparison.Ordinal) == true ? name[..^"Fast".Length] : name;
    }

    /// <summary>Whether only <c>tokenizer.json</c> determines the special tokens around a text.</summary>
    public static bool IsGeneric(string? tokenizerClass) => tokenizerClass is "TokenizersBackend" or "PreTrainedTokenizer";

    /// <summary>Returns the kind of the folder's tokenizer.</summary>
    /// <exception cref="NotSupportedException">The kind is not supported or does not match the model; the message names the
    /// setting.</exception>
    public static TokenizerKind Of(TokenizerFiles files, string folder)
    {
        string? model = ModelType(files);
        if (TokenizerFiles.Find(TokenizerFiles.Find(files.ReadObject(TokenizerFiles.Settings), "auto_map"), "AutoTokenizer") is { } code)
        {
            throw new NotSupportedException(
                $"{files.PathOf(TokenizerFiles.Settings)}: auto_map names the Python code {code.GetRawText()}, which is not supported."
            );
        }

        string? tokenizerClass = ClassOf(files);
        TokenizerKind? said = null;
        if (tokenizerClass is not null && !Classes.TryGetValue(tokenizerClass, out said))
        {
            throw new NotSupportedException(
                $"{files.PathOf(TokenizerFiles.Settings)}: tokenizer_class is '{tokenizerClass}', which is not supported; supported "
                    + $"are {string.Join(", ", Classes.Keys)} (Fast or not). "
                    + $"If {TokenizerFiles.Serialized} says all that it does, 'PreTrainedTokenizerFast' is as right."
            );
        }

        TokenizerKind? serialized = files.ReadSerialized()?.Kind;
        if (said is not null && serialized is not null && said != serialized)
        {
            throw new NotSupportedException(
                $"'{folder}': tokenizer_class is '{tokenizerClass}', and the model of {TokenizerFiles.Serialized} is of another kind; "
                    + "make them agree."
            );
        }

        TokenizerKind? kind =
            model == "t5" && files.Has(TokenizerFiles.SentencePiece) ? TokenizerKind.Unigram : said ?? serialized ?? ByFiles(files, model);
        if (kind is null || !Fits(model, kind.Value, files))
        {
            string found = string.Join(", ", files.Paths.Select(Path.GetFileName));
            throw new NotSupportedException(
                $"'{folder}' holds "
                    + $"{(found.Length > 0 ? found : "no tokenizer files")}{(model is null ? "" : $" and a model of type '{model}'")}"
                    + $"{(tokenizerClass is null ? "" : $" with the tokenizer_class '{tokenizerClass}'")}; "
                    + "supported are vocab.json with merges.txt (RoBERTa, GPT-2), vocab.txt (BERT, DistilBERT, ELECTRA, MPNet), "
                    + "spiece.model (T5) and sentencepiece.bpe.model (XLM-RoBERTa, CamemBERT), or any of them in tokenizer.json."
            );
        }
        return kind.Value;
    }

    private static TokenizerKind? ByFiles(TokenizerFiles files, string? model) =>
        model switch
        {
            // What is missing is said when it is read.
            "roberta" when files.Has(TokenizerFiles.WordPieces) && !files.Has(TokenizerFiles.Vocabulary) => TokenizerKind.WordPieces,
            "roberta" or "gpt2" => TokenizerKind.BytePairs,
            "bert" or "distilbert" or "electra" or "mpnet" => TokenizerKind.WordPieces,
            "xlm-roberta" or "camembert" when files.Has(TokenizerFiles.FairseqSentencePiece) => TokenizerKind.Unigram,
            "t5" or null when files.Has(TokenizerFiles.SentencePiece) => TokenizerKind.Unigram,
            null when files.Has(TokenizerFiles.FairseqSentencePiece) => TokenizerKind.Unigram,
            null when files.Has(TokenizerFiles.Vocabulary) || files.Has(TokenizerFiles.Merges) => TokenizerKind.BytePairs,
            null when files.Has(TokenizerFiles.WordPieces) => TokenizerKind.WordPieces,
            _ => null,
        };

    private static bool Fits(string? model, TokenizerKind kind, TokenizerFiles files) =>
        model switch
        {
            "gpt2" => kind == TokenizerKind.BytePairs,
            "t5" => kind == TokenizerKind.Unigram && (files.Has(TokenizerFiles.SentencePiece) || files.ReadSerialized() is not null),
            null => kind != TokenizerKind.Unigram || HasPieces(files),
            "xlm-roberta" or "camembert" => kind != TokenizerKind.Unigram || HasPieces(files),
            "bert" or "roberta" or "distilbert" or "electra" or "mpnet" => kind != TokenizerKind.Unigram,
            _ => false,
        };

    private static bool HasPieces(TokenizerFiles files) =>
        files.Has(TokenizerFiles.SentencePiece) || files.Has(TokenizerFiles.FairseqSentencePiece) || files.ReadSerialized() is not null;
}

/// <summary>The algorithm of a checkpoint's tokenizer.</summary>
internal enum TokenizerKind
{
    /// <summary>Byte-level BPE (RoBERTa, GPT-2).</summary>
    BytePairs,

    /// <summary>WordPiece (BERT, DistilBERT, ELECTRA, MPNet).</summary>
    WordPieces,

    /// <summary>SentencePiece's unigram model (T5, XLM-RoBERTa, CamemBERT).</summary>
    Unigram,
}
