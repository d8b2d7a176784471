using System.Globalization;
using SkillLoc.Models.Backbones;

namespace SkillLoc.Models.Grafts;

/// <summary>
/// The union of grafts: gamma_G = OR of gamma_i, which gives one base model several skills at once (Panigrahi et al. 2023;
/// methods, A.13).
/// </summary>
/// <remarks>
/// A union is purified by a few steps of fine-tuning, 10 in the paper, that start from it and are restricted to its coordinates: the
/// trainers' options StartFrom = [union], Region = union.Parts and MaxSteps = 10. <see cref="Graft.WithValuesOf"/> then takes the purified
/// union out of the trained model.
/// </remarks>
public static class GraftUnion
{
    /// <summary>
    /// Joins grafts that were cut from one fine-tuned model (a multi-task model, or the sequence of continual learning), so that they
    /// agree wherever they overlap.
    /// </summary>
    /// <param name="grafts">At least one graft, all of the same base model, in any order.</param>
    /// <param name="scoring">Whose task the union is for: its <see cref="Graft.Settings"/>, <see cref="Graft.Task"/> and
    /// <see cref="Graft.HeadParameters"/> are taken over, so that the union can score texts of that task. Null leaves settings and head
    /// out and joins the tasks' names with <c>+</c>.</param>
    /// <returns>
    /// The union, without metrics; its sparsity is 0, as it has no base patch of its own. <see cref="Graft.ConsideredCount"/> is the
    /// grafts' own where they have the same, else 0. Parts are in the order embeddings, layers, head, and by name within.
    /// </returns>
    /// <exception cref="ArgumentException">There is no graft, they are for different base models, or two have different values at the
    /// same place.</exception>
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
            Task = scoring?.Task
                ?? string.Join('+', grafts.Select(graft => graft.Task).Where(task => task.Length > 0).Distinct(StringComparer.Ordinal)),
            ConsideredCount = grafts.All(graft => graft.ConsideredCount == first.ConsideredCount) ? first.ConsideredCount : 0,
            Parts =
            [
                .. grafts.SelectMany(graft => graft.Parts)
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
        for (int i = 0, j = 0; i < first.Indices.Length || j < second.Indices.Length;)
        {
            int one = i < first.Indices.Length ? first.Indices[i] : int.MaxValue;
            int other = j < second.Indices.Length ? second.Indices[j] : int.MaxValue;
            if (one == other && !first.Values[i].Equals(second.Values[j]))
            {
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Two grafts have different values for scalar {one} of '{first.Name}', {first.Values[i]} and {second.Values[j]}")
                    + ": a union is of grafts that were cut from one fine-tuned model.");
            }

            indices.Add(Math.Min(one, other));
            values.Add(one <= other ? first.Values[i] : second.Values[j]);
            i += one <= other ? 1 : 0;
            j += other <= one ? 1 : 0;
        }

        return new(first.Name, [.. indices], [.. values]);
    }
}
