using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
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
        bool isClassifier = settings is null;
        settings ??= ClassifierSettings.Load(checkpoint, hasTextPair: columns?.TextPair is not null);
        string folder = Path.GetFullPath(checkpoint);
        return Scorer(
            TextClassifier.Create(checkpoint, settings, device, shareWeightsWith: shareWeightsWith?.Classifier, canShare: _ => true),
            columns,
            checkpointFolder: isClassifier ? folder : null,
            baseCheckpoint: isClassifier ? null : folder
        );
    }

    /// <summary>Loads a base with a graft or tuned weights.</summary>
    /// <exception cref="InvalidDataException">The file is neither, is damaged, or was made for another base; the message names
    /// it.</exception>
    public static TextScoringTransformer LoadAdapterOrGraft(
        string checkpoint,
        string learnt,
        ScoringColumns? columns,
        torch.Device device,
        TextScoringTransformer? shareWeightsWith
    )
    {
        string? format;
        using (var file = SafetensorsFile.Open(learnt))
        {
            format = file.Metadata.GetValueOrDefault("format");
        }

        try
        {
            return format switch
            {
                Graft.FileFormat => GraftTransformer.Create(Graft.Load(learnt), Path.GetFullPath(checkpoint), columns, device, shareWeightsWith: shareWeightsWith),
                TunedWeights.FileFormat => Scorer(
                    TextClassifier.LoadTuned(checkpoint, learnt, device, shareWeightsWith: shareWeightsWith?.Classifier),
                    columns,
                    baseCheckpoint: Path.GetFullPath(checkpoint)
                ),
                _ => throw new InvalidDataException(
                    $"its metadata's format is '{format}'; a graft's is '{Graft.FileFormat}', and that of tuned weights "
                        + $"'{TunedWeights.FileFormat}'."
                ),
            };
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{learnt} with the base {checkpoint}: {error.Message}", error);
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
