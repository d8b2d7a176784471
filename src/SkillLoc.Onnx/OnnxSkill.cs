using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx;

/// <summary>A graft on a base model: its task, its scalars, and its head as inputs of the graph.</summary>
internal sealed class OnnxSkill : IDisposable
{
    private readonly ITextEncoder _encoder;
    private readonly Dictionary<string, OrtValue> _head = new(StringComparer.Ordinal);

    /// <param name="name">The skill's name.</param>
    /// <param name="graft">The graft.</param>
    /// <param name="file">The base model's file.</param>
    /// <param name="tokenizer">The base model's tokenizer.</param>
    /// <exception cref="InvalidDataException">The graft is for another base, has no task, or one that a set does not score.</exception>
    public OnnxSkill(string name, GraftFile graft, OnnxBaseFile file, CheckpointTokenizer tokenizer)
    {
        Name = name;
        OnnxBaseModel model = file.Model;
        if (graft.Settings.Length == 0)
        {
            throw Wrong("it has no task; right would be a graft from GraftMask");
        }

        var settings = ScoringSettings.Read(graft.Settings, $"the graft of the skill '{name}'");
        Settings = settings with { MaxLength = Math.Min(settings.MaxLength, model.MaxLength) };
        string? wanted = settings.NeedsWords ? model.Fingerprint : model.EncoderFingerprint;
        if (graft.Fingerprint != wanted)
        {
            throw Wrong(
                $"it is for the base model with fingerprint {graft.Fingerprint}, and the base model given has {wanted ?? "no language-model head"}"
            );
        }

        string? refused = settings switch
        {
            { ScoreRange: not null } => "predicts a score",
            { Labels.Count: 0 } => "writes free text",
            { IsMultiLabel: true } => "predicts any number of labels",
            { TextToText: not null } => "scores answers",
            _ => null,
        };
        if (refused is not null)
        {
            throw Wrong(
                $"it {refused}, and a set predicts one label at one place: export it with SaveOnnx, and load it with LoadOnnxScorer"
            );
        }

        _encoder = OnnxEncoder.For(Settings, tokenizer, $"The skill '{name}'");
        Places = PlacesOf(graft, model);
        ScoresName =
            settings.NeedsWords ? OnnxMetadata.WordScores
            : settings.Head == HeadKind.SequenceClassification && model.Dense.Length > 0 ? OnnxMetadata.ClassScores
            : OnnxMetadata.LinearScores;
        long[] words = settings.NeedsWords ? [.. Words(settings, tokenizer).Select(word => (long)word)] : [0];
        _head.Add(OnnxMetadata.Words, OrtValue.CreateTensorValueFromMemory(words, [words.Length]));
        string output = settings.Head == HeadKind.SequenceClassification ? model.Output : "classifier";
        int labels = settings.NeedsWords ? 1 : settings.Labels.Count;
        AddHead(OnnxMetadata.OutputWeight, graft, settings.NeedsWords ? "" : output + ".weight", labels, model.Width);
        AddHead(OnnxMetadata.OutputBias, graft, settings.NeedsWords ? "" : output + ".bias", labels);
        bool isDense = ScoresName == OnnxMetadata.ClassScores;
        AddHead(OnnxMetadata.DenseWeight, graft, isDense ? model.Dense + ".weight" : "", model.Width, model.Width);
        AddHead(OnnxMetadata.DenseBias, graft, isDense ? model.Dense + ".bias" : "", model.Width);
    }

    /// <summary>The skill's name.</summary>
    public string Name { get; }

    /// <summary>The task.</summary>
    public ScoringSettings Settings { get; }

    /// <summary>The scalars by weight of the graph.</summary>
    public IReadOnlyDictionary<string, GraftFile.Part> Places { get; }

    /// <summary>The output with the skill's logits.</summary>
    public string ScoresName { get; }

    /// <summary>Encodes the texts of a row.</summary>
    public EncodedText Encode(string text, string? textPair) => _encoder.Encode(text, textPair);

    /// <summary>An input of the graph that is the skill's.</summary>
    public OrtValue Input(string name) => _head[name];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtValue value in _head.Values)
        {
            value.Dispose();
        }
    }

    private void AddHead(string input, GraftFile graft, string name, params long[] shape)
    {
        // A skill without such a layer gives zeros, whose product nobody reads; GPT-2's projection has no bias.
        GraftFile.HeadWeight? weight = name.Length == 0 ? null : graft.HeadWeights.GetValueOrDefault(name);
        bool isOptional = name.Length == 0 || input == OnnxMetadata.OutputBias;
        if (weight is null ? !isOptional : !weight.Shape.SequenceEqual(shape))
        {
            throw Wrong(
                $"its head has {(weight is null ? "no" : $"[{string.Join(", ", weight.Shape)}] for")} '{name}'; it must be "
                    + $"[{string.Join(", ", shape)}]"
            );
        }

        float[] values = weight?.Values ?? new float[shape.Aggregate(1L, (product, size) => product * size)];
        _head.Add(input, OrtValue.CreateTensorValueFromMemory(values, shape));
    }

    private int[] Words(ScoringSettings settings, CheckpointTokenizer tokenizer)
    {
        try
        {
            Verbalizer words = settings.LabelWords();
            if (settings.AutoregressiveTemplate is null)
            {
                return words.Resolve(tokenizer);
            }

            int[] first = [.. words.Words.Select(word => tokenizer.Encode(word)[0])];
            return settings.OptionScoring != OptionScoring.WholeOption && first.Distinct().Count() == first.Length
                ? first
                : throw Wrong("it scores whole options, which a set does not: export it with SaveOnnx");
        }
        catch (ArgumentException error)
        {
            throw Wrong(error.Message.TrimEnd('.'), error);
        }
    }

    private Dictionary<string, GraftFile.Part> PlacesOf(GraftFile graft, OnnxBaseModel model)
    {
        if (model.Derived.FirstOrDefault(graft.Parts.ContainsKey) is { } derived)
        {
            throw Wrong($"it changes '{derived}', which the graph has in another form: export it with SaveOnnx");
        }

        // What the graph does not read, such as a pooler, changes no score.
        var places = new Dictionary<string, GraftFile.Part>(StringComparer.Ordinal);
        foreach ((string weight, OnnxWeight place) in model.Weights)
        {
            if (graft.Parts.TryGetValue(place.Parameter, out GraftFile.Part? part))
            {
                int[] found = place.PlacesOf(part.Indices);
                float[] values = [.. part.Values.Where((_, i) => found[i] >= 0)];
                if (values.Length > 0)
                {
                    places.Add(weight, new([.. found.Where(scalar => scalar >= 0)], values));
                }
            }
        }

        return places;
    }

    private InvalidDataException Wrong(string what, Exception? cause = null) =>
        new($"The graft of the skill '{Name}' does not fit: {what}.", cause);
}
