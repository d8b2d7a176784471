using System.Diagnostics;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Models.Tests.Grafts;

public sealed class GraftStitchTests
{
    private const string Query = "roberta.encoder.layer.1.attention.self.query.weight";
    private const string Early = "roberta.encoder.layer.0.output.dense.weight";

    private static Graft Of(string task, params GraftPart[] parts) =>
        new()
        {
            BaseFingerprint = "abc",
            Task = task,
            ConsideredCount = 1000,
            Parts = parts,
        };

    [Fact]
    public void OwnScalarsStayWholeAndSharedOnesAreMeans()
    {
        var stitched = Graft.Stitch([
            Of("a", new(Query, [1, 4, 20_000], [0.5f, -2, 9]), new(Early, [3], [7])),
            Of("b", new GraftPart(Query, [0, 4, 40_000], [3, 4, 1])),
            Of("c", new GraftPart(Query, [4, 16_383, 16_384], [1, 2, 3])),
        ]);
        Assert.Equal([Early, Query], stitched.Parts.Select(part => part.Name));
        Assert.Equal([0, 1, 4, 16_383, 16_384, 20_000, 40_000], stitched.Parts[1].Indices);
        Assert.Equal([3, 0.5f, 1, 2, 3, 9, 1], stitched.Parts[1].Values);
        Assert.Equal(("abc", "a+b+c", 1000), (stitched.BaseFingerprint, stitched.Task, stitched.ConsideredCount));
    }

    [Fact]
    public void TheTaskIsThatOfTheScoringGraft()
    {
        Graft scoring = new()
        {
            BaseFingerprint = "abc",
            Task = "a",
            Settings = "",
            Parts = [new(Query, [1], [2])],
            HeadParameters = new Dictionary<string, TensorValues> { ["classifier.weight"] = new([1], [3]) },
        };
        var stitched = Graft.Stitch([scoring, Of("b", new GraftPart(Query, [1], [4]))], scoring);
        Assert.Equal("a", stitched.Task);
        Assert.Equal([3f], stitched.HeadParameters["classifier.weight"].Values);
        Assert.Equal([3f], stitched.Parts[0].Values);
    }

    [Fact]
    public void OtherBasesAndZerosOutsideAreRefused()
    {
        Graft other = new() { BaseFingerprint = "def", Parts = [] },
            zeros =
                new()
                {
                    BaseFingerprint = "abc",
                    Parts = [],
                    Outside = GraftOutside.Zero,
                    Considered = [Query],
                };
        Assert.Contains("def", Assert.Throws<ArgumentException>(() => Graft.Stitch([Of("a"), other])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Graft.Stitch([Of("a"), zeros]));
        Assert.Throws<ArgumentException>(() => Graft.Stitch([]));
    }

    [Fact]
    public void StitchingAgreesWithADenseSum()
    {
        const int Length = 50_000;
        var random = new Random(1);
        Graft[] grafts =
        [
            .. Enumerable
                .Range(0, 5)
                .Select(i =>
                {
                    int[] indices = [.. Enumerable.Range(0, Length).Where(_ => random.NextDouble() < 0.2)];
                    return Of($"{i}", new GraftPart(Query, indices, [.. indices.Select(_ => random.NextSingle())]));
                }),
        ];
        double[] sums = new double[Length];
        int[] counts = new int[Length];
        foreach (GraftPart part in grafts.Select(graft => graft.Parts[0]))
        {
            for (int i = 0; i < part.Indices.Length; i++)
            {
                sums[part.Indices[i]] += part.Values[i];
                counts[part.Indices[i]]++;
            }
        }

        GraftPart stitched = Graft.Stitch(grafts).Parts[0];
        Assert.Equal([.. Enumerable.Range(0, Length).Where(i => counts[i] > 0)], stitched.Indices);
        Assert.Equal([.. stitched.Indices.Select(i => (float)(sums[i] / counts[i]))], stitched.Values);
    }

    [Fact]
    public void TwelveGraftsOfAnEncodersSizeTakeLittleTimeAndMemory()
    {
        // RoBERTa-base: 72 matrices of layers and the word embeddings; 0.1 to 1 % of their scalars.
        (string Name, int Length)[] parameters =
        [
            ("roberta.embeddings.word_embeddings.weight", 50_265 * 768),
            .. Enumerable
                .Range(0, 12)
                .SelectMany(layer =>
                    new[] { ("attention.self.query", 768 * 768), ("attention.self.key", 768 * 768), ("attention.self.value", 768 * 768) }
                        .Concat([("attention.output.dense", 768 * 768), ("intermediate.dense", 768 * 3072), ("output.dense", 768 * 3072)])
                        .Select(part => ($"roberta.encoder.layer.{layer}.{part.Item1}.weight", part.Item2))
                ),
        ];
        Graft[] grafts =
        [
            .. Enumerable
                .Range(0, 12)
                .Select(i =>
                {
                    var random = new Random(i);
                    int step = 2 * (int)(1 / (0.001 + (0.009 * i / 11)));
                    return Of(
                        $"{i}",
                        [
                            .. parameters.Select(parameter =>
                            {
                                var indices = new List<int>();
                                for (int at = random.Next(step); at < parameter.Length; at += 1 + random.Next(step - 1))
                                {
                                    indices.Add(at);
                                }

                                return new GraftPart(parameter.Name, [.. indices], [.. indices.Select(_ => random.NextSingle())]);
                            }),
                        ]
                    );
                }),
        ];
        long bytes = grafts.Sum(graft => graft.Count) * (sizeof(int) + sizeof(float));
        Graft.Stitch([.. grafts.Take(2)]);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        var watch = Stopwatch.StartNew();
        var stitched = Graft.Stitch(grafts);
        watch.Stop();
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{grafts.Sum(graft => graft.Count)} scalars to {stitched.Count} in {watch.ElapsedMilliseconds} ms, {allocated / 1e6:F0} MB beside {bytes / 1e6:F0} MB"
        );

        // A second on a quiet machine; this one may not be.
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
        Assert.True(allocated < bytes, $"{allocated} bytes beside the grafts' {bytes}");
    }
}
