using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>
/// Merges models into one, tensor by tensor: in memory are at most the tensor of all models, the base's and the result's. The result is a
/// Hugging Face folder whose model card says how it was made and from what.
/// </summary>
public static class ModelMerge
{
    /// <summary>The file in a merged folder that holds the recipe, in mergekit's vocabulary.</summary>
    public const string RecipeFile = "skillloc_merge.yml";

    private const long LargeTensor = 1 << 20;

    /// <summary>Merges models and writes the result.</summary>
    /// <param name="recipe">What is merged and how.</param>
    /// <param name="folder">The folder, made with its parents where missing; an older checkpoint is replaced when the new one is
    /// complete.</param>
    /// <param name="options">What the recipe does not say; null for the defaults.</param>
    /// <returns>What was merged.</returns>
    /// <exception cref="InvalidDataException">The recipe does not fit its method, or the models do not fit one another: the message names
    /// the file, line and key, or the first five differences. Nothing is written.</exception>
    /// <exception cref="ArgumentException">The folder is that of a model that is merged.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static MergeReport Run(MergeRecipe recipe, string folder, MergeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxShardBytes ?? 1, 1);
        using var plan = new MergePlan(recipe);
        CheckTarget(plan, folder);
        OpenMergeModel configured =
            plan.Models.FirstOrDefault(model => model.Config is not null)
            ?? throw recipe.Wrong(recipe.Line, "none of the models is a checkpoint folder, so that the result has no config.json");
        ModelConfig config = plan.Configure(configured.Config!, configured);

        CheckpointFolder.CheckWritable(folder);
        Observe(plan, options);
        MergeReport report = Describe(plan, recipe);
        int done = 0;
        CheckpointFolder.Write(
            folder,
            config,
            plan.Tensors.Count > 0 ? plan.Tensors[0].Info.Dtype : torch.ScalarType.Float32,
            [.. plan.Tensors.Select(tensor => tensor.Info)],
            name => plan.Reference.Folder?.IsOwn(name) == true,
            info =>
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                torch.Tensor merged = Merge(plan, plan.Tensors.First(tensor => tensor.Info.Name == info.Name));
                options.Progress?.Report(new(info.Name, ++done, plan.Tensors.Count));
                return merged;
            },
            plan.TokenizerFiles,
            Texts(plan, report, recipe),
            options.MaxShardBytes
        );
        return report;
    }

    /// <summary>Merges models in memory, one tensor after the other.</summary>
    /// <param name="recipe">What is merged and how.</param>
    /// <param name="options">What the recipe does not say; null for the defaults.</param>
    /// <returns>The tensors of the result in float32, which the caller disposes one by one.</returns>
    /// <exception cref="InvalidDataException">As for <see cref="Run"/>.</exception>
    public static IEnumerable<(string Name, torch.Tensor Value)> Tensors(MergeRecipe recipe, MergeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        return Enumerate(recipe, options ?? new());

        static IEnumerable<(string Name, torch.Tensor Value)> Enumerate(MergeRecipe recipe, MergeOptions options)
        {
            using var plan = new MergePlan(recipe);
            Observe(plan, options);
            foreach (PlannedTensor tensor in plan.Tensors)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                yield return (tensor.Info.Name, Merge(plan, tensor));
            }
        }
    }

    private static torch.Tensor Merge(MergePlan plan, PlannedTensor tensor)
    {
        GiveBackBefore(tensor);
        using MergeTensor loaded = plan.Load(tensor);
        if (tensor.IsCopied)
        {
            loaded[0].CopyTo(loaded.Output);
        }
        else
        {
            plan.Method.Merge(loaded);
        }

        return MergeTensor.Finite(loaded.TakeOutput(), tensor.Info.Name, $"the result of {plan.Method.Name}");
    }

    /// <summary>Before a large tensor is read, returns to the system what earlier ones freed.</summary>
    private static void GiveBackBefore(PlannedTensor next)
    {
        if (next.Info.ByteLength >= LargeTensor)
        {
            FreedMemory.GiveBack();
        }
    }

    private static void Observe(MergePlan plan, MergeOptions options)
    {
        for (int pass = 0; pass < plan.Method.Passes; pass++)
        {
            // In the order of the file, in which they are merged too.
            foreach (PlannedTensor tensor in plan.Tensors.Where(tensor => !tensor.IsCopied))
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                GiveBackBefore(tensor);
                using MergeTensor loaded = plan.Load(tensor);
                plan.Method.Observe(pass, loaded);
            }

            plan.Method.EndPass(pass);
        }
    }

    private static void CheckTarget(MergePlan plan, string folder)
    {
        foreach (OpenMergeModel model in plan.Models)
        {
            foreach (string path in new[] { model.Folder?.Path, model.Source }.OfType<string>())
            {
                if (PathIdentity.IsWithin(folder, path) || (Directory.Exists(path) && PathIdentity.IsWithin(path, folder)))
                {
                    throw new ArgumentException(
                        $"{plan.PlaceOf(model)}'{folder}' holds a model that is merged ('{path}'); write the result to another folder.",
                        nameof(folder)
                    );
                }
            }
        }
    }

    private static MergeReport Describe(MergePlan plan, MergeRecipe recipe) =>
        new(
            plan.Method.Name,
            [
                .. plan.Models.Select(model => new MergedModel(
                    model.Name,
                    CheckpointFingerprint.Compute(model.Tensors.Keys, name => model.Weights.Read(name))
                )),
            ],
            recipe.BaseModel?.Name ?? "",
            plan.Tensors.Count,
            plan.Tensors.Sum(tensor => tensor.Info.Shape.Aggregate(1L, (product, size) => product * size)),
            recipe.Seed
        );

    private static Dictionary<string, string> Texts(MergePlan plan, MergeReport report, MergeRecipe recipe)
    {
        string yaml = MergeRecipeFile.Write(recipe);
        var texts = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["README.md"] = MergeCard.Write(report, plan.Method, recipe, yaml),
            [RecipeFile] = yaml,
        };
        foreach ((string name, string text) in plan.TokenizerTexts())
        {
            texts.Add(name, text);
        }

        // The task, where all models that say one say the same.
        string[] settings =
        [
            .. plan
                .Models.Select(model => model.Folder?.Path)
                .OfType<string>()
                .Select(path => Path.Join(path, ClassifierSettings.FileName))
                .Where(File.Exists)
                .Select(File.ReadAllText)
                .Distinct(StringComparer.Ordinal),
        ];
        if (settings.Length == 1)
        {
            texts.Add(ClassifierSettings.FileName, settings[0]);
        }

        return texts;
    }
}

/// <summary>How a merge runs.</summary>
public sealed record MergeOptions
{
    /// <summary>Receives each tensor when it is merged; null for none.</summary>
    public IProgress<MergeProgress>? Progress { get; init; }

    /// <summary>The most bytes of tensors in a file of weights, unless one tensor alone has more: the result has several files and an index
    /// then, as transformers writes them. Null, the default, writes one file.</summary>
    public long? MaxShardBytes { get; init; }

    /// <summary>Ends the merge; nothing is written then.</summary>
    public CancellationToken CancellationToken { get; init; }
}

/// <summary>How far a merge has come.</summary>
/// <param name="Tensor">The name of the tensor that was merged.</param>
/// <param name="Done">Number of merged tensors.</param>
/// <param name="Total">Number of tensors.</param>
public readonly record struct MergeProgress(string Tensor, int Done, int Total);

/// <summary>What was merged.</summary>
/// <param name="Method">The method's name.</param>
/// <param name="Models">The models that were read, the base first where there is one.</param>
/// <param name="BaseModel">The base's name; empty for none.</param>
/// <param name="Tensors">Number of tensors of the result.</param>
/// <param name="Scalars">Number of scalars of the result.</param>
/// <param name="Seed">The seed.</param>
public sealed record MergeReport(string Method, IReadOnlyList<MergedModel> Models, string BaseModel, int Tensors, long Scalars, int Seed);

/// <summary>A model that was merged.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Fingerprint">The fingerprint of its weights (<see cref="CheckpointFingerprint"/>).</param>
public sealed record MergedModel(string Name, string Fingerprint);
