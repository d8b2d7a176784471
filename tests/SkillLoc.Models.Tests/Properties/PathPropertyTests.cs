using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Tests.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Lines, Bezier curves, means and mixtures as weighted sums of their ends.</summary>
public sealed class PathPropertyTests : IDisposable
{
    private const string Moved = "roberta.encoder.layer.1.output.dense.bias";

    private readonly TextClassifier _first;
    private readonly TextClassifier _second;

    public PathPropertyTests()
    {
        _first = TextClassifier.Create(
            Oracles.PathOf("tiny-roberta"),
            new ClassifierSettings { Labels = ["neg", "pos"], Words = ["bad", "good"] }
        );
        _second = _first.Clone();
        string[] moved =
        [
            Moved,
            "roberta.encoder.layer.0.attention.self.query.weight",
            "roberta.embeddings.LayerNorm.weight",
            "lm_head.bias",
        ];
        Toy.Shake(moved.Select(name => (Tensor)_second.Backbone.Parameters[name]));
    }

    private static Gen<double> Places =>
        Gen.Frequency(
            (4, Gen.Choose(0, 1_000_000).Select(i => i / 1e6)),
            (1, Gen.Elements(0, 1, double.Epsilon, 1e-12, 0.5, Math.BitDecrement(1.0)))
        );

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }

    [Fact]
    public void WeightsAreSharesOfEndsAndControlPoints() =>
        PropertyCheck.ForAll(
            from bends in Gen.Choose(0, 12)
            from t in Places
            select (bends, t),
            path =>
            {
                double[] weights = ParameterPath.Weights(path.bends, path.t),
                    back = ParameterPath.Weights(path.bends, 1 - path.t);
                Assert.Equal(path.bends + 2, weights.Length);
                Assert.All(weights, weight => Assert.InRange(weight, 0, 1));
                Assert.Equal(1, weights.Sum(), 1e-12);

                // Bernstein polynomials: the mean index is the degree times t, and the way back has the weights in reverse.
                Assert.Equal((path.bends + 1) * path.t, weights.Select((weight, i) => weight * i).Sum(), 1e-11);
                Assert.All(weights.Zip(back.Reverse()), pair => Assert.Equal(pair.First, pair.Second, 1e-11));
            },
            500
        );

    [Fact]
    public void ACurveWithEvenControlPointsOnTheLineIsTheLine() =>
        PropertyCheck.ForAll(
            from bends in Gen.Choose(1, 4)
            from places in Places.UpTo(3, 1)
            select (bends, places),
            given =>
            {
                using DisposeScope scope = NewDisposeScope();
                using ParameterPath line = new(_first, _second),
                    curve = new(_first, _second, bends: given.bends);
                Assert.Equal(line.Names, curve.Names);
                foreach (string name in curve.Names)
                {
                    for (int k = 1; k <= given.bends; k++)
                    {
                        double share = k / (given.bends + 1.0);
                        using IDisposable noGradients = no_grad();
                        curve.Controls(name)[k - 1].copy_((_first.Parameters[name] * (1 - share)) + (_second.Parameters[name] * share));
                    }
                }

                using TextClassifier straight = line.CreateWalker(),
                    bent = curve.CreateWalker();
                foreach (double t in given.places)
                {
                    line.MoveTo(straight, t);
                    curve.MoveTo(bent, t);
                    Assert.All(line.Names, name => Toy.AssertClose(straight.Parameters[name], bent.Parameters[name], 1e-5, name));
                    bool isAnEnd =
                        straight.Parameters[Moved].Equals(_first.Parameters[Moved])
                        || straight.Parameters[Moved].Equals(_second.Parameters[Moved]);
                    Assert.False(isAnEnd && t is > 0.01 and < 0.99);
                }
            },
            20
        );

    [Fact]
    public void AMixtureIsTheSumOfSharesThatMakeOne() =>
        PropertyCheck.ForAll(
            from granularity in Gen.Elements(Enum.GetValues<MixtureGranularity>())
            from weights in Gen.Choose(-100, 100).Select(i => i / 5f).ArrayOf(4)
            select (granularity, weights),
            given =>
            {
                using DisposeScope scope = NewDisposeScope();
                var mixture = new CheckpointMixture(_first, _second, given.granularity);
                mixture.SetWeights(given.weights[..mixture.Groups.Count]);
                Assert.All(mixture.Groups, group => Assert.Equal(1, group.FirstShare + group.SecondShare, 1e-12));
                Assert.Equal(
                    new ParameterPath(_first, _second).Names.Order(),
                    mixture.Groups.SelectMany(group => group.Parameters).Order()
                );
                using TextClassifier mixed = mixture.CreateModel();
                foreach (MixtureGroup group in mixture.Groups)
                {
                    Assert.All(
                        group.Parameters,
                        name =>
                            Toy.AssertClose(
                                (_first.Parameters[name] * group.FirstShare) + (_second.Parameters[name] * group.SecondShare),
                                mixed.Parameters[name],
                                1e-5,
                                name
                            )
                    );
                }
            },
            20
        );

    [Fact]
    public void TheMeanOfEndsHasTheirWeights() =>
        PropertyCheck.ForAll(
            Gen.Choose(0, 5).ArrayOf(3).Where(shares => shares.Sum() > 0),
            shares =>
            {
                using DisposeScope scope = NewDisposeScope();
                using ParameterPath line = new(_first, _second);
                using TextClassifier middle = line.CreateWalker();
                line.MoveTo(middle, 0.5);
                double[] weights = [.. shares.Select(share => (double)share / shares.Sum())];
                using TextClassifier mean = CheckpointMean.Of([_first, _second, middle], weights);

                // The third end is half of each of the others.
                using TextClassifier expected = line.CreateWalker();
                line.MoveTo(expected, Math.Clamp(weights[1] + (weights[2] / 2), 0, 1));
                foreach ((string name, Parameter parameter) in mean.Parameters)
                {
                    Toy.AssertClose(expected.Parameters[name], parameter, 1e-5, name);
                }
            },
            20
        );

    [Fact]
    public void DistancesAreThoseOfAVectorSpace() =>
        PropertyCheck.ForAll(
            Gen.Choose(-50, 50).Select(i => i / 8f).ArrayOf(5).ArrayOf(3),
            vectors =>
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor[] points = [.. vectors.Select(vector => tensor(vector))];
                double ab = CheckpointDistance.Between(points[0], points[1]).L2,
                    bc = CheckpointDistance.Between(points[1], points[2]).L2;
                double ac = CheckpointDistance.Between(points[0], points[2]).L2;
                Assert.True(ac <= ab + bc + 1e-9);
                Assert.Equal(ab, CheckpointDistance.Between(points[1], points[0]).L2);
                Assert.Equal(0, CheckpointDistance.Between(points[0], points[0]).L2);
                Assert.Equal(ab == 0, vectors[0].SequenceEqual(vectors[1]));
                Assert.InRange(CheckpointDistance.Between(points[0], points[1]).Cosine, -1 - 1e-9, 1 + 1e-9);

                // Parts add up to the whole.
                var parts = CheckpointDistance.Of([
                    CheckpointDistance.Between(points[0][..2], points[1][..2]),
                    CheckpointDistance.Between(points[0][2..], points[1][2..]),
                ]);
                Assert.Equal(ab, parts.L2, 1e-9);
            }
        );
}
