using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tasks;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>
/// The state of a saved scorer, stored as text inside an ML.NET model. ML.NET's repository types are closed to other assemblies, so the
/// model contains built-in transformers only: a constant text (this state), a stateless custom mapping that restores the scorer from it,
/// and transformers for the types and names of the new columns.
/// </summary>
internal sealed record SavedScorer
{
    private static readonly JsonSerializerOptions Json = new()
    {
        AllowDuplicateProperties = false,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
    };

    /// <summary>
    /// Restored classifiers by state. Restoring throws <see cref="FileNotFoundException"/> if the checkpoint folder is missing, and
    /// <see cref="InvalidDataException"/> if its weights differ.
    /// </summary>
    public static StateCache<TextClassifier> Restored { get; } = new(state => Read<SavedScorer>(state).LoadInPrecision());

    /// <summary>The checkpoint folder of the classifier or of a graft's base.</summary>
    public required string Folder { get; init; }

    /// <summary>The expected fingerprint of the weights.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The task.</summary>
    public required ClassifierSettings Settings { get; init; }

    /// <summary>The graft file, compressed by Deflate; null if the folder is the classifier.</summary>
    public byte[]? Graft { get; init; }

    /// <summary>Grafts to apply before <see cref="Graft"/>.</summary>
    public IReadOnlyList<byte[]> BaseGrafts { get; init; } = [];

    /// <summary>The arithmetic of scoring.</summary>
    public Precision Precision { get; init; }

    /// <summary>Whether it ran on a GPU; it will again if one is available.</summary>
    public bool Gpu { get; init; }

    /// <summary>The <see cref="PackedCheckpoint.Content"/> of the checkpoint where the model's file holds it; else null.</summary>
    public string? Content { get; init; }

    /// <summary>The text of a state.</summary>
    public static string Write<T>(T state) => JsonSerializer.Serialize(state, Json);

    /// <summary>Reads the state of a saved component.</summary>
    /// <exception cref="InvalidDataException">The state is damaged.</exception>
    public static T Read<T>(string state)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(state, Json) ?? throw new JsonException("It is null.");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NotSupportedException or ArgumentException)
        {
            throw new InvalidDataException(
                $"The saved model's SkillLoc component is damaged, so that it cannot be restored: {error.Message}",
                error
            );
        }
    }

    /// <summary>Compresses a graft for <see cref="Graft"/>.</summary>
    public static byte[] Pack(Graft graft)
    {
        using var packed = new MemoryStream();
        using (var deflate = new DeflateStream(packed, CompressionLevel.SmallestSize))
        {
            graft.Save(deflate);
        }

        return packed.ToArray();
    }

    /// <summary>Decompresses the result of <see cref="Pack"/>.</summary>
    public static Graft Unpack(byte[] packed)
    {
        using var inflate = new DeflateStream(new MemoryStream(packed), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        inflate.CopyTo(bytes);
        return Models.Grafts.Graft.Load(bytes.ToArray(), "the graft inside the model");
    }

    /// <summary>Returns the built-in transformers that contain a state and score with it.</summary>
    public static ITransformer Carrier(ScoringColumns columns, SavedScorer state)
    {
        var ml = new MLContext();
        TaskOutputs outputs = TextTask.Of(state.Settings).Outputs;
        IReadOnlyList<string> labels = outputs.Labels;
        string[] slots =
            labels.Count > 0 ? [.. labels.Select(label => Collides(label, columns) ? $"{columns.Score}.{label}" : label)]
            : outputs.IsScore ? [columns.Score]
            : [];
        List<string> dropped = [CarrierColumns.Text, CarrierColumns.Key, CarrierColumns.State];
        EstimatorChain<ITransformer> chain = new EstimatorChain<ITransformer>().Append<ITransformer>(
            ml.Transforms.CopyColumns(CarrierColumns.Text, columns.Text)
        );
        if (columns.TextPair is not null)
        {
            chain = chain.Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.TextPair, columns.TextPair));
            dropped.Add(CarrierColumns.TextPair);
        }

        chain = chain
            .Append<ITransformer>(ml.Transforms.CustomMapping(new ConstantKeyMapping().GetMapping(), ConstantKeyMapping.Contract))
            .Append<ITransformer>(Constant(ml, CarrierColumns.State, Write(state).AsMemory()));
        if (slots.Length > 0)
        {
            chain = chain.Append<ITransformer>(
                columns.TextPair is null
                    ? ml.Transforms.CustomMapping(new TextScoringMapping().GetMapping(), TextScoringMapping.Contract)
                    : ml.Transforms.CustomMapping(new TextPairScoringMapping().GetMapping(), TextPairScoringMapping.Contract)
            );
            dropped.AddRange([
                CarrierColumns.Scores,
                CarrierColumns.Label,
                CarrierColumns.Labels,
                CarrierColumns.Slot,
                CarrierColumns.SlotScore,
            ]);
        }

        for (int i = 0; i < slots.Length; i++)
        {
            // A custom mapping's vector has no size after loading, and ML.NET's evaluators ask for one: single slots, concatenated, have
            // it.
            chain = chain
                .Append<ITransformer>(Constant(ml, CarrierColumns.Slot, i))
                .Append<ITransformer>(ml.Transforms.CustomMapping(new SlotMapping().GetMapping(), SlotMapping.Contract))
                .Append<ITransformer>(ml.Transforms.CopyColumns(slots[i], CarrierColumns.SlotScore));
        }

        // A regression's one slot is its Score already.
        if (labels.Count > 0)
        {
            IDataView keys = ml.Data.LoadFromEnumerable(labels.Select(label => new LabelRow { Label = label }));
            chain = chain
                .Append<ITransformer>(
                    ml.Transforms.Conversion.MapValueToKey(
                        columns.PredictedLabel,
                        outputs.IsMultiLabel ? CarrierColumns.Labels : CarrierColumns.Label,
                        keyData: keys
                    )
                )
                .Append<ITransformer>(ml.Transforms.Concatenate(columns.Score, slots));
            dropped.AddRange(slots);
        }

        if (outputs.IsText)
        {
            // A mapping of its own, which runs only where somebody reads the text.
            chain = chain
                .Append<ITransformer>(
                    columns.TextPair is null
                        ? ml.Transforms.CustomMapping(new TextWritingMapping().GetMapping(), TextWritingMapping.Contract)
                        : ml.Transforms.CustomMapping(new TextPairWritingMapping().GetMapping(), TextPairWritingMapping.Contract)
                )
                .Append<ITransformer>(ml.Transforms.CopyColumns(columns.PredictedText, CarrierColumns.Written));
            dropped.Add(CarrierColumns.Written);
        }

        return chain.Append<ITransformer>(ml.Transforms.DropColumns([.. dropped])).Fit(EmptyInput(ml, columns));
    }

    /// <summary>A column with a constant value.</summary>
    public static IEstimator<ITransformer> Constant<T>(MLContext ml, string column, T value) =>
        ml.Transforms.Conversion.MapValue(column, [KeyValuePair.Create(0, value)], CarrierColumns.Key);

    private static bool Collides(string label, ScoringColumns columns) =>
        label.Length == 0
        || label == "Label"
        || label == columns.Score
        || label == columns.PredictedLabel
        || label == columns.PredictedText
        || columns.Inputs.Contains(label);

    private static IDataView EmptyInput(MLContext ml, ScoringColumns columns)
    {
        var schema = SchemaDefinition.Create(typeof(InputRow));
        schema[nameof(InputRow.Text)].ColumnName = columns.Text;
        schema[nameof(InputRow.TextPair)].ColumnName = columns.TextPair ?? CarrierColumns.TextPair;
        return ml.Data.LoadFromEnumerable(Array.Empty<InputRow>(), schema);
    }

    private TextClassifier LoadInPrecision()
    {
        TextClassifier classifier = Load();
        if (Precision == Precision.Float32)
        {
            return classifier;
        }

        using (classifier)
        {
            return classifier.Clone(dtype: Precision.ToScalarType());
        }
    }

    private TextClassifier Load()
    {
        string folder = CheckpointStore.Find(Folder, Content);
        TorchRuntime.Require();
        torch.Device device = Gpu && torch.cuda.is_available() ? torch.CUDA : torch.CPU;
        var classifier = TextClassifier.Create(folder, Settings, device);
        try
        {
            if (Graft is null)
            {
                string found = classifier.Fingerprint();
                return found == Fingerprint
                    ? classifier
                    : throw new InvalidDataException(
                        $"The model was saved with the weights of fingerprint {Fingerprint}, and {folder} now holds {found}: "
                            + "restore that folder, or save the model again."
                    );
            }

            GraftTransformer.Apply(classifier, Unpack(Graft), BaseGrafts.Select(Unpack));
            return classifier;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    private sealed class InputRow
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class LabelRow
    {
        public string Label { get; set; } = "";
    }
}

/// <summary>Weak cache of restored models by serialized state, so that models with the same state share one instance.</summary>
/// <typeparam name="T">The type of the restored model.</typeparam>
internal sealed class StateCache<T>(Func<string, T> restore)
    where T : class
{
    private readonly Dictionary<string, WeakReference<T>> _restored = new(StringComparer.Ordinal);

    public T Get(string state)
    {
        lock (_restored)
        {
            if (_restored.TryGetValue(state, out WeakReference<T>? known) && known.TryGetTarget(out T? value))
            {
                return value;
            }

            value = restore(state);
            _restored[state] = new(value);
            return value;
        }
    }
}

/// <summary>The scorer of a loaded model, restored from the state in the first row. Thread-safe.</summary>
internal sealed class RestoredScorer
{
    private sealed record Current(ReadOnlyMemory<char> State, TextClassifier Classifier);

    private Current? _current;

    public void Score(ReadOnlyMemory<char> state, string text, string? pair, ScoredRow output)
    {
        TextClassifier classifier = Restore(state);
        float[] probabilities = classifier.Score([classifier.Encode(text, pair)])[0];
        ClassifierSettings settings = classifier.Settings;
        var scores = new RowScores(probabilities, settings);
        (output.Scores, output.Label, output.Labels) = settings switch
        {
            { ScoreRange: { } range } => ([range.Predict(probabilities)], "", []),
            { IsMultiLabel: true } => (probabilities, "", Array.ConvertAll(scores.PredictedSet, label => settings.Labels[label])),
            _ => (probabilities, scores.Label, []),
        };
    }

    public void Write(ReadOnlyMemory<char> state, string text, string? pair, WrittenRow output)
    {
        TextClassifier classifier = Restore(state);
        output.Text = classifier.Generate([classifier.Encode(text, pair)])[0];
    }

    private TextClassifier Restore(ReadOnlyMemory<char> state)
    {
        Current? current = _current;

        // The state is one constant in every row; where it also lies in one place, this compares nothing.
        if (current is null || !current.State.Span.SequenceEqual(state.Span))
        {
            current = new(state, SavedScorer.Restored.Get(state.ToString()));
            _current = current;
        }

        return current.Classifier;
    }
}
