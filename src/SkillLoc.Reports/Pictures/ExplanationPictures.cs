using System.Globalization;
using SkillLoc.Evaluators;
using SkillLoc.Models.Explanations;
using SkillLoc.Reports.Drawing;

namespace SkillLoc.Reports.Pictures;

/// <summary>What carried a model's outputs, and whether that is true.</summary>
internal static class ExplanationPictures
{
    private const int MostRows = 30,
        MostBars = 12,
        BarHeight = 20,
        LongestName = 60;

    // Scores below this share of a row's largest are left to the table.
    private const double LeastShown = 0.1;

    /// <summary>Texts with their tokens' scores, and tables of what else carried the outputs.</summary>
    public static IEnumerable<Picture> Of(IReadOnlyList<TextExplanation> explanations)
    {
        if (explanations.Count == 0)
        {
            throw new ArgumentException("There is no explanation to show.", nameof(explanations));
        }

        TextExplanation[] shown = [.. explanations.Take(MostRows)];
        for (int i = 0; i < shown.Length; i++)
        {
            string left =
                i == shown.Length - 1 && shown.Length < explanations.Count
                    ? $" {Words.Count(explanations.Count - shown.Length, "more explanation")} are left out."
                    : "";
            yield return Of(shown[i], i, left);
        }

        if (Array.Exists(shown, row => row.Coordinates is not null))
        {
            yield return Parts("Coordinates of the graft that carried it", "graft's coordinates", shown, row => row.Coordinates);
        }

        if (Array.Exists(shown, row => row.Neurons is not null))
        {
            yield return Parts("Neurons that carried it", "neurons", shown, row => row.Neurons);
        }
    }

    /// <summary>Comprehensiveness and sufficiency over the share of the tokens, beside random tokens.</summary>
    public static IEnumerable<Picture> Of(ExplanationMetrics metrics)
    {
        if (metrics.Points.Count == 0)
        {
            throw new ArgumentException("The metrics have no point: there is nothing to show.", nameof(metrics));
        }

        string method = metrics.Method == AttributionMethod.Occlusion ? "occlusion" : "integrated gradients",
            intervals = $"one sample standard deviation over {metrics.Controls} random orders to either side of their mean";
        var table = Table.Of(
            [
                "Share",
                "Comprehensiveness",
                "RandomComprehensiveness",
                "RandomComprehensivenessDeviation",
                "Sufficiency",
                "RandomSufficiency",
                "RandomSufficiencyDeviation",
            ],
            metrics.Points.Select(point =>
                (IReadOnlyList<object>)
                    [
                        point.Share,
                        point.Comprehensiveness,
                        point.RandomComprehensiveness,
                        point.RandomComprehensivenessDeviation,
                        point.Sufficiency,
                        point.RandomSufficiency,
                        point.RandomSufficiencyDeviation,
                    ]
            )
        );
        ExplanationPoint[] points = [.. metrics.Points.OrderBy(point => point.Share)];
        var provenance = new Provenance { Rows = Words.Count(metrics.Count, "row") };
        yield return new Picture(
            "Comprehensiveness: without the tokens of the highest scores",
            $"The mean fall of the label's probability is {Words.Number(metrics.Comprehensiveness)} by {method} and "
                + $"{Words.Number(metrics.RandomComprehensiveness)} by random tokens, over all shares; higher is better.",
            table,
            isVector =>
                Draw(
                    isVector,
                    "fall of the probability without them",
                    point => point.Comprehensiveness,
                    point => point.RandomComprehensiveness,
                    point => point.RandomComprehensivenessDeviation
                )
        )
        {
            Intervals = intervals,
            Provenance = provenance,
        };
        yield return new Picture(
            "Sufficiency: with the tokens of the highest scores alone",
            $"The mean fall of the label's probability is {Words.Number(metrics.Sufficiency)} by {method} and "
                + $"{Words.Number(metrics.RandomSufficiency)} by random tokens, over all shares; lower is better.",
            table,
            isVector =>
                Draw(
                    isVector,
                    "fall of the probability with them alone",
                    point => point.Sufficiency,
                    point => point.RandomSufficiency,
                    point => point.RandomSufficiencyDeviation
                )
        )
        {
            Intervals = intervals,
            Provenance = provenance,
        };

        Chart Draw(
            bool isVector,
            string title,
            Func<ExplanationPoint, double> own,
            Func<ExplanationPoint, double> random,
            Func<ExplanationPoint, double> deviation
        )
        {
            double[] places = [.. points.Select(point => Math.Log10(point.Share))],
                values = [.. points.Select(own)],
                others = [.. points.Select(random)],
                lows = [.. points.Select(point => random(point) - deviation(point))],
                highs = [.. points.Select(point => random(point) + deviation(point))];
            var chart = new Chart(
                isVector,
                Scale.Logarithmic("share of the tokens", points[0].Share, points[^1].Share),
                Scale.Around(title, [.. values, .. others, .. lows, .. highs, 0])
            );
            chart.Band(places, lows, highs, Theme.Control);
            chart.Line(places, others, Theme.Control, 1, "random tokens");
            chart.Line(places, values, 0, 0, method);
            return chart;
        }
    }

    private static Picture Of(TextExplanation row, int place, string left)
    {
        double most = row.Tokens.Select(token => Math.Abs(token.Score)).Where(double.IsFinite).DefaultIfEmpty(0).Max();
        TokenAttribution? best = row.Tokens.Where(token => token.Score > 0).MaxBy(token => token.Score),
            worst = row.Tokens.Where(token => token.Score < 0).MinBy(token => token.Score);
        TokenAttribution[] bars =
        [
            .. row.Tokens.Where(token => double.IsFinite(token.Score)).OrderByDescending(token => Math.Abs(token.Score)).Take(MostBars),
        ];
        string text =
            $"{Words.Short(row.Label, LongestName)} has the probability {Words.Percent(row.Probability)}: a logit of "
            + $"{Words.Number(row.Logit)}, and {Words.Number(row.BaselineLogit)} without the text. "
            + (best is null ? "No token speaks for it" : $"Most for it speaks {Quoted(best)}")
            + (worst is null ? ", and none against it. " : $", most against it {Quoted(worst)}. ")
            + (
                double.IsNaN(row.ConvergenceDelta)
                    ? ""
                    : $"The scores sum to the difference of the logits but for {Words.Number(Math.Abs(row.ConvergenceDelta))}. "
            )
            + "A solid line below a part means for the label, a dashed one against it; parts below a tenth of the largest score have none."
            + left;
        return new(
            string.Create(CultureInfo.InvariantCulture, $"Text {place + 1}: why {Words.Short(row.Label, LongestName)}"),
            text,
            Table.Of(
                ["Token", "Text", "Start", "Length", "Score"],
                row.Tokens.Select(token => (IReadOnlyList<object>)[token.Token, token.Sentence + 1, token.Start, token.Length, token.Score])
            ),
            bars.Length == 0 ? null : Bars
        )
        {
            Passages = row.TextPair is null
                ? [Passage("", row.Text, 0)]
                : [Passage("First text", row.Text, 0), Passage("Second text", row.TextPair, 1)],
        };

        Chart Bars(bool isVector)
        {
            string[] names = [.. bars.Select(Part)];
            var chart = new Chart(
                isVector,
                Scale.Around("share of the logit", [.. bars.Select(token => token.Score), 0]),
                Scale.Names("", names),
                70 + (bars.Length * BarHeight)
            );
            for (int i = 0; i < bars.Length; i++)
            {
                double score = bars[i].Score,
                    middle = bars.Length - 1 - i;
                chart.Bar(Math.Min(score, 0), Math.Max(score, 0), middle - 0.35, middle + 0.35, score < 0 ? 1 : 0, 0.8);
            }

            chart.Segment(0, -0.5, 0, bars.Length - 0.5, Theme.Control);
            return chart;
        }

        string Quoted(TokenAttribution token) => $"“{Words.Short(Part(token), LongestName)}” ({Signed(token.Score)})";

        string Part(TokenAttribution token)
        {
            string of = token.Sentence == 0 ? row.Text : row.TextPair ?? "";
            return token.Length > 0 && token.Start + token.Length <= of.Length ? of.Substring(token.Start, token.Length) : token.Token;
        }

        Passage Passage(string title, string of, int sentence)
        {
            var parts = new List<PassagePart>();
            int done = 0;
            foreach (
                TokenAttribution token in row
                    .Tokens.Where(token => token.Sentence == sentence && token.Length > 0)
                    .OrderBy(token => token.Start)
            )
            {
                // Tokens of some bytes of one letter have the same place; the table has them all.
                if (token.Start < done || token.Start + token.Length > of.Length)
                {
                    continue;
                }

                if (token.Start > done)
                {
                    parts.Add(new(of[done..token.Start]));
                }

                done = token.Start + token.Length;
                double share = most > 0 ? token.Score / most : 0;
                int strength = Math.Abs(share) >= LeastShown ? Math.Sign(share) * (int)Math.Ceiling(Math.Abs(share) * 3) : 0;
                parts.Add(new(of[token.Start..done], strength == 0 ? "" : Signed(token.Score), strength));
            }

            if (done < of.Length)
            {
                parts.Add(new(of[done..]));
            }

            return new(title, parts);
        }
    }

    private static string Signed(double score) =>
        double.IsFinite(score) ? score.ToString("+0.00;-0.00;0", CultureInfo.InvariantCulture) : Words.Number(score);

    private static Picture Parts(string title, string what, TextExplanation[] rows, Func<TextExplanation, PartAttributions?> of)
    {
        (int Place, PartAttributions Parts)[] all =
        [
            .. rows.Index().Where(row => of(row.Item) is not null).Select(row => (row.Index + 1, of(row.Item)!)),
        ];
        (int first, PartAttributions parts) = all[0];
        return new(
            title,
            string.Create(
                CultureInfo.InvariantCulture,
                $"For text {first} the {what}, {Words.Count(parts.Count, "of them", "of them")}, make {Signed(parts.Sum)} of the logit together "
            )
                + (
                    parts.Largest.Count == 0
                        ? "."
                        : $"and {Words.Short(parts.Largest[0].Name, LongestName)} alone {Signed(parts.Largest[0].Score)}."
                ),
            Table.Of(
                ["Text", "Name", "Score", "SumOfAll", "LogitWithoutAll"],
                all.SelectMany(row =>
                    row.Parts.Largest.Select(part =>
                        (IReadOnlyList<object>)[row.Place, part.Name, part.Score, row.Parts.Sum, row.Parts.WithoutLogit]
                    )
                )
            )
        );
    }
}
