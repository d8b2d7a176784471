using Microsoft.ML;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>A transformer that encodes each row's text, runs a model over rows together, and adds columns of what comes out.</summary>
internal interface IRowModel
{
    /// <summary>The text columns, one or two.</summary>
    (string Text, string? TextPair) Inputs { get; }

    /// <summary>The schema with the added columns at its end.</summary>
    DataViewSchema GetOutputSchema(DataViewSchema input);

    /// <summary>Encodes one row, saying which when it cannot be.</summary>
    EncodedText Encode(string text, string pair, long row);

    /// <summary>Runs the model: for each row the numbers that its added columns are made of.</summary>
    float[][] Run(IReadOnlyList<EncodedText> rows);

    /// <summary>Getters of the added columns, in their order, from a row's numbers.</summary>
    Delegate[] Getters(Func<float[]> values);
}
