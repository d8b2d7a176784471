using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// Stitches grafts of one base into one: a scalar that one graft changes keeps its value, one that several change is moved by the mean of
/// their differences from the base (He et al. 2025, Localize-and-Stitch; the rule of RAM; methods, E.7). Only the grafts' scalars are
/// looked at, and the result is a graft.
/// </summary>
public static class GraftStitch
{
    /// <summary>Stitches grafts whose values at shared scalars are averaged.</summary>
    /// <param name="grafts">At least one graft, all of one base and without zeros outside.</param>
    /// <param name="scoring">The graft whose task the result will score: its settings, task and head are taken over; null joins the names
    /// of the tasks with <c>+</c> and takes none.</param>
    /// <returns>The graft, without metrics. The mean of values is the base moved by the mean of differences, so that the base is not
    /// needed.</returns>
    /// <exception cref="ArgumentException">There is no graft, their bases differ, or one has zeros outside.</exception>
    public static Graft Of(IReadOnlyCollection<Graft> grafts, Graft? scoring = null)
    {
        ArgumentNullException.ThrowIfNull(grafts);
        if (grafts.Count == 0)
        {
            throw new ArgumentException("There is no graft to stitch.", nameof(grafts));
        }

        Graft first = grafts.First();
        foreach (Graft graft in scoring is null ? grafts : grafts.Append(scoring))
        {
            if (graft.BaseFingerprint != first.BaseFingerprint)
            {
                throw new ArgumentException(
                    $"The grafts are for other base models, {first.BaseFingerprint} and {graft.BaseFingerprint}; right would be one.",
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
                    .GroupBy(part => part.Name, (_, parts) => Stitch([.. parts]), StringComparer.Ordinal)
                    .OrderBy(part => ParameterPlace.Of(part.Name).Region)
                    .ThenBy(part => ParameterPlace.Of(part.Name).Layer)
                    .ThenBy(part => part.Name, StringComparer.Ordinal),
            ],
            HeadParameters = scoring?.HeadParameters ?? new Dictionary<string, (long[] Shape, float[] Values)>(StringComparer.Ordinal),
        };
    }

    /// <summary>Merges ascending indices of several parts.</summary>
    private static GraftPart Stitch(GraftPart[] parts)
    {
        if (parts.Length == 1)
        {
            return parts[0];
        }

        // Two merges of the sorted lists: one counts, so that nothing larger than the result is allocated.
        int count = 0;
        Walk(parts, (_, _, _) => count++);
        int[] indices = new int[count];
        float[] values = new float[count];
        int next = 0;
        Walk(
            parts,
            (index, sum, owners) =>
            {
                indices[next] = index;
                values[next++] = (float)(sum / owners);
            }
        );
        return new(parts[0].Name, indices, values);
    }

    /// <summary>Visits each scalar once, in order, with the sum of its values and their number.</summary>
    private static void Walk(GraftPart[] parts, Action<int, double, int> visit)
    {
        int[] places = new int[parts.Length];
        while (true)
        {
            int index = int.MaxValue;
            for (int i = 0; i < parts.Length; i++)
            {
                index = places[i] < parts[i].Indices.Length ? Math.Min(index, parts[i].Indices[places[i]]) : index;
            }

            if (index == int.MaxValue)
            {
                return;
            }

            double sum = 0;
            int owners = 0;
            for (int i = 0; i < parts.Length; i++)
            {
                if (places[i] < parts[i].Indices.Length && parts[i].Indices[places[i]] == index)
                {
                    sum += parts[i].Values[places[i]++];
                    owners++;
                }
            }

            visit(index, sum, owners);
        }
    }
}
