using FsCheck.Fluent;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Models.Tests.Grafts;

public sealed class GraftUnionTests
{
    private const string Query = "roberta.encoder.layer.1.attention.self.query.weight";
    private const string Early = "roberta.encoder.layer.0.output.dense.weight";
    private const string Embedding = "roberta.embeddings.LayerNorm.weight";

    private static Graft Of(string task, params GraftPart[] parts) =>
        new()
        {
            BaseFingerprint = "abc",
            Task = task,
            ConsideredCount = 1000,
            Parts = parts,
        };

    private static Graft Of(string task, IEnumerable<int> indices) =>
        Of(task, new GraftPart(Query, [.. indices], [.. indices.Select(i => i / 2f)]));

    [Fact]
    public void TheOverlapIsTheSharedCoordinates()
    {
        Graft first = Of("a", new(Query, [1, 4, 7, 9], [0, 0, 0, 0]), new(Early, [3], [0]));
        Graft second = Of("b", new(Early, [2, 4], [0, 0]), new(Query, [0, 4, 9, 10], [5, 5, 5, 5]));
        Assert.Equal(2, first.Overlap(second));
        Assert.Equal(2, second.Overlap(first));
        Assert.Equal(5, first.Overlap(first));
        Assert.Equal(0, first.Overlap(Of("empty")));
    }

    [Fact]
    public void TheUnionHasEveryCoordinateOnceWithItsValue()
    {
        var union = Graft.Union([
            Of("a", new(Query, [1, 4], [0.5f, -2]), new(Early, [3], [7])),
            Of("b", new GraftPart(Query, [0, 4, 9], [3, -2, 1])),
            Of("c", new GraftPart(Embedding, [5], [6])),
        ]);
        Assert.Equal([Embedding, Early, Query], union.Parts.Select(part => part.Name));
        Assert.Equal([0, 1, 4, 9], union.Parts[2].Indices);
        Assert.Equal([3, 0.5f, -2, 1], union.Parts[2].Values);
        Assert.Equal([6], union.Parts[0].Values);
        Assert.Equal(6, union.Count);
        Assert.Equal(("abc", "a+b+c", "", 1000), (union.BaseFingerprint, union.Task, union.Settings, union.ConsideredCount));
        Assert.Empty(union.Metrics);
    }

    [Fact]
    public void SizesOfUnionAndOverlapAreThoseOfSets() =>
        FsCheck.Check.QuickThrowOnFailure(
            Prop.ForAll(
                ArbMap.Default.ArbFor<(byte[], byte[])>(),
                sets =>
                {
                    int[] ones = [.. sets.Item1.Select(i => (int)i).Distinct().Order()],
                        others = [.. sets.Item2.Select(i => (int)i).Distinct().Order()];
                    Graft first = Of("a", ones),
                        second = Of("b", others);
                    Graft union = Graft.Union([first, second]),
                        back = Graft.Union([second, first]);
                    int[] all = [.. ones.Union(others).Order()];
                    return first.Overlap(second) == ones.Intersect(others).Count()
                        && union.Parts[0].Indices.SequenceEqual(all)
                        && union.Parts[0].Values.SequenceEqual(all.Select(i => i / 2f))
                        && back.Parts[0].Indices.SequenceEqual(all)
                        && Graft.Union([union, first]).Parts[0].Indices.SequenceEqual(all);
                }
            )
        );

    [Fact]
    public void AUnionCanBeForOneOfItsTasks()
    {
        var scoring = new Graft
        {
            BaseFingerprint = "abc",
            Task = "b",
            Settings = "{}",
            ConsideredCount = 900,
            Parts = [new(Query, [2], [1])],
            HeadParameters = new Dictionary<string, TensorValues> { ["weight"] = new([1], [4]) },
        };
        var union = Graft.Union([Of("a", [1]), scoring], scoring);
        Assert.Equal(("b", "{}"), (union.Task, union.Settings));
        Assert.Equal([4], union.HeadParameters["weight"].Values);
        Assert.Equal(0, union.ConsideredCount);
        Assert.Empty(Graft.Union([scoring]).HeadParameters);
    }

    [Fact]
    public void ValuesThatDisagreeAreRefused()
    {
        Graft first = Of("a", new GraftPart(Query, [3, 8], [1, 0.25f])),
            second = Of("b", new GraftPart(Query, [8], [-0.5f]));
        string message = Assert.Throws<ArgumentException>(() => Graft.Union([first, second])).Message;
        Assert.Contains($"scalar 8 of '{Query}', 0.25 and -0.5", message);
    }

    [Fact]
    public void GraftsOfDifferentBasesAreRefused()
    {
        Graft first = Of("a", [1]),
            second = new() { BaseFingerprint = "def", Parts = first.Parts };
        foreach (
            Action action in new Action[]
            {
                () => first.Overlap(second),
                () => Graft.Union([first, first, second]),
                () => Graft.Union([first], second),
            }
        )
        {
            string message = Assert.Throws<ArgumentException>(action).Message;
            Assert.Contains("abc", message);
            Assert.Contains("def", message);
        }

        Assert.Throws<ArgumentException>(() => Graft.Union([]));
    }

    [Fact]
    public void AGraftIsRestrictedToParametersOrToAnother()
    {
        Graft first = Of("a", new GraftPart(Embedding, [2], [7]), new GraftPart(Query, [1, 4, 9], [1, 2, 3])),
            second = Of("b", new GraftPart(Query, [0, 4, 9, 12], [5, 6, 7, 8]));
        GraftPart query = Assert.Single(first.Restrict(name => name == Query).Parts);
        Assert.Equal([1, 4, 9], query.Indices);
        Assert.Equal([1, 2, 3], query.Values);
        Graft shared = first.Restrict(second);
        Assert.Equal(first.Overlap(second), shared.Count);
        Assert.Equal("a", shared.Task);
        GraftPart part = Assert.Single(shared.Parts);
        Assert.Equal([4, 9], part.Indices);
        Assert.Equal([2, 3], part.Values);
        Assert.Empty(first.Restrict(Of("c")).Parts);
    }

    [Fact]
    public void AGraftIsUnitedWithOthers() =>
        Assert.Equal([1, 4, 9], Assert.Single(Of("a", [1]).Union(Of("b", [4]), Of("c", [9])).Parts).Indices);
}
