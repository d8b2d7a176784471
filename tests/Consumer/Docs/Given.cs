using Microsoft.ML;
using SkillLoc.Transforms;

/// <summary>What the snippets of docs/components take as given (docs/components/README.md).</summary>
internal static partial class Pages
{
    private static readonly MLContext ml = new(seed: 1);
    private static readonly IDataView train = null!,
        validation = null!,
        test = null!;
    private static readonly TextScoringTransformer tuned = null!;
}
