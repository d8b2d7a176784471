using Microsoft.ML;
using Microsoft.ML.Data;
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
public sealed class OnnxSkillScoringMapping : CustomMappingFactory<OnnxSkillScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.OnnxScoreSkill";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        Current? current = null;
        return (input, output) =>
        {
            // The state is one constant in every row; where it also lies in one place, this compares nothing.
            Current? known = current;
            if (known is null || !known.State.Span.SequenceEqual(input.State.Span))
            {
                current = known = new(input.State, SavedOnnxModelSet.Restored.Get(input.State.ToString()));
            }

            IRowScorer set = known.Set;
            RowScores scores = set.Score([SkillCarrier.Row(known.Set.Columns, input.Text, input.TextPair, input.Skill)])[0];
            output.Scores = scores.Values;
            output.Label = scores.Label;
        };
    }

    private sealed record Current(ReadOnlyMemory<char> State, OnnxGraftedModelSet Set);

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The second text; the first again if there is none.</summary>
        [ColumnName(CarrierColumns.TextPair)]
        public ReadOnlyMemory<char> TextPair { get; set; }

        /// <summary>The skill's name.</summary>
        [ColumnName(CarrierColumns.Skill)]
        public ReadOnlyMemory<char> Skill { get; set; }

        /// <summary>The state of the set.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}
