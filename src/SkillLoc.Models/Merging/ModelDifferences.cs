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
    /// <param name="first">A model.</param>
    /// <param name="second">Another one.</param>
    /// <param name="ignored">Whether a tensor is not compared.</param>
    /// <param name="hasOtherRows">Whether a tensor may have another number of rows.</param>
    /// <param name="error">The exception of a problem.</param>
    /// <param name="remedy">What may be done about it.</param>
    public static void Check(
        OpenMergeModel first,
        OpenMergeModel second,
        Func<string, bool> ignored,
        Func<string, bool> hasOtherRows,
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
            else if (!HaveSameShape(one.Shape, other.Shape, hasOtherRows(name)))
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
    /// <param name="tensors">The tensors of the result.</param>
    /// <param name="hasOtherRows">Whether a tensor may have another number of rows.</param>
    /// <param name="error">The exception of a problem.</param>
    public static void Check(IEnumerable<PlannedTensor> tensors, Func<string, bool> hasOtherRows, Func<string, Exception> error)
    {
        List<string> problems = [];
        foreach (PlannedTensor tensor in tensors)
        {
            foreach (TensorSource source in tensor.Base is null ? tensor.Sources : tensor.Sources.Append(tensor.Base))
            {
                string? problem =
                    !source.Model.Tensors.TryGetValue(source.Name, out TensorInfo? found) ? "is missing"
                    : HaveSameShape(found.Shape, tensor.Info.Shape, hasOtherRows(source.Name)) ? null
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

    /// <summary>Throws if the architectures differ, or else the vocabularies where they matter.</summary>
    public static void CheckKinds(OpenMergeModel first, OpenMergeModel second, bool withVocabulary, Func<string, Exception> error)
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
        string remedy = "";
        if (
            withVocabulary
            && problems.Count == 0
            && first.Folder is not null
            && second.Folder is not null
            && !ReferenceEquals(first.Folder, second.Folder)
            && MergeVocabulary.HasTokenizer(first)
            && MergeVocabulary.HasTokenizer(second)
        )
        {
            problems = Vocabulary(first.Folder, second.Folder);
            remedy = "; 'tokenizer: {source: union}', or 'base', puts their tokens in one order";
        }

        if (problems.Count > 0)
        {
            throw error($"{first.Name} and {second.Name} are not of one kind: {First(problems)}{remedy}");
        }
    }

    private static List<string> Vocabulary(CheckpointFolder first, CheckpointFolder second)
    {
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
    }

    private static bool HaveSameShape(long[] one, long[] other, bool butRows) =>
        butRows && one.Length > 0 && other.Length > 0 ? one.AsSpan(1).SequenceEqual(other.AsSpan(1)) : one.SequenceEqual(other);
}
