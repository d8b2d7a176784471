using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>The input of a row: the text, an optional second text, and other values that the scorer reads.</summary>
/// <param name="Values">The values of the scorer's input columns.</param>
/// <param name="Position">The row's number, for error messages; null if unknown.</param>
internal sealed record RowTexts(string[] Values, long? Position)
{
    /// <summary>The row's name in error messages.</summary>
    public string Name => Position is { } position ? $"Row {position}" : "A row";

    /// <summary>Encodes the row; errors name it.</summary>
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
