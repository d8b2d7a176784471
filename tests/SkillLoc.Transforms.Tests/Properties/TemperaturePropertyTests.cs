using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms.Tests.Properties;

/// <summary>Dividing logits by a temperature.</summary>
public sealed class TemperaturePropertyTests
{
    // Each case has many rows and makes transformers, which are what takes its time.
    private const int Cases = 6;

    private readonly MLContext _ml = new(seed: 1);

    private static Gen<float[][]> Probabilities =>
        from labels in Gen.Choose(2, 5)
        from rows in Gen.Choose(0, 40).ArrayOf(labels).Where(parts => parts.Sum() > 0).UpTo(60, 20)
        select rows.Select(parts => Array.ConvertAll(parts, part => part / (float)parts.Sum())).ToArray();

    private static Gen<float[][]> Logits =>
        from labels in Gen.Choose(2, 5)
        from rows in Gen.Choose(-400, 400).Select(i => i / 16f).ArrayOf(labels).UpTo(60, 20)
        select rows;

    private static Gen<double> Temperatures => Gen.Elements(0.01, 0.3, 0.999, 1, 2.5, 17, 100);

    [Fact]
    public void AtOneProbabilitiesStay() =>
        PropertyCheck.ForAll(
            Probabilities,
            rows =>
            {
                float[][] scaled = Scale(rows, ScoreForm.Probabilities, 1);
                Assert.All(
                    rows.SelectMany(row => row).Zip(scaled.SelectMany(row => row)),
                    pair => Assert.Equal(pair.First, pair.Second, 1e-5f)
                );
                float[] first = [.. rows.Select(row => row[0])];
                Assert.All(first.Zip(Scale(first, ScoreForm.Probabilities, 1)), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
            },
            Cases
        );

    [Fact]
    public void NoTemperatureChangesTheOrderOfLabels() =>
        PropertyCheck.ForAll(
            from isLogits in Gen.Elements(true, false)
            from rows in isLogits ? Logits : Probabilities
            from temperature in Temperatures
            select (form: isLogits ? ScoreForm.Logits : ScoreForm.Probabilities, rows, temperature),
            given =>
            {
                foreach ((float[] before, float[] after) in given.rows.Zip(Scale(given.rows, given.form, given.temperature)))
                {
                    Assert.Equal(1, after.Sum(), 1e-4f);
                    Assert.All(after, score => Assert.InRange(score, 0, 1 + 1e-5f));

                    // What is nearly equal may become equal, and never changes places.
                    Assert.All(
                        before.Index(),
                        one =>
                            Assert.All(
                                before.Index(),
                                other => Assert.True(one.Item < other.Item || after[one.Index] >= after[other.Index])
                            )
                    );
                    Assert.Equal(after.Max(), after[Array.IndexOf(before, before.Max())]);
                }
            },
            2 * Cases
        );

    [Fact]
    public void ScoresAreTheSoftmaxOfDividedLogits() =>
        PropertyCheck.ForAll(
            from rows in Logits
            from temperature in Temperatures
            select (rows, temperature),
            given =>
            {
                foreach ((float[] logits, float[] scores) in given.rows.Zip(Scale(given.rows, ScoreForm.Logits, given.temperature)))
                {
                    // 1 over the sum of exp of differences, the softmax without a shift.
                    Assert.All(
                        logits.Index(),
                        own =>
                            Assert.Equal(
                                1 / logits.Sum(logit => Math.Exp((logit - own.Item) / (float)given.temperature)),
                                scores[own.Index],
                                2e-5
                            )
                    );
                }

                // A binary trainer's margin is the logit of two labels, the other's being 0.
                float[] margins = [.. given.rows.Select(row => row[0])];
                float[][] pairs = Scale([.. margins.Select(margin => new[] { 0, margin })], ScoreForm.Logits, given.temperature);
                Assert.All(
                    pairs.Zip(Scale(margins, ScoreForm.Logits, given.temperature)),
                    pair => Assert.Equal(pair.First[1], pair.Second, 2e-5f)
                );
            },
            Cases
        );

    [Fact]
    public void HigherTemperaturesMakeTheBestLabelLessSure() =>
        PropertyCheck.ForAll(
            Logits,
            rows =>
            {
                float[][][] scaled = [.. new[] { 0.1, 1, 3, 50 }.Select(temperature => Scale(rows, ScoreForm.Logits, temperature))];
                for (int row = 0; row < rows.Length; row++)
                {
                    float[] best = [.. scaled.Select(scores => scores[row].Max())];
                    Assert.All(best.Zip(best.Skip(1)), pair => Assert.True(pair.First >= pair.Second - 1e-6f));
                    Assert.InRange(best[^1], (1f / rows[row].Length) - 1e-5f, 1);
                }
            },
            Cases
        );

    private float[][] Scale(float[][] rows, ScoreForm form, double temperature)
    {
        var schema = SchemaDefinition.Create(typeof(Vector));
        schema["Score"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows[0].Length);
        IDataView data = _ml.Data.LoadFromEnumerable(rows.Select(row => new Vector { Score = row }), schema);
        return [.. new TemperatureTransformer(data, "Score", "Score", form, temperature).Transform(data).GetColumn<float[]>("Score")];
    }

    private float[] Scale(float[] scores, ScoreForm form, double temperature)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(scores.Select(score => new Binary { Score = score }));
        return [.. new TemperatureTransformer(data, "Score", "Score", form, temperature).Transform(data).GetColumn<float>("Score")];
    }

    private sealed class Vector
    {
        public float[] Score { get; set; } = [];
    }

    private sealed class Binary
    {
        public float Score { get; set; }
    }
}
