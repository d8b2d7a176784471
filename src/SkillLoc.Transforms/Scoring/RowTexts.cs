using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>What is scored of a row: the text, the second text where there is a column of it, and what else the scorer reads.</summary>
/// <param name="Values">The values of the scorer's input columns.</param>
/// <param name="Position">The row's number, for error messages; null where it is not known.</param>
internal sealed record RowTexts(string[] Values, long? Position)
{
    /// <summary>What error messages call the row.</summary>
    public string Name => Position is { } position ? $"Row {position}" : "A row";

    /// <summary>Encodes the row, saying which when it cannot be.</summary>
    public EncodedText Encode(TextClassifier classifier, ScoringColumns columns)
    {
        try
        {
            return classifier.Encode(Values[0], classifier.Settings.HasTextPair ? Values[1] : null);
        }
        catch (Exception error) when (error is ArgumentException or InvalidDataException)
        {
            throw new InvalidOperationException($"{Name} of column '{columns.Text}' cannot be encoded: {error.Message}", error);
        }
    }
}
