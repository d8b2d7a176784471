using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Writes models between checkpoints as checkpoints.</summary>
public static class SkillLocPathPoints
{
    /// <summary>
    /// Writes a point of a path as a Hugging Face checkpoint folder, with the labels, prompt, tokenizer and, where the ends' labels differ,
    /// last projection of the end whose task it is. <see cref="SkillLocTransforms.LoadTextScorer"/> and Python read it.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The model at 0: fine-tuned, tuned by a method, or grafted.</param>
    /// <param name="second">The model at 1, of the same architecture, kind of tokenizer and tuning method.</param>
    /// <param name="place">The place, from 0 to 1.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <param name="path">A curve between the two; null takes the straight line.</param>
    /// <param name="task">The end whose task it is on a straight line; a curve has its own.</param>
    /// <exception cref="ArgumentException">The folder is an end's, or the base of one; the curve has other ends; or the ends differ in more
    /// than weights, and the first five differences are named.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The place is not from 0 to 1.</exception>
    /// <exception cref="NotSupportedException">Neurons of a model are perturbed, which no checkpoint holds.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static void SavePathPoint(
        this ConnectivityCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        double place,
        string folder,
        ParameterPath? path = null,
        Endpoint task = Endpoint.First
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ParameterPath.Weights(path?.ControlPoints ?? 0, place);
        if (path is not null && (!ReferenceEquals(path.First, first.Classifier) || !ReferenceEquals(path.Second, second.Classifier)))
        {
            throw new ArgumentException("The path must lead from the first model to the second; it has other ends.", nameof(path));
        }

        CheckTarget(folder, [first, second]);
        using ParameterPath? line = path is null ? new ParameterPath(first.Classifier, second.Classifier, task) : null;
        using TextClassifier interpolated = (path ?? line!).CreateWalker();
        (path ?? line!).MoveTo(interpolated, place);
        interpolated.Save(folder);
    }

    /// <summary>Writes a point of the straight line between two saved models as a checkpoint folder.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The model at 0: a classifier's checkpoint folder, or the file of a graft or of a tuning method's weights. A
    /// Hugging Face classifier, which does not say what it is for, scores single texts; for pairs load the ends with
    /// <see cref="SkillLocTransforms.LoadTextScorer"/>.</param>
    /// <param name="second">The model at 1, of the same architecture, kind of tokenizer and tuning method.</param>
    /// <param name="place">The place, from 0 to 1.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <param name="baseCheckpoint">The base checkpoint folder of ends that are files; null where both are folders.</param>
    /// <param name="task">The end whose task it is.</param>
    /// <inheritdoc cref="SavePathPoint(ConnectivityCatalog, TextScoringTransformer, TextScoringTransformer, double, string, ParameterPath?,
    /// Endpoint)" path="/exception"/>
    /// <exception cref="FileNotFoundException">A folder holds no classifier, or a file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or is for another base.</exception>
    public static void SavePathPoint(
        this ConnectivityCatalog catalog,
        string first,
        string second,
        double place,
        string folder,
        string? baseCheckpoint = null,
        Endpoint task = Endpoint.First
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(first);
        ArgumentException.ThrowIfNullOrEmpty(second);
        ParameterPath.Weights(0, place);
        CheckFolder(folder, first, second, baseCheckpoint);
        CheckpointFolder.CheckWritable(folder);
        using TextScoringTransformer one = Load(first, null),
            other = Load(second, one);
        SavePathPoint(catalog, one, other, place, folder, task: task);

        TextScoringTransformer Load(string end, TextScoringTransformer? shareWeightsWith) =>
            !File.Exists(end) ? catalog.LoadTextScorer(end, shareWeightsWith: shareWeightsWith)
            : baseCheckpoint is null
                ? throw new ArgumentException($"'{end}' is a file: name the base checkpoint that it is for.", nameof(baseCheckpoint))
            : catalog.LoadTextScorer(baseCheckpoint, end, shareWeightsWith: shareWeightsWith);
    }

    /// <summary>Writes a mixture as it is now as a checkpoint folder.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="first">The mixture's first end.</param>
    /// <param name="second">Its second.</param>
    /// <param name="mixture">The mixture.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <exception cref="ArgumentException">The folder is an end's, or the base of one, or the mixture has other ends.</exception>
    /// <exception cref="NotSupportedException">Neurons of a model are perturbed, which no checkpoint holds.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static void SavePathPoint(
        this ConnectivityCatalog catalog,
        TextScoringTransformer first,
        TextScoringTransformer second,
        CheckpointMixture mixture,
        string folder
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentNullException.ThrowIfNull(mixture);
        if (!ReferenceEquals(mixture.First, first.Classifier) || !ReferenceEquals(mixture.Second, second.Classifier))
        {
            throw new ArgumentException("The mixture must be of the first model and the second; it has other ends.", nameof(mixture));
        }

        CheckTarget(folder, [first, second]);
        using TextClassifier interpolated = mixture.CreateWalker();
        mixture.ApplyTo(interpolated);
        interpolated.Save(folder);
    }

    /// <summary>Writes a weighted mean of several models as a checkpoint folder, with the labels, prompt and tokenizer of the
    /// first.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="ends">Two models or more, of the same architecture, kind of tokenizer and tuning method.</param>
    /// <param name="weights">One weight per model, 0 or more; their sum is 1.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <exception cref="ArgumentException">The folder is an end's, or the base of one; there are fewer than two models or not as many
    /// weights; or the ends differ in more than weights, and the first five differences are named.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A weight is negative, or the sum is not 1.</exception>
    /// <exception cref="NotSupportedException">Neurons of a model are perturbed, which no checkpoint holds.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static void SavePathPoint(
        this ConnectivityCatalog catalog,
        IReadOnlyList<TextScoringTransformer> ends,
        IReadOnlyList<double> weights,
        string folder
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(ends);
        CheckpointMean.Check(ends.Count, weights);
        CheckTarget(folder, ends);
        using TextClassifier mean = CheckpointMean.Of([.. ends.Select(end => end.Classifier)], weights);
        mean.Save(folder);
    }

    private static void CheckTarget(string folder, IEnumerable<TextScoringTransformer> ends)
    {
        foreach (TextScoringTransformer end in ends)
        {
            if (end is NeuronPerturbationTransformer)
            {
                throw new NotSupportedException("A checkpoint holds no perturbation of neurons; take the model that is perturbed.");
            }

            CheckpointStore.CheckTarget(folder, end.BaseCheckpoint);
            CheckFolder(folder, end.CheckpointFolder);
        }

        CheckpointFolder.CheckWritable(folder);
    }

    private static void CheckFolder(string folder, params IEnumerable<string?> ends)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (ends.FirstOrDefault(end => end is not null && PathIdentity.Same(folder, end)) is { } same)
        {
            throw new ArgumentException(
                $"'{folder}' is the folder of a model that the point lies between ('{same}'): choose another.",
                nameof(folder)
            );
        }
    }
}

/// <summary>Models of mixtures as transformers.</summary>
public static class SkillLocMixtures
{
    /// <summary>Creates a scoring transformer of a mixture as it is now, which shares nothing with the ends.</summary>
    /// <param name="mixture">The mixture.</param>
    /// <param name="columns">The columns it reads and adds; by default Text, PredictedLabel and Score.</param>
    /// <returns>The transformer; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The task scores pairs and no second text column is named, or the other way round.</exception>
    public static TextScoringTransformer ToTransformer(this CheckpointMixture mixture, ScoringColumns? columns = null)
    {
        ArgumentNullException.ThrowIfNull(mixture);
        return new(mixture.CreateModel(), columns ?? new());
    }
}
