using System.Globalization;
using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// The union of grafts: gamma_G = OR of gamma_i, which combines several skills in one base model (Panigrahi et al. 2023; methods, A.13).
/// </summary>
/// <remarks>
/// To purify a union, fine-tune it for a few steps (10 in the paper) restricted to its coordinates, with the trainer options StartFrom =
/// [union], Region = union.Parts and MaxSteps = 10, and extract it with <see cref="Graft.WithValuesOf"/>.
/// </remarks>
public static class GraftUnion
{
    /// <summary>
    /// Combines grafts of one fine-tuned model (a multi-task model, or the sequence of continual learning), whose values agree where they
    /// overlap.
    /// </summary>
    /// <param name="grafts">At least one graft, all of the same base model, in any order.</param>
    /// <param name="scoring">The graft whose task the union will score: its <see cref="Graft.Settings"/>, <see cref="Graft.Task"/> and
    /// <see cref="Graft.HeadParameters"/> are taken over. Null omits settings and head and joins the task names with <c>+</c>.</param>
    /// <returns>
    /// The union, without metrics and with a sparsity of 0, since it has no base patch. <see cref="Graft.ConsideredCount"/> is that of the
    /// grafts if they agree, else 0. Parts are ordered by embeddings, layers and head, then by name.
    /// </returns>
    /// <exception cref="ArgumentException">There is no graft, their base models differ, or two have different values at the same
    /// coordinate.</exception>
    public static Graft Of(IReadOnlyCollection<Graft> grafts, Graft? scoring = null)
    {
        ArgumentNullException.ThrowIfNull(grafts);
        if (grafts.Count == 0)
        {
            throw new ArgumentException("There is no graft to join.", nameof(grafts));
        }

        Graft first = grafts.First();
        foreach (Graft graft in scoring is null ? grafts : grafts.Append(scoring))
        {
            GraftOverlap.CheckBase(first, graft);
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
                    .GroupBy(part => part.Name, (_, parts) => parts.Aggregate(Join), StringComparer.Ordinal)
                    .OrderBy(part => ParameterPlace.Of(part.Name).Region)
                    .ThenBy(part => ParameterPlace.Of(part.Name).Layer)
                    .ThenBy(part => part.Name, StringComparer.Ordinal),
            ],
            HeadParameters = scoring?.HeadParameters ?? new Dictionary<string, (long[] Shape, float[] Values)>(StringComparer.Ordinal),
        };
    }

    /// <summary>Merges two parts' ascending indices.</summary>
    private static GraftPart Join(GraftPart first, GraftPart second)
    {
        var indices = new List<int>(first.Indices.Length + second.Indices.Length);
        var values = new List<float>(indices.Capacity);
        for (int i = 0, j = 0; i < first.Indices.Length || j < second.Indices.Length; )
        {
            int one = i < first.Indices.Length ? first.Indices[i] : int.MaxValue;
            int other = j < second.Indices.Length ? second.Indices[j] : int.MaxValue;
            if (one == other && !first.Values[i].Equals(second.Values[j]))
            {
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Two grafts have different values for scalar {one} of '{first.Name}', {first.Values[i]} and {second.Values[j]}"
                    ) + ": a union is of grafts that were cut from one fine-tuned model."
                );
            }

            indices.Add(Math.Min(one, other));
            values.Add(one <= other ? first.Values[i] : second.Values[j]);
            i += one <= other ? 1 : 0;
            j += other <= one ? 1 : 0;
        }

        return new(first.Name, [.. indices], [.. values]);
    }
}
