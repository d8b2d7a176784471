using Microsoft.ML;
using SkillLoc.Models.Explanations;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Evaluators;

/// <summary>
/// Whether token scores are faithful to the model: what happens to the explained label's probability when the tokens of the highest scores
/// are taken out of the texts, and when they alone stay, against random tokens (DeYoung et al. 2020, ERASER: A Benchmark to Evaluate
/// Rationalized NLP Models, section 4).
/// </summary>
public sealed record ExplanationMetrics
{
    /// <summary>Number of rows with at least one token to take out.</summary>
    public required long Count { get; init; }

    /// <summary>How tokens got their scores.</summary>
    public required AttributionMethod Method { get; init; }

    /// <summary>The seed of the random orders.</summary>
    public required int Seed { get; init; }

    /// <summary>Number of random orders of each row's tokens.</summary>
    public required int Controls { get; init; }

    /// <summary>The mean absolute <see cref="TextExplanation.ConvergenceDelta"/>; NaN for occlusion.</summary>
    public required double ConvergenceDelta { get; init; }

    /// <summary>The measures by the share of the tokens, ascending.</summary>
    public required IReadOnlyList<ExplanationPoint> Points { get; init; }

    /// <summary>The mean over the shares of <see cref="ExplanationPoint.Comprehensiveness"/>, the paper's AOPC; higher is better.</summary>
    public double Comprehensiveness => Points.Average(point => point.Comprehensiveness);

    /// <summary>The same of random tokens.</summary>
    public double RandomComprehensiveness => Points.Average(point => point.RandomComprehensiveness);

    /// <summary>The mean over the shares of <see cref="ExplanationPoint.Sufficiency"/>, the paper's AOPC; lower is better.</summary>
    public double Sufficiency => Points.Average(point => point.Sufficiency);

    /// <summary>The same of random tokens.</summary>
    public double RandomSufficiency => Points.Average(point => point.RandomSufficiency);

    /// <summary>The points as rows, with the columns Share, Comprehensiveness, Sufficiency, RandomComprehensiveness,
    /// RandomComprehensivenessDeviation, RandomSufficiency and RandomSufficiencyDeviation.</summary>
    /// <param name="context">The context.</param>
    /// <returns>One row per point.</returns>
    public IDataView ToDataView(MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Data.LoadFromEnumerable(Points);
    }

    internal static ExplanationMetrics Of(
        MLContext context,
        TextExplanationTransformer explainer,
        IDataView rows,
        IReadOnlyList<double> shares,
        int controls,
        int? seed,
        int most,
        CancellationToken cancellation
    )
    {
        var host = new ComponentHost(context, nameof(SkillLocExplanationEvaluators.EvaluateExplanations));
        using CancellationWatch watch = host.Watch(cancellation);
        int drawn = seed ?? host.DrawSeed();
        RowTexts[] texts = explainer.Read(rows, most);
        EncodedText[] encoded = explainer.Encode(texts);
        TextExplanation[] explanations = explainer.Explain(texts, encoded, watch.Token);
        ErasedRow[] erased =
        [
            .. encoded
                .Zip(explanations, (row, explanation) => new ErasedRow(row, explanation, explainer.Explainer))
                .Where(row => row.Tokens.Length > 0),
        ];
        if (erased.Length == 0)
        {
            throw new InvalidOperationException("There is no row with tokens to take out.");
        }

        double[] ordered = [.. shares.Order()];
        Erasure own = Measure(erased.Select(row => row.ByScore()));
        var random = new Random(drawn);
        Erasure[] others = [.. Enumerable.Range(0, controls).Select(_ => Measure(erased.Select(row => row.Shuffled(random))))];
        return new()
        {
            Count = erased.Length,
            Method = explainer.Method,
            Seed = drawn,
            Controls = controls,
            ConvergenceDelta = explanations.Average(row => Math.Abs(row.ConvergenceDelta)),
            Points =
            [
                .. ordered.Select(
                    (share, i) =>
                    {
                        var comprehensiveness = DrawStatistics.Of([.. others.Select(other => other.Comprehensiveness[i])]);
                        var sufficiency = DrawStatistics.Of([.. others.Select(other => other.Sufficiency[i])]);
                        return new ExplanationPoint(
                            share,
                            own.Comprehensiveness[i],
                            own.Sufficiency[i],
                            comprehensiveness.Mean,
                            comprehensiveness.StandardDeviation,
                            sufficiency.Mean,
                            sufficiency.StandardDeviation
                        );
                    }
                ),
            ],
        };

        Erasure Measure(IEnumerable<int[]> orders)
        {
            int[][] all = [.. orders];
            double[] comprehensiveness = new double[ordered.Length],
                sufficiency = new double[ordered.Length];
            for (int i = 0; i < ordered.Length; i++)
            {
                double share = ordered[i];
                comprehensiveness[i] = Fall((row, order) => row.Without(order, share));
                sufficiency[i] = Fall((row, order) => row.WithOnly(order, share));
            }

            return new(comprehensiveness, sufficiency);

            double Fall(Func<ErasedRow, int[], EncodedText> erase)
            {
                watch.ThrowIfRequested();
                float[][] scores = explainer.Explainer.Score([.. erased.Select((row, i) => erase(row, all[i]))], watch.Token);
                return erased.Select((row, i) => row.Probability - scores[i][row.Label]).Average();
            }
        }
    }

    /// <summary>The mean falls of the probability by share.</summary>
    private sealed record Erasure(double[] Comprehensiveness, double[] Sufficiency);
}

/// <summary>The measures at a share of the tokens.</summary>
/// <param name="Share">The share of each row's tokens, rounded up to whole tokens.</param>
/// <param name="Comprehensiveness">The mean fall of the label's probability without these tokens: high if they were needed.</param>
/// <param name="Sufficiency">The mean fall with these tokens alone: low, even negative, if they suffice.</param>
/// <param name="RandomComprehensiveness">The mean over the draws of the fall without as many random tokens.</param>
/// <param name="RandomComprehensivenessDeviation">The sample standard deviation of that over the draws.</param>
/// <param name="RandomSufficiency">The mean over the draws of the fall with as many random tokens alone.</param>
/// <param name="RandomSufficiencyDeviation">The sample standard deviation of that over the draws.</param>
public sealed record ExplanationPoint(
    double Share,
    double Comprehensiveness,
    double Sufficiency,
    double RandomComprehensiveness,
    double RandomComprehensivenessDeviation,
    double RandomSufficiency,
    double RandomSufficiencyDeviation
);
