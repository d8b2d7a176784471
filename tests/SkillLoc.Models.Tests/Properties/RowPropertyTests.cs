using FsCheck;
using FsCheck.Fluent;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Datasets;

namespace SkillLoc.Models.Tests.Properties;

/// <summary>What becomes of rows on their way to a model: each is in one batch, and k-shot samples are balanced.</summary>
public sealed class RowPropertyTests
{
    [Fact]
    public void BatchesByLengthArePartitionsWithinTheirBudget() =>
        PropertyCheck.ForAll(
            from lengths in Gen.Choose(0, 40).UpTo(60)
            from budget in Gen.Choose(1, 120)
            select (lengths, budget),
            given =>
            {
                int[][] batches = [.. LengthBatches.Split(given.lengths, given.budget)];
                Assert.Equal(Enumerable.Range(0, given.lengths.Length), batches.SelectMany(rows => rows).Order());
                Assert.DoesNotContain(batches, rows => rows.Length == 0);
                Assert.All(
                    batches,
                    rows => Assert.True(rows.Length == 1 || rows.Length * rows.Max(row => given.lengths[row]) <= given.budget)
                );

                // Longest first, so that no row is padded to a longer one of a later batch, and none would still have fitted.
                Assert.Equal(given.lengths.OrderDescending(), batches.SelectMany(rows => rows).Select(row => given.lengths[row]));
                Assert.All(
                    batches.SkipLast(1),
                    rows => Assert.True((rows.Length + 1) * Math.Max(1, given.lengths[rows[0]]) > given.budget)
                );
            },
            300
        );

    [Fact]
    public void BatchesByCostArePartitionsWithinTheirBudgetAndNoOthersCostLess() =>
        PropertyCheck.ForAll(
            from lengths in Gen.Choose(0, 40).UpTo(9)
            from budget in Gen.Choose(1, 120)
            from pass in Gen.Choose(0, 60)
            select (lengths, budget, pass),
            given =>
            {
                int[][] batches = [.. LengthBatches.Split(given.lengths, given.budget, given.pass)];
                Assert.Equal(Enumerable.Range(0, given.lengths.Length), batches.SelectMany(rows => rows).Order());
                int[] sorted = [.. given.lengths.OrderDescending()];
                Assert.Equal(sorted, batches.SelectMany(rows => rows).Select(row => given.lengths[row]));

                // All ways to cut the sorted rows, each as bits of where a batch ends.
                int cuts = Math.Max(0, sorted.Length - 1);
                long? least = Enumerable.Range(0, 1 << cuts).Min(ways => Cost(Cut(sorted, ways)));
                Assert.Equal(
                    sorted.Length == 0 ? 0 : least,
                    Cost([.. batches.Select(rows => rows.Select(row => given.lengths[row]).ToArray())])
                );

                long? Cost(int[][] parts) =>
                    parts.Any(part => part.Length > 1 && part.Length * Math.Max(1, part[0]) > given.budget)
                        ? null
                        : parts.Sum(part => ((long)part.Length * Math.Max(1, part[0])) + given.pass);
            },
            300
        );

    private static int[][] Cut(int[] sorted, int ways)
    {
        int[] ends = [.. Enumerable.Range(1, sorted.Length).Where(end => end == sorted.Length || ((ways >> (end - 1)) & 1) == 1)];
        return [.. ends.Select((end, i) => sorted[(i == 0 ? 0 : ends[i - 1])..end])];
    }

    [Fact]
    public void SamplesAreBalancedDisjointAndTheSeeds() =>
        PropertyCheck.ForAll(
            from k in Gen.Choose(1, 4)
            from labels in Gen.Choose(1, 4)
            from more in Gen.Choose(0, labels - 1).UpTo(20)
            from order in Gen.Shuffle(
                Enumerable.Range(0, labels).SelectMany(label => Enumerable.Repeat(label, k + 1)).Concat(more).ToArray()
            )
            from seed in Gen.Choose(0, int.MaxValue)
            select (
                k,
                rows: order.Select((label, i) => new LabeledText($"row {i}", i % 2 == 0 ? "pair" : null, $"label {label}", i)).ToArray(),
                seed: (uint)seed
            ),
            given =>
            {
                LabeledText[] before = [.. given.rows];
                (IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> dev) = KShotSampler.Sample(given.rows, given.k, given.seed);
                string[] labels = [.. given.rows.Select(row => row.Label).Distinct().Order()];
                foreach (string label in labels)
                {
                    int there = given.rows.Count(row => row.Label == label);
                    Assert.Equal(given.k, train.Count(row => row.Label == label));
                    Assert.Equal(Math.Min(given.k, there - given.k), dev.Count(row => row.Label == label));
                }

                Assert.Equal(given.k * labels.Length, train.Count);
                Assert.Equal(train.Count + dev.Count, train.Concat(dev).Select(row => row.Line).Distinct().Count());
                Assert.Subset(given.rows.ToHashSet(), train.Concat(dev).ToHashSet());
                Assert.Equal(before, given.rows);
                (IReadOnlyList<LabeledText> again, IReadOnlyList<LabeledText> devAgain) = KShotSampler.Sample(
                    given.rows,
                    given.k,
                    given.seed
                );
                Assert.Equal(train, again);
                Assert.Equal(dev, devAgain);
            }
        );

    [Fact]
    public void SeedsGiveOtherSamples()
    {
        LabeledText[] rows = [.. Enumerable.Range(0, 100).Select(i => new LabeledText("", null, $"{i % 2}", i))];
        Assert.Equal(
            50,
            Enumerable
                .Range(0, 50)
                .Select(seed => string.Join(' ', KShotSampler.Sample(rows, 8, (uint)seed).Train.Select(row => row.Line)))
                .Distinct()
                .Count()
        );
    }

    [Fact]
    public void ShufflesKeepEveryValue() =>
        PropertyCheck.ForAny<(int[] Values, uint Seed)>(given =>
        {
            int[] shuffled = [.. given.Values];
            new NumpyRandom(given.Seed).Shuffle(shuffled.AsSpan());
            Assert.Equal(given.Values.Order(), shuffled.Order());
        });
}
