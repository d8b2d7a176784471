using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Grafts;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Catalog methods for mode connectivity.</summary>
public static class SkillLocInterpolationEvaluators
{
    /// <summary>Evaluates models along the straight line between two models.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The first endpoint, at 0: fine-tuned, tuned by a method, or grafted. It is not changed.</param>
    /// <param name="second">The model at 1, of the same architecture, kind of tokenizer and tuning method. It stays as it is.</param>
    /// <param name="validation">Labelled rows, with the text columns of the first model.</param>
    /// <param name="test">Test rows; null for none.</param>
    /// <param name="labelColumnName">The true label, as for <see cref="CheckpointInterpolationEvaluator.Options.LabelColumnName"/>.</param>
    /// <param name="numberOfPoints">Number of points including both endpoints, 2 or more.</param>
    /// <returns>The points by data set.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named), there are fewer
    /// than two points, or a label is not one of the first model.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, or a row cannot be encoded.</exception>
    public static InterpolationMetrics EvaluateInterpolation(
        this ConnectivityCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        IDataView validation,
        IDataView? test = null,
        string labelColumnName = "Label",
        int numberOfPoints = 26
    )
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentNullException.ThrowIfNull(validation);
        return EvaluateInterpolation(
            catalog,
            new CheckpointInterpolationEvaluator.Options
            {
                First = first,
                Second = second,
                Validation = validation,
                Test = test,
                LabelColumnName = labelColumnName,
                NumberOfPoints = numberOfPoints,
            }
        );
    }

    /// <summary>
    /// Evaluates models along the straight line between two saved models. Common weights, such as the base of two adapters, are in memory
    /// once.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The first endpoint, at 0: a classifier's checkpoint folder, or the file of a graft or of tuned weights.</param>
    /// <param name="second">The model at 1, of the same architecture, kind of tokenizer and tuning method.</param>
    /// <param name="validation">Labelled rows, with the columns Text and, for pairs, TextPair. A Hugging Face classifier without settings
    /// scores pairs if TextPair exists.</param>
    /// <param name="test">Test rows; null for none.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder of endpoints that are files; null if both are folders. For endpoints with
    /// different bases, see <see cref="SkillLocTransforms.LoadTextScorer"/>.</param>
    /// <param name="labelColumnName">The true label, as for <see cref="CheckpointInterpolationEvaluator.Options.LabelColumnName"/>.</param>
    /// <param name="numberOfPoints">Number of points including both endpoints, 2 or more.</param>
    /// <returns>The points by data set.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named), there are fewer
    /// than two points, a label is not one of the first model, or a base is missing for a file, or given without files.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="InvalidOperationException">A set has no labelled rows, or a row cannot be encoded.</exception>
    /// <exception cref="FileNotFoundException">A folder is not a classifier, or a file is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">A file or folder does not exist.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or was made for another base.</exception>
    public static InterpolationMetrics EvaluateInterpolation(
        this ConnectivityCatalog catalog,
        string first,
        string second,
        IDataView validation,
        IDataView? test = null,
        string? baseCheckpoint = null,
        string labelColumnName = "Label",
        int numberOfPoints = 26
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(validation);
        if (baseCheckpoint is not null && Directory.Exists(first) && Directory.Exists(second))
        {
            throw new ArgumentException(
                $"'{first}' and '{second}' are folders, which hold whole models, so nothing is put on the base '{baseCheckpoint}'; "
                    + "leave it out.",
                nameof(baseCheckpoint)
            );
        }

        bool hasTextPair = validation.Schema.GetColumnOrNull("TextPair") is not null;
        using TextScoringTransformer one = Load(first, null),
            other = Load(second, one);
        return EvaluateInterpolation(catalog, one, other, validation, test, labelColumnName, numberOfPoints);

        TextScoringTransformer Load(string end, TextScoringTransformer? shareWeightsWith)
        {
            ArgumentException.ThrowIfNullOrEmpty(end);
            return !File.Exists(end)
                    ? catalog.LoadTextScorer(end, settings: ClassifierSettings.Load(end, hasTextPair), shareWeightsWith: shareWeightsWith)
                : baseCheckpoint is null
                    ? throw new ArgumentException($"'{end}' is a file: name the base checkpoint that it is for.", nameof(baseCheckpoint))
                : catalog.LoadTextScorer(baseCheckpoint, end, shareWeightsWith: shareWeightsWith);
        }
    }

    /// <summary>Evaluates models along a straight line or curve between two models.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The points by data set.</returns>
    /// <inheritdoc cref="CheckpointInterpolationEvaluator.Evaluate" path="/exception"/>
    public static InterpolationMetrics EvaluateInterpolation(
        this ConnectivityCatalog catalog,
        CheckpointInterpolationEvaluator.Options options
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return new CheckpointInterpolationEvaluator(catalog.Context, options).Evaluate();
    }

    /// <summary>Evaluates models over the plane through three models.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The model at the origin, whose task is evaluated. It is not changed.</param>
    /// <param name="second">The model that the first axis leads to. It is not changed.</param>
    /// <param name="third">The third model, off the line of the other two. It is not changed.</param>
    /// <param name="data">Labelled rows, with the text columns of the first model.</param>
    /// <param name="numberOfPoints">Number of places along each axis, 2 or more.</param>
    /// <returns>The points, and the three models.</returns>
    /// <inheritdoc cref="LossPlaneEvaluator.Evaluate" path="/exception"/>
    public static LossPlaneMetrics EvaluateLossPlane(
        this ConnectivityCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        TextScoringTransformer third,
        IDataView data,
        int numberOfPoints = 21
    )
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentNullException.ThrowIfNull(third);
        ArgumentNullException.ThrowIfNull(data);
        return EvaluateLossPlane(
            catalog,
            new LossPlaneEvaluator.Options
            {
                First = first,
                Second = second,
                Third = third,
                Data = data,
                NumberOfPoints = numberOfPoints,
            }
        );
    }

    /// <summary>Evaluates models over a plane through three models, or around one along random directions.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options.</param>
    /// <returns>The points, and the models that the plane was made of.</returns>
    /// <inheritdoc cref="LossPlaneEvaluator.Evaluate" path="/exception"/>
    public static LossPlaneMetrics EvaluateLossPlane(this ConnectivityCatalog catalog, LossPlaneEvaluator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return new LossPlaneEvaluator(catalog.Context, options).Evaluate();
    }

    /// <summary>Measures the distance between the weights of two models; heads with the same labels in another order are matched by
    /// name.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">A model.</param>
    /// <param name="second">Another with the same parameters.</param>
    /// <param name="tunedOnly">True compares only tuned parameters and head; otherwise, for example, the common base of two adapters
    /// dominates the result.</param>
    /// <returns>The distances in total and by region.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ (the first five differences are named), or there is nothing to
    /// compare.</exception>
    public static CheckpointDistanceMetrics EvaluateDistance(
        this ConnectivityCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        bool tunedOnly = false
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        return tunedOnly && first.Classifier.TunedParameters.Count + second.Classifier.TunedParameters.Count == 0
            ? throw new ArgumentException(
                "Neither model has a tuning method, so there are no tuned parameters to compare.",
                nameof(tunedOnly)
            )
            : CheckpointDistanceMetrics.Of(CheckpointDistance.Between(first.Classifier, second.Classifier, tunedOnly));
    }

    /// <summary>Measures the distance between the weights of two stored checkpoints, loading one tensor of each at a time. Classifiers with
    /// the same labels in another order are matched by name.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">A checkpoint folder, or a file of tensors: a tuning method's weights (safetensors), or a state dict that
    /// <c>torch.save</c> wrote (<c>.bin</c>, <c>.pt</c>, <c>.pth</c>).</param>
    /// <param name="second">Another with the same tensors.</param>
    /// <returns>The distances in total and by region.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ (the first five differences are named), or a file is a graft, whose
    /// coordinates are its own.</exception>
    /// <exception cref="FileNotFoundException">A folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or holds NaN or infinity.</exception>
    public static CheckpointDistanceMetrics EvaluateDistance(this ConnectivityCatalog catalog, string first, string second)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        if (!File.Exists(first) && !File.Exists(second))
        {
            using CheckpointFolder here = CheckpointFolder.Open(first),
                there = CheckpointFolder.Open(second);
            return CheckpointDistanceMetrics.Of(CheckpointDistance.Between(here, there));
        }

        using ITensorStore one = Open(first),
            other = Open(second);
        return CheckpointDistanceMetrics.Of(CheckpointDistance.Between(one, other));

        static ITensorStore Open(string path)
        {
            if (!File.Exists(path))
            {
                // A folder owns nothing but its weights.
                return CheckpointFolder.Open(path).Weights;
            }

            if (Path.GetExtension(path) is ".bin" or ".pt" or ".pth")
            {
                return TorchCheckpointFile.Open(path);
            }

            var file = SafetensorsFile.Open(path);
            if (file.Metadata.GetValueOrDefault("format") != Graft.FileFormat)
            {
                return file;
            }

            file.Dispose();
            throw new ArgumentException(
                $"'{path}' is a graft: put it on its base with {nameof(SkillLocTransforms.LoadTextScorer)}, and compare models.",
                nameof(path)
            );
        }
    }

    /// <summary>Joins the training rows that a path forgets with their training dynamics.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="set">The training rows along the path.</param>
    /// <param name="dynamics">The training dynamics of the same rows.</param>
    /// <returns>One entry per point.</returns>
    /// <exception cref="ArgumentException">The set's rows have no scores, or one has no training dynamics.</exception>
    public static ForgettingMetrics EvaluateForgetting(this ConnectivityCatalog catalog, InterpolationSet set, TrainingDynamics dynamics)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(dynamics);
        return set.Scores.Count > 0
            ? ForgettingMetrics.Of(
                $"the set '{set.Name}'",
                set.Rows,
                set.Points.Select((point, i) => (InterpolationFiles.Key(point.X), set.Where(i, (_, now) => now == 0))),
                dynamics
            )
            : throw new ArgumentException($"The rows of the set '{set.Name}' have no scores, so none can be forgotten.", nameof(set));
    }

    /// <summary>Does the same from files of SkillLoc or of the paper's code.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="analysisFile">The training rows along the path: <c>train_data_analysis.json</c>, which
    /// <see cref="InterpolationMetrics.Save"/> writes, or <c>valid_data_analysis.json</c>, as in the paper's code.</param>
    /// <param name="cartographyFile">The training dynamics of the same rows, <c>cartography.json</c>.</param>
    /// <returns>One entry per point, in the order of the file.</returns>
    /// <exception cref="ArgumentException">A row has no training dynamics.</exception>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is invalid.</exception>
    public static ForgettingMetrics EvaluateForgetting(this ConnectivityCatalog catalog, string analysisFile, string cartographyFile)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        OrderedDictionary<string, (int[] Wrong, int[] Right)> points = InterpolationFiles.Read(analysisFile);
        return ForgettingMetrics.Of(
            analysisFile,
            points.Values.SelectMany(point => point.Wrong.Concat(point.Right)),
            points.Select(point => (point.Key, point.Value.Wrong)),
            TrainingDynamics.Load(cartographyFile)
        );
    }
}
