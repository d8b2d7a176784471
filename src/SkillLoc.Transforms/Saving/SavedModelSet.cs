using Microsoft.ML;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>The state of a saved <see cref="GraftedModelSet"/>, stored like that of a <see cref="SavedScorer"/>.</summary>
internal sealed record SavedModelSet
{
    /// <summary>Restored sets by state.</summary>
    public static StateCache<GraftedModelSet> Restored { get; } = new(state => SavedState.Read<SavedModelSet>(state).Load());

    /// <summary>The base checkpoint folder.</summary>
    public required string Folder { get; init; }

    /// <summary>The skills' names.</summary>
    public required IReadOnlyList<string> Skills { get; init; }

    /// <summary>The graft files, compressed by Deflate.</summary>
    public required IReadOnlyList<byte[]> Grafts { get; init; }

    /// <summary>Whether rows have a second text.</summary>
    public bool HasTextPair { get; init; }

    /// <summary>Whether it ran on a GPU; it will again if one is available.</summary>
    public bool Gpu { get; init; }

    /// <inheritdoc cref="SavedScorer.Content"/>
    public string? Content { get; init; }

    /// <summary>Returns the state of a set.</summary>
    public static SavedModelSet Of(GraftedModelSet set, IEnumerable<(string Name, Graft Graft)> skills)
    {
        (string Name, Graft Graft)[] all = [.. skills];
        return new()
        {
            Folder = set.BaseCheckpoint,
            Skills = [.. all.Select(skill => skill.Name)],
            Grafts = [.. all.Select(skill => SavedScorer.Pack(skill.Graft))],
            HasTextPair = set.Columns.TextPair is not null,
            Gpu = set.OnGpu,
        };
    }

    /// <summary>Returns the built-in transformers that contain a state and score with it.</summary>
    public static ITransformer Carrier(ScoringColumns columns, string skillColumn, SavedModelSet state) =>
        SkillCarrier.Create(
            columns,
            skillColumn,
            SavedState.Write(state),
            ml => ml.Transforms.CustomMapping(new SkillScoringMapping().GetMapping(), SkillScoringMapping.Contract)
        );

    private GraftedModelSet Load()
    {
        TorchRuntime.Require();
        return GraftedModelSet.Create(
            CheckpointStore.Find(Folder, Content),
            new Dictionary<string, Graft>(
                Skills.Zip(Grafts, (name, graft) => KeyValuePair.Create(name, SavedScorer.Unpack(graft))),
                StringComparer.Ordinal
            ),
            new ScoringColumns { TextPair = HasTextPair ? CarrierColumns.TextPair : null },
            device: Gpu && torch.cuda.is_available() ? torch.CUDA : torch.CPU
        );
    }
}

/// <summary>Part of saved models: scores a row with the skill that it names.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class SkillScoringMapping : CustomMappingFactory<SkillRow, ScoredRow>
{
    internal const string Contract = "SkillLoc.ScoreSkill";

    /// <inheritdoc/>
    public override Action<SkillRow, ScoredRow> GetMapping()
    {
        Action<SkillRow, ScoredRow> score = SkillCarrier.Mapping(SavedModelSet.Restored, set => set.Columns);

        // A saved model names the assembly that this function is of, which must be the one with the contract.
        return (input, output) => score(input, output);
    }
}
