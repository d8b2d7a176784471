using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Merging;

/// <summary>
/// AdaMerging (Yang et al. 2024, arXiv:2310.02575): task arithmetic with a weight for each model and layer, which steps of Adam choose so
/// that the merged model's predictions on unlabelled rows of all tasks have little entropy (methods, E.9).
/// </summary>
public static class AdaMerging
{
    private const double FirstDecay = 0.9;
    private const double SecondDecay = 0.999;
    private const double Epsilon = 1e-8;

    /// <summary>Finds the weights.</summary>
    /// <param name="baseCheckpoint">The folder of the model that all were tuned from.</param>
    /// <param name="tasks">The models and their rows, at least one. Models are changed meanwhile, and as before afterwards.</param>
    /// <param name="options">How weights are found; null for the defaults.</param>
    /// <returns>The recipe of the merge, and how the entropy fell.</returns>
    /// <exception cref="ArgumentException">There is no task, one has no rows, or a model has a tuning method or other parameters than the
    /// base.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static AdaMergingResult Run(string baseCheckpoint, IReadOnlyList<AdaMergingTask> tasks, AdaMergingOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(baseCheckpoint);
        ArgumentNullException.ThrowIfNull(tasks);
        options ??= new();
        ArgumentOutOfRangeException.ThrowIfNegative(options.Steps);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.BatchSize, 1);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.LearningRate);
        if (tasks.Count == 0)
        {
            throw new ArgumentException("There is no task.", nameof(tasks));
        }

        if (tasks.FirstOrDefault(task => task.Rows.Count == 0) is { } empty)
        {
            throw new ArgumentException($"The task of {empty.Model} has no rows.", nameof(tasks));
        }

        using DisposeScope scope = NewDisposeScope();
        MovedParameter[] moved = [.. Moved(baseCheckpoint, tasks)];
        string[] groups = [.. moved.Select(parameter => parameter.Group).Distinct(StringComparer.Ordinal)];
        double[] weights = new double[tasks.Count * groups.Length],
            first = new double[weights.Length],
            second = new double[weights.Length];
        Array.Fill(weights, options.InitialWeight);
        var entropies = new List<double>();
        bool[][] trained = [.. tasks.Select(task => moved.Select(parameter => parameter.Of(task).requires_grad).ToArray())];
        try
        {
            for (int step = 1; step <= options.Steps; step++)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                double[] gradients = new double[weights.Length];
                double entropy = 0;
                Set(tasks, moved, groups, weights);
                foreach (AdaMergingTask task in tasks)
                {
                    entropy += Add(task, moved, groups, gradients, step, options) / tasks.Count;
                }

                entropies.Add(entropy);
                for (int i = 0; i < weights.Length; i++)
                {
                    first[i] = (FirstDecay * first[i]) + ((1 - FirstDecay) * gradients[i]);
                    second[i] = (SecondDecay * second[i]) + ((1 - SecondDecay) * gradients[i] * gradients[i]);
                    double mean = first[i] / (1 - Math.Pow(FirstDecay, step)),
                        size = Math.Sqrt(second[i] / (1 - Math.Pow(SecondDecay, step))) + Epsilon;
                    weights[i] -= options.LearningRate * mean / size;
                }
            }
        }
        finally
        {
            using IDisposable noGradients = no_grad();
            for (int i = 0; i < tasks.Count; i++)
            {
                for (int j = 0; j < moved.Length; j++)
                {
                    Parameter parameter = moved[j].Of(tasks[i]);
                    parameter.requires_grad = false;
                    parameter.copy_(moved[j].Own[i]);
                    parameter.requires_grad = trained[i][j];
                }
            }
        }

        return new(Recipe(baseCheckpoint, tasks, groups, weights), entropies);
    }

    /// <summary>The parameters that any model has moved, with each model's values and differences.</summary>
    private static IEnumerable<MovedParameter> Moved(string baseCheckpoint, IReadOnlyList<AdaMergingTask> tasks)
    {
        using IDisposable noGradients = no_grad();
        using OpenMergeModel basis = MergeModel.At(baseCheckpoint).Open();
        foreach (string name in tasks[0].Classifier.Backbone.Parameters.Keys)
        {
            if (basis.Find(name) is not { } stored)
            {
                throw new ArgumentException($"{baseCheckpoint} has no tensor '{name}', which {tasks[0].Model} has.", nameof(tasks));
            }

            Tensor start = basis.Weights.Read(stored, ScalarType.Float32);
            Tensor[] own =
            [
                .. tasks.Select(task =>
                    task.Classifier.Backbone.Parameters.TryGetValue(name, out Parameter? value) && value.shape.SequenceEqual(start.shape)
                        ? value.detach().clone()
                        : throw new ArgumentException($"{task.Model} has no parameter '{name}' of the base's shape.", nameof(tasks))
                ),
            ];
            Tensor[] differences = [.. own.Select(value => value.to(ScalarType.Float32).cpu().sub(start))];
            if (differences.Any(difference => Number(difference.abs().max()) > 0))
            {
                string common = StoredNames.Common(name);
                var place = ParameterPlace.Of(common);
                yield return new(name, place.Region == ParameterRegion.Layer ? place.BlockIn(common) + "." : "", start, own, differences);
            }
        }
    }

    /// <summary>Puts the merged model in every task's.</summary>
    private static void Set(IReadOnlyList<AdaMergingTask> tasks, MovedParameter[] moved, string[] groups, double[] weights)
    {
        using IDisposable noGradients = no_grad();
        foreach (MovedParameter parameter in moved)
        {
            using DisposeScope one = NewDisposeScope();
            int group = Array.IndexOf(groups, parameter.Group);
            Tensor value = parameter.Base.clone();
            for (int i = 0; i < parameter.Differences.Length; i++)
            {
                value.Add_(parameter.Differences[i], weights[(i * groups.Length) + group]);
            }

            foreach (AdaMergingTask task in tasks)
            {
                Parameter target = parameter.Of(task);
                target.requires_grad = false;
                target.copy_(value);
                target.requires_grad = true;
            }
        }
    }

    /// <summary>Adds the gradients of a task's entropy.</summary>
    private static double Add(
        AdaMergingTask task,
        MovedParameter[] moved,
        string[] groups,
        double[] gradients,
        int step,
        AdaMergingOptions options
    )
    {
        using DisposeScope scope = NewDisposeScope();
        int count = Math.Min(options.BatchSize, task.Rows.Count),
            start = (step - 1) * count;
        using TokenBatch batch = task.Classifier.Batch([.. Enumerable.Range(start, count).Select(row => task.Rows[row % task.Rows.Count])]);
        Tensor logs = F.log_softmax(task.Classifier.Logits(batch).to(ScalarType.Float32), -1);
        Tensor entropy = logs.exp().mul(logs).sum(-1).mean().negative();
        entropy.backward();
        using IDisposable noGradients = no_grad();
        foreach (MovedParameter parameter in moved)
        {
            Parameter value = parameter.Of(task);
            using Tensor? gradient = value.grad;
            if (gradient is null)
            {
                continue;
            }

            int group = Array.IndexOf(groups, parameter.Group);
            using Tensor here = gradient.to(ScalarType.Float32).cpu();
            for (int i = 0; i < parameter.Differences.Length; i++)
            {
                gradients[(i * groups.Length) + group] += Number(parameter.Differences[i].mul(here).sum());
            }

            value.grad = null;
        }

        return Number(entropy);
    }

    private static MergeRecipe Recipe(string baseCheckpoint, IReadOnlyList<AdaMergingTask> tasks, string[] groups, double[] weights) =>
        new()
        {
            Method = "task_arithmetic",
            BaseModel = baseCheckpoint,
            Models =
            [
                .. tasks.Select(
                    (task, i) =>
                        new MergeInput(task.Model)
                        {
                            Parameters = new Dictionary<string, MergeSetting>(StringComparer.Ordinal)
                            {
                                // What is in no layer has the entry without a filter, which must be the last.
                                ["weight"] = MergeSetting.ByName([
                                    .. groups
                                        .Select(
                                            (group, j) => new MergeEntry(group.Length == 0 ? null : group, weights[(i * groups.Length) + j])
                                        )
                                        .OrderBy(entry => entry.Filter is null),
                                    .. groups.Contains("") ? [] : new[] { new MergeEntry(null, 1) },
                                ]),
                            },
                        }
                ),
            ],
        };

    private static double Number(Tensor scalar) => scalar.detach().to(ScalarType.Float64).cpu().data<double>()[0];

    private sealed record MovedParameter(string Name, string Group, Tensor Base, Tensor[] Own, Tensor[] Differences)
    {
        public Parameter Of(AdaMergingTask task) => task.Classifier.Backbone.Parameters[Name];
    }
}

/// <summary>A model whose weights in a merge are found, with rows of its task.</summary>
/// <param name="Model">Where the recipe finds the model.</param>
/// <param name="Classifier">The same model in memory, without a tuning method.</param>
/// <param name="Rows">Rows that it encoded, such as those that it will score; labels are not needed.</param>
public sealed record AdaMergingTask(MergeModel Model, TextClassifier Classifier, IReadOnlyList<EncodedText> Rows);

/// <summary>How AdaMerging finds weights.</summary>
public sealed record AdaMergingOptions
{
    /// <summary>The weight of each model in each layer at the start; 0.3 by default.</summary>
    public double InitialWeight { get; init; } = 0.3;

    /// <summary>Steps of Adam; 500 by default.</summary>
    public int Steps { get; init; } = 500;

    /// <summary>Adam's learning rate, above 0; 1e-3 by default.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Rows of each task in a step, 1 or more; 16 by default.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Ends the search.</summary>
    public CancellationToken CancellationToken { get; init; }
}

/// <summary>What AdaMerging found.</summary>
/// <param name="Recipe">Task arithmetic with the weights, which <see cref="ModelMerge"/> follows.</param>
/// <param name="Entropies">The mean entropy of the tasks' predictions in each step, in nats.</param>
public sealed record AdaMergingResult(MergeRecipe Recipe, IReadOnlyList<double> Entropies);
