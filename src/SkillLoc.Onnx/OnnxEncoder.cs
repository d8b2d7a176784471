using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx;

/// <summary>What an exported file's metadata says: the task, and how its rows become tokens.</summary>
internal sealed class OnnxEncoder
{
    private readonly ITextEncoder _encoder;
    private readonly string _source;
    private readonly ScoringSettings? _settings;
    private readonly OnnxEmbeddingModel? _embedding;

    /// <param name="metadata">The metadata.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">It is not what an exported classifier or embedder has.</exception>
    public OnnxEncoder(IReadOnlyDictionary<string, string> metadata, string source)
    {
        _source = source;
        if (metadata.TryGetValue(OnnxMetadata.Embedding, out string? embedding))
        {
            _embedding = OnnxEmbeddingModel.FromJson(embedding, $"{source}, {OnnxMetadata.Embedding}");
        }
        else if (metadata.TryGetValue(OnnxMetadata.Settings, out string? settings))
        {
            _settings = ScoringSettings.Read(settings, $"{source}, {OnnxMetadata.Settings}");
        }
        else
        {
            throw new InvalidDataException(
                $"{source} is neither a classifier nor an embedder that SaveOnnx wrote: its metadata has no '{OnnxMetadata.Settings}' and no "
                    + $"'{OnnxMetadata.Embedding}', and so neither labels nor template nor tokenizer."
            );
        }

        if (!metadata.Keys.Any(key => key.StartsWith(OnnxMetadata.Tokenizer, StringComparison.Ordinal)))
        {
            throw new InvalidDataException(
                $"{source} has no tokenizer in its metadata, but in its graph: ML.NET's OnnxTransformer scores it "
                    + $"({nameof(SkillLocOnnxPipelines.SaveOnnxPipeline)}); for this scorer export without OnnxTokenizer.Embedded."
            );
        }

        Metadata = metadata
            .Where(entry => entry.Key.StartsWith(OnnxMetadata.All, StringComparison.Ordinal))
            .ToDictionary(StringComparer.Ordinal);
        Padding = PaddingOf(metadata, source);
        CheckpointTokenizer tokenizer = TokenizerOf(metadata, source);
        _encoder = _settings is null ? Fitting(() => _embedding!.CreateEncoder(tokenizer), source) : For(_settings, tokenizer, source);
    }

    /// <summary>The metadata that it was made of.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The task, its labels and its prompt.</summary>
    /// <exception cref="InvalidDataException">It is an embedder.</exception>
    public ScoringSettings Settings =>
        _settings
        ?? throw new InvalidDataException(
            $"{_source} is no classifier, but an embedder: {nameof(SkillLocOnnx.LoadOnnxEmbedder)} loads it."
        );

    /// <summary>What it embeds.</summary>
    /// <exception cref="InvalidDataException">It is a classifier.</exception>
    public OnnxEmbeddingModel Embedding =>
        _embedding
        ?? throw new InvalidDataException($"{_source} is no embedder, but a classifier: {nameof(SkillLocOnnx.LoadOnnxScorer)} loads it.");

    /// <summary>The token that rows are padded with.</summary>
    public long Padding { get; }

    /// <summary>Encodes the texts of a row.</summary>
    public EncodedText Encode(string text, string? textPair)
    {
        ArgumentNullException.ThrowIfNull(text);
        return _encoder.Encode(_embedding?.Prompt + text, textPair);
    }

    /// <summary>The token that rows are padded with.</summary>
    /// <exception cref="InvalidDataException">The metadata has none.</exception>
    public static long PaddingOf(IReadOnlyDictionary<string, string> metadata, string source)
    {
        string? padding = metadata.GetValueOrDefault(OnnxMetadata.Padding);
        return long.TryParse(padding, NumberStyles.None, CultureInfo.InvariantCulture, out long id)
            ? id
            : throw new InvalidDataException(
                $"{source}: its metadata's '{OnnxMetadata.Padding}' is '{padding}' and should be a token's id."
            );
    }

    /// <summary>The tokenizer in metadata.</summary>
    /// <exception cref="InvalidDataException">It is damaged or incomplete.</exception>
    public static CheckpointTokenizer TokenizerOf(IReadOnlyDictionary<string, string> metadata, string source)
    {
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach ((string key, string content) in metadata)
        {
            if (key.StartsWith(OnnxMetadata.Tokenizer, StringComparison.Ordinal))
            {
                try
                {
                    files.Add(key[OnnxMetadata.Tokenizer.Length..], Convert.FromBase64String(content));
                }
                catch (FormatException error)
                {
                    throw new InvalidDataException($"{source}: its metadata's '{key}' is not base64.", error);
                }
            }
        }

        try
        {
            return CheckpointTokenizer.Load(files, source);
        }
        catch (Exception error) when (error is ArgumentException or FileNotFoundException or InvalidOperationException)
        {
            throw new InvalidDataException($"{source}: its metadata's tokenizer is incomplete: {error.Message}", error);
        }
    }

    /// <summary>The encoder of a task.</summary>
    /// <exception cref="InvalidDataException">The task's settings do not fit the tokenizer.</exception>
    public static ITextEncoder For(ScoringSettings settings, CheckpointTokenizer tokenizer, string source) =>
        Fitting(() => settings.CreateEncoder(tokenizer), source);

    private static ITextEncoder Fitting(Func<ITextEncoder> create, string source)
    {
        try
        {
            return create();
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"{source}: its settings do not fit the tokenizer: {error.Message}", error);
        }
    }
}
