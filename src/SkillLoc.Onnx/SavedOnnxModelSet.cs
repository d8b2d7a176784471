using Microsoft.ML;
using Microsoft.ML.Transforms;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>The state of a saved <see cref="OnnxGraftedModelSet"/>.</summary>
internal sealed record SavedOnnxModelSet
{
    /// <summary>Restored sets by state.</summary>
    public static StateCache<OnnxGraftedModelSet> Restored { get; } = new(state => SavedState.Read<SavedOnnxModelSet>(state).Load());

    /// <summary>The base model's file.</summary>
    public required string Base { get; init; }

    /// <summary>The graft files by skill.</summary>
    public required IReadOnlyDictionary<string, byte[]> Grafts { get; init; }

    /// <summary>Whether rows have a second text.</summary>
    public bool HasTextPair { get; init; }

    /// <summary>Returns the state of a set.</summary>
    public static SavedOnnxModelSet Of(string path, IReadOnlyDictionary<string, byte[]> grafts, ScoringColumns columns) =>
        new()
        {
            Base = path,
            Grafts = grafts,
            HasTextPair = columns.TextPair is not null,
        };

    /// <summary>Returns the built-in transformers that contain a state and score with it.</summary>
    public static ITransformer Carrier(ScoringColumns columns, string skillColumn, SavedOnnxModelSet state) =>
        SkillCarrier.Create(
            columns,
            skillColumn,
            SavedState.Write(state),
            ml => ml.Transforms.CustomMapping(new OnnxSkillScoringMapping().GetMapping(), OnnxSkillScoringMapping.Contract)
        );

    private OnnxGraftedModelSet Load() =>
        OnnxGraftedModelSet.Load(
            Base,
            Grafts,
            new ScoringColumns { TextPair = HasTextPair ? CarrierColumns.TextPair : null },
            "Skill",
            options: null,
            skill => $"The graft of the skill '{skill}' in the ML.NET model"
        );
}

/// <summary>Part of saved models: scores a row with the skill that it names, on ONNX Runtime.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class OnnxSkillScoringMapping : CustomMappingFactory<SkillRow, ScoredRow>
{
    internal const string Contract = "SkillLoc.OnnxScoreSkill";

    /// <inheritdoc/>
    public override Action<SkillRow, ScoredRow> GetMapping()
    {
        Action<SkillRow, ScoredRow> score = SkillCarrier.Mapping(SavedOnnxModelSet.Restored, set => set.Columns);

        // A saved model names the assembly that this function is of, which must be the one with the contract.
        return (input, output) => score(input, output);
    }
}
