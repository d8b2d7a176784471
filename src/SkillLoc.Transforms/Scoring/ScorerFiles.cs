using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>Loads text scorers from files.</summary>
internal static class ScorerFiles
{
    /// <summary>Loads a classifier folder, or a base with settings.</summary>
    public static TextScoringTransformer Load(
        string checkpoint,
        ClassifierSettings? settings,
        ScoringColumns? columns,
        torch.Device device,
        TextScoringTransformer? shareWeightsWith
    )
    {
        checkpoint = CheckpointHub.Locate(checkpoint).Reference;
        bool isClassifier = settings is null;
        settings ??= ClassifierSettings.Load(checkpoint, hasTextPair: columns?.TextPair is not null);
        return Scorer(
            TextClassifier.Create(checkpoint, settings, device, shareWeightsWith: shareWeightsWith?.Classifier, canShare: _ => true),
            columns,
            checkpointFolder: isClassifier ? checkpoint : null,
            baseCheckpoint: isClassifier ? null : checkpoint
        );
    }

    /// <summary>Loads a base with a graft or tuned weights.</summary>
    /// <exception cref="InvalidDataException">The file is neither, is damaged, or was made for another base; the message names
    /// it.</exception>
    public static TextScoringTransformer LoadAdapterOrGraft(
        string checkpoint,
        string adapterOrGraft,
        ScoringColumns? columns,
        torch.Device device,
        TextScoringTransformer? shareWeightsWith
    )
    {
        checkpoint = CheckpointHub.Locate(checkpoint).Reference;
        string? format;
        using (var file = SafetensorsFile.Open(adapterOrGraft))
        {
            format = file.Metadata.GetValueOrDefault("format");
        }

        try
        {
            return format switch
            {
                Graft.FileFormat => GraftTransformer.Create(
                    Graft.Load(adapterOrGraft),
                    checkpoint,
                    columns,
                    device,
                    shareWeightsWith: shareWeightsWith
                ),
                TunedWeights.FileFormat => Scorer(
                    TextClassifier.LoadTuned(checkpoint, adapterOrGraft, device, shareWeightsWith: shareWeightsWith?.Classifier),
                    columns,
                    baseCheckpoint: checkpoint
                ),
                _ => throw new InvalidDataException(
                    $"its metadata's format is '{format}'; a graft's is '{Graft.FileFormat}', and that of tuned weights "
                        + $"'{TunedWeights.FileFormat}'."
                ),
            };
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{adapterOrGraft} with the base {checkpoint}: {error.Message}", error);
        }
    }

    /// <summary>Makes a scorer of a classifier, which it takes over.</summary>
    public static TextScoringTransformer Of(TextClassifier classifier, ScoringColumns? columns) => Scorer(classifier, columns);

    private static TextScoringTransformer Scorer(
        TextClassifier classifier,
        ScoringColumns? columns,
        string? checkpointFolder = null,
        string? baseCheckpoint = null
    )
    {
        try
        {
            columns ??= new ScoringColumns { TextPair = classifier.Settings.HasTextPair ? "TextPair" : null };
            return new(classifier, columns, checkpointFolder, baseCheckpoint);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }
}
