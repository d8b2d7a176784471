using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Models.Merging;

/// <summary>What prevents two models from being merged.</summary>
internal static class ModelDifferences
{
    private const int Named = 5;

    // What a forward pass reads beside weights, whose names and shapes tell the rest.
    private static readonly (string Name, Func<ModelConfig, object> Value)[] Architecture =
    [
        ("architecture", config => config.ModelType),
        ("number of attention heads", config => config.Heads),
        ("activation", config => config.HiddenActivation),
        ("epsilon of layer norms", config => config.LayerNormEpsilon),
        ("farthest relative position", config => config.RelativeAttentionMaxDistance),
    ];

    /// <summary>The first problems, and whether there are more.</summary>
    public static string First(IReadOnlyList<string> problems) =>
        $"{string.Join("; ", problems.Take(Named))}{(problems.Count > Named ? $"; and {problems.Count - Named} more" : "")}";

    /// <summary>Throws if tensors have other names or shapes.</summary>
    public static void Check(
        OpenMergeModel first,
        OpenMergeModel second,
        Func<string, bool> ignored,
        Func<string, Exception> error,
        string remedy
    )
    {
        List<string> problems = [];
        IEnumerable<string> names = first.Tensors.Keys.Concat(second.Tensors.Keys.Where(name => first.Find(name) is null));
        foreach (string name in names.Where(name => !ignored(name)))
        {
            TensorInfo? one = Tensor(first, name),
                other = Tensor(second, name);
            if (one is null || other is null)
            {
                problems.Add($"'{name}' is only in {(one is null ? second : first).Name}");
            }
            else if (!one.Shape.SequenceEqual(other.Shape))
            {
                problems.Add($"'{name}' has the shape [{string.Join(", ", one.Shape)}] and [{string.Join(", ", other.Shape)}]");
            }
        }

        if (problems.Count > 0)
        {
            throw error($"{first.Name} and {second.Name} have other tensors ({First(problems)}); take models of one kind, or {remedy}");
        }

        static TensorInfo? Tensor(OpenMergeModel model, string name) => model.Find(name) is { } stored ? model.Tensors[stored] : null;
    }

    /// <summary>Throws if tensors that are merged are missing or have other shapes.</summary>
    public static void Check(IEnumerable<PlannedTensor> tensors, Func<string, Exception> error)
    {
        List<string> problems = [];
        foreach (PlannedTensor tensor in tensors)
        {
            foreach (TensorSource source in tensor.Base is null ? tensor.Sources : tensor.Sources.Append(tensor.Base))
            {
                string? problem =
                    !source.Model.Tensors.TryGetValue(source.Name, out TensorInfo? found) ? "is missing"
                    : found.Shape.SequenceEqual(tensor.Info.Shape) ? null
                    : $"has the shape [{string.Join(", ", found.Shape)}] instead of [{string.Join(", ", tensor.Info.Shape)}]";
                if (problem is not null)
                {
                    problems.Add($"'{source.Name}' of {source.Model.Name} {problem}");
                }
            }
        }

        if (problems.Count > 0)
        {
            throw error("the models do not fit: " + First(problems));
        }
    }

    /// <summary>Throws if the architectures or vocabularies differ.</summary>
    public static void CheckKinds(OpenMergeModel first, OpenMergeModel second, Func<string, Exception> error)
    {
        if (first.Config is not { } one || second.Config is not { } other)
        {
            return;
        }

        List<string> problems =
        [
            .. from property in Architecture
            let values = (One: property.Value(one), Other: property.Value(other))
            where !Equals(values.One, values.Other)
            select FormattableString.Invariant($"the {property.Name} is {values.One} and {values.Other}"),
        ];
        if (problems.Count == 0 && first.Folder is not null && second.Folder is not null && !ReferenceEquals(first.Folder, second.Folder))
        {
            problems = Vocabulary(first.Folder, second.Folder);
        }

        if (problems.Count > 0)
        {
            throw error($"{first.Name} and {second.Name} are not of one kind: {First(problems)}");
        }
    }

    private static List<string> Vocabulary(CheckpointFolder first, CheckpointFolder second)
    {
        if (!HasTokenizer(first) || !HasTokenizer(second))
        {
            return [];
        }

        var one = CheckpointTokenizer.Load(first.Path);
        var other = CheckpointTokenizer.Load(second.Path);
        return one.HasVocabularyOf(other)
            ? []
            :
            [
                .. Enumerable
                    .Range(0, Math.Max(one.VocabularySize, other.VocabularySize))
                    .Where(id => one.Find(id) != other.Find(id))
                    .Select(id => $"token {id} is {Spelled(one.Find(id))} and {Spelled(other.Find(id))}"),
            ];

        static string Spelled(string? token) => token is null ? "none" : $"'{token}'";

        static bool HasTokenizer(CheckpointFolder folder) =>
            folder.Config.IsKnown
            && folder.TokenizerFiles.Any(file =>
                Path.GetFileName(file) is "vocab.json" or "vocab.txt" or "tokenizer.json" or "spiece.model" or "sentencepiece.bpe.model"
            );
    }
}
