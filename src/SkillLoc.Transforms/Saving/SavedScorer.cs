using System.IO.Compression;
using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runtime;
using SkillLoc.Models.Tasks;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>The state of a saved scorer, stored as text inside an ML.NET model; see <see cref="ScorerCarrier"/>.</summary>
internal sealed record SavedScorer
{
    /// <summary>
    /// Restored classifiers by state. Restoring throws <see cref="FileNotFoundException"/> if the checkpoint folder is missing, and
    /// <see cref="InvalidDataException"/> if its weights differ.
    /// </summary>
    public static StateCache<TextClassifier> Restored { get; } = new(state => SavedState.Read<SavedScorer>(state).Load());

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

    /// <summary>Whether it ran on a GPU; it will again if one is available.</summary>
    public bool Gpu { get; init; }

    /// <summary>The <see cref="PackedCheckpoint.Content"/> of the checkpoint where the model's file holds it; else null.</summary>
    public string? Content { get; init; }

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
    public static ITransformer Carrier(ScoringColumns columns, SavedScorer state) =>
        ScorerCarrier.Create(
            columns,
            TextTask.Of(state.Settings).Outputs,
            new Dictionary<string, string>(StringComparer.Ordinal) { [CarrierColumns.State] = SavedState.Write(state) },
            ml =>
                columns.TextPair is null
                    ? ml.Transforms.CustomMapping(new TextScoringMapping().GetMapping(), TextScoringMapping.Contract)
                    : ml.Transforms.CustomMapping(new TextPairScoringMapping().GetMapping(), TextPairScoringMapping.Contract),
            ml =>
                columns.TextPair is null
                    ? ml.Transforms.CustomMapping(new TextWritingMapping().GetMapping(), TextWritingMapping.Contract)
                    : ml.Transforms.CustomMapping(new TextPairWritingMapping().GetMapping(), TextPairWritingMapping.Contract)
        );

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
}

/// <summary>The scorer of a loaded model, restored from the state in the first row. Thread-safe.</summary>
internal sealed class RestoredScorer
{
    private sealed record Current(ReadOnlyMemory<char> State, TextClassifier Classifier);

    private Current? _current;

    public void Score(ReadOnlyMemory<char> state, string text, string? pair, ScoredRow output)
    {
        TextClassifier classifier = Restore(state);
        output.Set(classifier.Score([classifier.Encode(text, pair)])[0], classifier.Settings);
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
