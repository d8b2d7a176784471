using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Grafts;

/// <summary>How grafts are stitched: only the grafts' own scalars are looked at, in blocks (methods, E.7).</summary>
internal static class GraftStitch
{
    // Scalars of a parameter that are summed at a time.
    private const int BlockLength = 1 << 14;

    /// <inheritdoc cref="Graft.Stitch(IReadOnlyCollection{Graft}, Graft?)"/>
    public static Graft Of(IReadOnlyCollection<Graft> grafts, Graft? scoring = null)
    {
        ArgumentNullException.ThrowIfNull(grafts);
        if (grafts.Count == 0)
        {
            throw new ArgumentException("There is no graft to stitch.", nameof(grafts));
        }

        if (grafts.Count > byte.MaxValue)
        {
            throw new ArgumentException($"There are {grafts.Count} grafts; up to {byte.MaxValue} can be stitched.", nameof(grafts));
        }

        Graft first = grafts.First();
        foreach (Graft graft in scoring is null ? grafts : grafts.Append(scoring))
        {
            if (graft.BaseFingerprint != first.BaseFingerprint)
            {
                throw new ArgumentException(
                    $"The grafts are for other base models, {first.BaseFingerprint} and {graft.BaseFingerprint}; expected one.",
                    nameof(grafts)
                );
            }

            if (graft.Outside == GraftOutside.Zero)
            {
                throw new ArgumentException(
                    "A graft with zeros outside changes all that it was chosen from; it cannot be stitched.",
                    nameof(grafts)
                );
            }
        }

        using var scratch = new ThreadLocal<(byte[] Counts, double[] Sums)>(() => (new byte[BlockLength], new double[BlockLength]));
        return new()
        {
            BaseFingerprint = first.BaseFingerprint,
            Settings = scoring?.Settings ?? "",
            Task =
                scoring?.Task
                ?? string.Join('+', grafts.Select(graft => graft.Task).Where(task => task.Length > 0).Distinct(StringComparer.Ordinal)),
            ConsideredCount = grafts.All(graft => graft.ConsideredCount == first.ConsideredCount) ? first.ConsideredCount : 0,
            Parts =
            [
                .. grafts
                    .SelectMany(graft => graft.Parts)
                    .GroupBy(part => part.Name, StringComparer.Ordinal)
                    .AsParallel()
                    .Select(parts => Stitch([.. parts], scratch.Value))
                    .OrderBy(part => ParameterPlace.Of(part.Name).Region)
                    .ThenBy(part => ParameterPlace.Of(part.Name).Layer)
                    .ThenBy(part => part.Name, StringComparer.Ordinal),
            ],
            HeadParameters = scoring?.HeadParameters ?? new Dictionary<string, TensorValues>(StringComparer.Ordinal),
        };
    }

    /// <summary>Merges ascending indices of several parts.</summary>
    private static GraftPart Stitch(GraftPart[] parts, (byte[] Counts, double[] Sums) scratch)
    {
        if (parts.Length == 1)
        {
            return parts[0];
        }

        // Twice over the lists: the first time counts, so that nothing larger than the result is allocated.
        int count = 0;
        Walk(parts, scratch, (_, counts, _) => count += counts.Length - counts.Count((byte)0));
        int[] indices = new int[count];
        float[] values = new float[count];
        int next = 0;
        Walk(
            parts,
            scratch,
            (start, counts, sums) =>
            {
                for (int i = 0; counts[i..].IndexOfAnyExcept((byte)0) is >= 0 and var skipped; i++)
                {
                    i += skipped;
                    indices[next] = start + i;
                    values[next++] = (float)(sums[i] / counts[i]);
                    if (i + 1 == counts.Length)
                    {
                        break;
                    }
                }
            }
        );
        return new(parts[0].Name, indices, values);
    }

    /// <summary>Visits the blocks of the parameter that any part has scalars in, with the number and sum of the values of each
    /// scalar.</summary>
    private static void Walk(GraftPart[] parts, (byte[] Counts, double[] Sums) scratch, Visitor visit)
    {
        (byte[] counts, double[] sums) = scratch;
        int[] places = new int[parts.Length];
        while (true)
        {
            int first = int.MaxValue;
            for (int i = 0; i < parts.Length; i++)
            {
                first = places[i] < parts[i].Indices.Length ? Math.Min(first, parts[i].Indices[places[i]]) : first;
            }

            if (first == int.MaxValue)
            {
                return;
            }

            int start = first / BlockLength * BlockLength;
            Array.Clear(counts);
            Array.Clear(sums);
            for (int i = 0; i < parts.Length; i++)
            {
                int[] indices = parts[i].Indices;
                float[] values = parts[i].Values;
                int place = places[i];
                for (; place < indices.Length && indices[place] - start < BlockLength; place++)
                {
                    counts[indices[place] - start]++;
                    sums[indices[place] - start] += values[place];
                }

                places[i] = place;
            }

            visit(start, counts, sums);
        }
    }

    private delegate void Visitor(int start, ReadOnlySpan<byte> counts, ReadOnlySpan<double> sums);
}
