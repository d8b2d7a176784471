using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx;

/// <summary>What an exported file's metadata says: the task, and how its rows become tokens.</summary>
internal sealed class OnnxEncoder
{
    /// <summary>The inputs of an exported graph, the last one only where the model has segments.</summary>
    public static readonly string[] Inputs = ["input_ids", "attention_mask", "token_type_ids"];

    private readonly ITextEncoder _encoder;

    /// <param name="metadata">The metadata.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="InvalidDataException">It is not what an exported classifier has.</exception>
    public OnnxEncoder(IReadOnlyDictionary<string, string> metadata, string source)
    {
        if (!metadata.TryGetValue(OnnxMetadata.Settings, out string? settings))
        {
            throw new InvalidDataException(
                $"{source} is no classifier that SaveOnnx wrote: its metadata has no '{OnnxMetadata.Settings}', and so neither labels nor "
                    + "template nor tokenizer."
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
        Settings = ScoringSettings.Read(settings, $"{source}, {OnnxMetadata.Settings}");
        string? padding = metadata.GetValueOrDefault(OnnxMetadata.Padding);
        if (!long.TryParse(padding, NumberStyles.None, CultureInfo.InvariantCulture, out long id))
        {
            throw new InvalidDataException($"{source}: its metadata's '{OnnxMetadata.Padding}' is '{padding}' and should be a token's id.");
        }

        Padding = id;
        _encoder = Encoder(source);
    }

    /// <summary>The metadata that it was made of.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The task, its labels and its prompt.</summary>
    public ScoringSettings Settings { get; }

    /// <summary>The token that rows are padded with.</summary>
    public long Padding { get; }

    /// <summary>Encodes the texts of a row.</summary>
    public EncodedText Encode(string text, string? textPair) => _encoder.Encode(text, textPair);

    private ITextEncoder Encoder(string source)
    {
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach ((string key, string content) in Metadata)
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
            return Settings.CreateEncoder(CheckpointTokenizer.Load(files, source));
        }
        catch (Exception error) when (error is ArgumentException or FileNotFoundException or InvalidOperationException)
        {
            throw new InvalidDataException($"{source}: its metadata's tokenizer does not fit its settings: {error.Message}", error);
        }
    }
}
