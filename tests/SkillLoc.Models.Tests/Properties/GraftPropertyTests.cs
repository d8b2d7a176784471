using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tests.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>Grafts as sets of coordinates with values: switching, files, unions and overlaps.</summary>
public sealed class GraftPropertyTests : IDisposable
{
    // Of each region and two layers, in the order of unions.
    private static readonly (string Name, int Count)[] Parameters =
    [
        ("roberta.embeddings.LayerNorm.weight", 8),
        ("roberta.encoder.layer.0.attention.self.query.weight", 64),
        ("roberta.encoder.layer.1.intermediate.dense.weight", 96),
        ("roberta.encoder.layer.1.output.dense.bias", 8),
        ("lm_head.bias", 30),
    ];

    private static readonly float[] Odd =
    [
        0,
        -0f,
        1,
        float.Epsilon,
        float.MaxValue,
        float.MinValue,
        float.NaN,
        float.PositiveInfinity,
        float.NegativeInfinity,
        1e-40f,
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static Gen<float> AnyFloat => Gen.Frequency((1, Gen.Elements(Odd)), (3, Gen.Choose(-1000, 1000).Select(i => i / 64f)));

    private static Gen<float> Finite => AnyFloat.Select(value => float.IsFinite(value) ? value : 3);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void SwitchingBetweenGraftsAlwaysComesBackToTheBitsOfTheBase(ScalarType type)
    {
        using LanguageModel source = Toy.Model("roberta");
        using LanguageModel model = source.Clone(dtype: type);
        string before = model.Fingerprint();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Gen<(Graft[] Grafts, int[] Turns)> cases =
            from grafts in Grafts(before, AnyFloat).ArrayOf(3)
            from turns in Gen.Choose(-1, 2).UpTo(8)
            select (grafts, turns);
        PropertyCheck.ForAll(
            cases,
            given =>
            {
                string[] expected =
                [
                    .. given.Grafts.Select(graft =>
                    {
                        using LanguageModel applied = model.Clone();
                        graft.MergeInto(applied, before);
                        return applied.Fingerprint();
                    }),
                ];
                GraftSwitch[] switches = [.. given.Grafts.Select(graft => graft.Prepare(model, before))];
                Assert.Equal(before, model.Fingerprint());

                // Each turn applies one of them, or none; at most one is applied at a time.
                foreach (int turn in given.Turns)
                {
                    Array.ForEach(switches, each => each.Remove());
                    if (turn >= 0)
                    {
                        switches[turn].Apply();
                    }

                    Assert.Equal(turn < 0 ? before : expected[turn], model.Fingerprint());
                    Assert.Equal(switches.Select((_, i) => i == turn), switches.Select(each => each.IsApplied));
                }

                Array.ForEach(switches, each => each.Remove());
                Array.ForEach(switches, each => each.Dispose());
                Assert.Equal(before, model.Fingerprint());
            },
            20
        );
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void AGraftComesBackFromItsFileAndItsBytes() =>
        PropertyCheck.ForAll(
            from graft in Grafts("f", Finite)
            from task in Text
            from metrics in (from name in Text from value in ArbMap.Default.GeneratorFor<double>() select (name, value)).UpTo(3)
            from sparsity in Gen.Choose(0, 1000).Select(i => i / 1000.0)
            from shape in Gen.Choose(0, 3).Select(i => (long)i).UpTo(3)
            from value in Finite
            select new Graft
            {
                BaseFingerprint = graft.BaseFingerprint,
                Parts = graft.Parts,
                Outside = graft.Outside,
                Considered = graft.Considered,
                Task = task,
                Sparsity = sparsity,
                ConsideredCount = graft.Count + 7,
                Metrics = metrics.DistinctBy(metric => metric.name).ToDictionary(metric => metric.name, metric => metric.value),
                HeadParameters = new Dictionary<string, TensorValues>
                {
                    ["dense.weight"] = new(
                        shape,
                        [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(i => value + i)]
                    ),
                },
            },
            graft =>
            {
                string path = Path.Join(_folder, "graft.safetensors");
                graft.Save(path);
                Same(graft, Graft.Load(path));
                using var stream = new MemoryStream();
                graft.Save(stream);
                Assert.Equal(File.ReadAllBytes(path), stream.ToArray());
                Same(graft, Graft.Load(stream.ToArray(), "bytes"));
            }
        );

    [Fact]
    public void UnionsAreThoseOfSets() =>
        PropertyCheck.ForAll(
            Cuts.Three(),
            cuts =>
            {
                (Graft a, Graft b, Graft c) = cuts;
                var all = Graft.Union([a, b, c]);
                SameParts(Sorted(a), Graft.Union([a]));
                SameParts(Graft.Union([a]), Graft.Union([a, a]));
                SameParts(Graft.Union([a, b]), Graft.Union([b, a]));
                SameParts(all, Graft.Union([Graft.Union([a, b]), c]));
                SameParts(all, Graft.Union([a, Graft.Union([c, b])]));
                SameParts(all, Graft.Union([c, b, a]));

                // Every coordinate is somebody's, with its value, and nobody's is lost.
                Assert.Equal(new[] { a, b, c }.SelectMany(Coordinates).Distinct().Order(), Coordinates(all).Order());
                Assert.All(all.Parts, part => Assert.Equal(part.Indices.Order().Distinct(), part.Indices));
            }
        );

    [Fact]
    public void OverlapsAgreeWithUnions() =>
        PropertyCheck.ForAll(
            Cuts.Three(),
            cuts =>
            {
                (Graft a, Graft b, Graft c) = cuts;
                var union = Graft.Union([a, b]);
                Assert.Equal(a.Overlap(b), b.Overlap(a));
                Assert.Equal(a.Count, a.Overlap(a));
                Assert.Equal(a.Count, a.Overlap(union));
                Assert.Equal(a.Count + b.Count, union.Count + a.Overlap(b));
                Assert.Equal(Coordinates(a).Intersect(Coordinates(b)).LongCount(), a.Overlap(b));
                Assert.InRange(union.Overlap(c), Math.Max(a.Overlap(c), b.Overlap(c)), c.Count);
            }
        );

    [Fact]
    public void AUnionAppliedIsItsGraftsAppliedOneAfterAnother()
    {
        using LanguageModel model = Toy.Model("roberta");
        string before = model.Fingerprint();
        PropertyCheck.ForAll(
            Cuts.Three(before),
            cuts =>
            {
                using LanguageModel one = model.Clone(),
                    other = model.Clone();
                Graft.Union([cuts.A, cuts.B, cuts.C]).MergeInto(one, before);
                cuts.C.MergeInto(other, before);
                cuts.A.MergeInto(other, before);
                cuts.B.MergeInto(other, before);
                Assert.Equal(other.Fingerprint(), one.Fingerprint());
            },
            25
        );
    }

    [Fact]
    public void TheBasePatchOfAMaskHasItsShareAndTheLargestMovements()
    {
        using LanguageModel pretrained = Toy.Model("roberta", 1),
            tuned = pretrained.Clone();
        Toy.Shake(Parameters.Select(parameter => (Tensor)tuned.Parameters[parameter.Name]));
        double[] moved = [.. Parameters.SelectMany(parameter => Movements(parameter.Name))];
        using LanguageModel model = pretrained.Clone();
        PropertyCheck.ForAll(
            Gen.Choose(0, 500).UpTo(4, 1),
            shares =>
            {
                using var mask = new GraftMask(model, tuned, Parameters.Select(parameter => parameter.Name));
                foreach (double share in shares.Select(share => share / 500.0))
                {
                    mask.SetBasePatch(share);
                    IReadOnlyList<GraftPart> parts = mask.Parts();
                    int count = (int)Math.Floor((decimal)share * moved.Length);
                    Assert.Equal(count, parts.Sum(part => part.Indices.Length));
                    double least = count == 0 ? double.MaxValue : moved.OrderDescending().ElementAt(count - 1);
                    Assert.All(parts, part => Assert.All(part.Indices, i => Assert.True(Movements(part.Name)[i] >= least)));

                    // What the mask applies is what its graft applies.
                    mask.ApplyRounded();
                    using LanguageModel applied = pretrained.Clone();
                    new Graft { BaseFingerprint = "", Parts = parts }.MergeInto(applied, "");
                    Assert.Equal(applied.Fingerprint(), model.Fingerprint());
                    mask.Reset();
                }
            },
            15
        );
        Assert.Equal(pretrained.Fingerprint(), model.Fingerprint());

        double[] Movements(string name)
        {
            using DisposeScope scope = NewDisposeScope();
            return [.. (tuned.Parameters[name] - pretrained.Parameters[name]).abs().data<float>().ToArray().Select(value => (double)value)];
        }
    }

    /// <summary>Grafts of any coordinates and values, some with zeros outside.</summary>
    private static Gen<Graft> Grafts(string fingerprint, Gen<float> values) =>
        from parts in Gen.CollectToArray(
            Parameters.Select(parameter =>
                from members in Gen.Choose(0, 3).ArrayOf(parameter.Count)
                from numbers in values.ArrayOf(parameter.Count)
                from isThere in Gen.Choose(0, 2)
                select isThere == 0 ? null : Part(parameter.Name, members.Select(member => member == 0), i => numbers[i])
            )
        )
        from considered in Gen.SubListOf(Parameters.Select(parameter => parameter.Name))
        from outside in Gen.Elements(Enum.GetValues<GraftOutside>())
        select new Graft
        {
            BaseFingerprint = fingerprint,
            Parts = [.. parts.OfType<GraftPart>()],
            Outside = outside,
            Considered = outside == GraftOutside.Zero ? [.. considered] : [],
        };

    private static Gen<string> Text => Gen.Elements("", "a", "metric.", "ä\n\"\\", "𝒜", "sst-2+mr").UpTo(3).Select(string.Concat);

    private static GraftPart Part(string name, IEnumerable<bool> members, Func<int, float> valueOf)
    {
        int[] indices = [.. members.Index().Where(pair => pair.Item).Select(pair => pair.Index)];
        return new(name, indices, [.. indices.Select(valueOf)]);
    }

    private static IEnumerable<(string Name, int Index, float Value)> Coordinates(Graft graft) =>
        graft.Parts.SelectMany(part => part.Indices.Zip(part.Values, (index, value) => (part.Name, index, value)));

    private static Graft Sorted(Graft graft) =>
        new()
        {
            BaseFingerprint = graft.BaseFingerprint,
            Parts = [.. Parameters.SelectMany(parameter => graft.Parts.Where(part => part.Name == parameter.Name))],
        };

    private static void SameParts(Graft expected, Graft actual)
    {
        Assert.Equal(expected.Parts.Select(part => part.Name), actual.Parts.Select(part => part.Name));
        foreach ((GraftPart one, GraftPart other) in expected.Parts.Zip(actual.Parts))
        {
            Assert.Equal(one.Indices, other.Indices);
            Assert.Equal(Bits(one.Values), Bits(other.Values));
        }
    }

    private static void Same(Graft expected, Graft actual)
    {
        Assert.Equal(
            (expected.BaseFingerprint, expected.Task, expected.Settings, expected.Sparsity, expected.ConsideredCount, expected.Outside),
            (actual.BaseFingerprint, actual.Task, actual.Settings, actual.Sparsity, actual.ConsideredCount, actual.Outside)
        );
        Assert.Equal(expected.Considered, actual.Considered);
        Assert.Equal(expected.Metrics.OrderBy(pair => pair.Key), actual.Metrics.OrderBy(pair => pair.Key));
        SameParts(expected, actual);
        Assert.Equal(expected.HeadParameters.Keys, actual.HeadParameters.Keys);
        foreach ((string name, (long[] shape, float[] values)) in expected.HeadParameters)
        {
            Assert.Equal(shape, actual.HeadParameters[name].Shape);
            Assert.Equal(Bits(values), Bits(actual.HeadParameters[name].Values));
        }
    }

    private static int[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToInt32Bits);

    /// <summary>Grafts that were cut from one fine-tuned model, so that their values agree, with their parts in any order.</summary>
    private static class Cuts
    {
        public static Gen<(Graft A, Graft B, Graft C)> Three(string fingerprint = "f") =>
            from a in One(fingerprint)
            from b in One(fingerprint)
            from c in One(fingerprint)
            select (a, b, c);

        private static Gen<Graft> One(string fingerprint) =>
            from order in Gen.Shuffle(Parameters)
            from parts in Gen.CollectToArray(
                order.Select(parameter =>
                    from members in Gen.Choose(0, 2).ArrayOf(parameter.Count)
                    from isThere in Gen.Choose(0, 3)
                    select isThere == 0
                        ? null
                        : Part(parameter.Name, members.Select(member => member == 0), i => MathF.Sin((31 * i) + parameter.Name.Length))
                )
            )
            select new Graft { BaseFingerprint = fingerprint, Parts = [.. parts.OfType<GraftPart>()] };
    }
}
