using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Part of saved models: scores a text by the state beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class TextScoringMapping : CustomMappingFactory<TextScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.ScoreText";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        var scorer = new RestoredScorer();
        return (input, output) => scorer.Score(input.State, input.Text.ToString(), null, output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The state of the scorer.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>Part of saved models: scores a pair of texts by the state beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class TextPairScoringMapping : CustomMappingFactory<TextPairScoringMapping.Input, ScoredRow>
{
    internal const string Contract = "SkillLoc.ScoreTextPair";

    /// <inheritdoc/>
    public override Action<Input, ScoredRow> GetMapping()
    {
        var scorer = new RestoredScorer();
        return (input, output) => scorer.Score(input.State, input.Text.ToString(), input.TextPair.ToString(), output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The second text.</summary>
        [ColumnName(CarrierColumns.TextPair)]
        public ReadOnlyMemory<char> TextPair { get; set; }

        /// <summary>The state of the scorer.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>Part of saved models: answers a text by the state beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class TextWritingMapping : CustomMappingFactory<TextWritingMapping.Input, WrittenRow>
{
    internal const string Contract = "SkillLoc.WriteText";

    /// <inheritdoc/>
    public override Action<Input, WrittenRow> GetMapping()
    {
        var scorer = new RestoredScorer();
        return (input, output) => scorer.Write(input.State, input.Text.ToString(), null, output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The state of the model.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>Part of saved models: answers a pair of texts by the state beside it.</summary>
[CustomMappingFactoryAttribute(Contract)]
public sealed class TextPairWritingMapping : CustomMappingFactory<TextPairWritingMapping.Input, WrittenRow>
{
    internal const string Contract = "SkillLoc.WriteTextPair";

    /// <inheritdoc/>
    public override Action<Input, WrittenRow> GetMapping()
    {
        var scorer = new RestoredScorer();
        return (input, output) => scorer.Write(input.State, input.Text.ToString(), input.TextPair.ToString(), output);
    }

    /// <summary>The input columns.</summary>
    public sealed class Input
    {
        /// <summary>The text.</summary>
        [ColumnName(CarrierColumns.Text)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>The second text.</summary>
        [ColumnName(CarrierColumns.TextPair)]
        public ReadOnlyMemory<char> TextPair { get; set; }

        /// <summary>The state of the model.</summary>
        [ColumnName(CarrierColumns.State)]
        public ReadOnlyMemory<char> State { get; set; }
    }
}

/// <summary>The output of the text-generating mappings of saved models.</summary>
public sealed class WrittenRow
{
    /// <summary>The generated text.</summary>
    [ColumnName(CarrierColumns.Written)]
    public string Text { get; set; } = "";
}
