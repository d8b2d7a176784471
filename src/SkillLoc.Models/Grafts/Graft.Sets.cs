using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using TorchSharp.Modules;

namespace SkillLoc.Models.Grafts;

/// <content>Grafts of one base model as sets of coordinates.</content>
public sealed partial class Graft
{
    /// <summary>Stitches this graft and others of one base; see <see cref="Stitch(IReadOnlyCollection{Graft}, Graft?)"/>.</summary>
    /// <param name="others">The others.</param>
    /// <returns>The graft, without settings, head and metrics.</returns>
    /// <exception cref="ArgumentException">There are more than 255 grafts, their bases differ, or one has zeros outside.</exception>
    public Graft Stitch(params IEnumerable<Graft> others)
    {
        ArgumentNullException.ThrowIfNull(others);
        return Stitch([this, .. others], scoring: null);
    }

    /// <summary>
    /// Stitches grafts of one base into one, of whatever models: a scalar that one graft changes keeps its value, one that several change is
    /// moved by the mean of their differences from the base (He et al. 2025, Localize-and-Stitch; the rule of RAM; methods, E.7).
    /// </summary>
    /// <param name="grafts">At least one graft, all of one base and without zeros outside.</param>
    /// <param name="scoring">The graft whose task the result will score: its settings, task and head are taken over; null joins the names
    /// of the tasks with <c>+</c> and takes none.</param>
    /// <returns>The graft, without metrics. The mean of values is the base moved by the mean of differences, so that the base is not
    /// needed.</returns>
    /// <exception cref="ArgumentException">There is no graft or more than 255, their bases differ, or one has zeros outside.</exception>
    public static Graft Stitch(IReadOnlyCollection<Graft> grafts, Graft? scoring = null) => GraftStitch.Of(grafts, scoring);

    /// <summary>The union of this graft and others of the same fine-tuned model; see <see cref="Union(IReadOnlyCollection{Graft},
    /// Graft?)"/>.</summary>
    /// <param name="others">The others.</param>
    /// <returns>The union, without settings, head and metrics.</returns>
    /// <exception cref="ArgumentException">Base models differ, or two grafts have different values at the same coordinate.</exception>
    public Graft Union(params IEnumerable<Graft> others)
    {
        ArgumentNullException.ThrowIfNull(others);
        return Union([this, .. others], scoring: null);
    }

    /// <summary>
    /// The union of grafts: gamma_G = OR of gamma_i, which combines several skills in one base model (Panigrahi et al. 2023; methods,
    /// A.13). The grafts are of one fine-tuned model (a multi-task model, or the sequence of continual learning), so their values agree
    /// where they overlap.
    /// </summary>
    /// <remarks>
    /// To purify a union, fine-tune it for a few steps (10 in the paper) restricted to its coordinates, with the trainer options StartFrom =
    /// [union], Region = union.Parts and MaxSteps = 10, and extract it with <see cref="WithValuesOf"/>.
    /// </remarks>
    /// <param name="grafts">At least one graft, all of the same base model, in any order.</param>
    /// <param name="scoring">The graft whose task the union will score: its <see cref="Settings"/>, <see cref="Task"/> and
    /// <see cref="HeadParameters"/> are taken over. Null omits settings and head and joins the task names with <c>+</c>.</param>
    /// <returns>
    /// The union, without metrics and with a sparsity of 0, since it has no base patch. <see cref="ConsideredCount"/> is that of the
    /// grafts if they agree, else 0. Parts are ordered by embeddings, layers and head, then by name.
    /// </returns>
    /// <exception cref="ArgumentException">There is no graft, their base models differ, or two have different values at the same
    /// coordinate.</exception>
    public static Graft Union(IReadOnlyCollection<Graft> grafts, Graft? scoring = null)
    {
        ArgumentNullException.ThrowIfNull(grafts);
        if (grafts.Count == 0)
        {
            throw new ArgumentException("There is no graft to join.", nameof(grafts));
        }

        Graft first = grafts.First();
        foreach (Graft graft in scoring is null ? grafts : grafts.Append(scoring))
        {
            first.CheckBase(graft);
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
            HeadParameters = scoring?.HeadParameters ?? new Dictionary<string, TensorValues>(StringComparer.Ordinal),
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

    /// <summary>|gamma_1 AND gamma_2|: the number of scalars that another graft has too, regardless of values (Panigrahi et al. 2023;
    /// methods, A.13).</summary>
    /// <param name="other">Another graft of the same base model.</param>
    /// <returns>The number of scalars.</returns>
    /// <exception cref="ArgumentException">The grafts are for different base models.</exception>
    public long Overlap(Graft other)
    {
        ArgumentNullException.ThrowIfNull(other);
        CheckBase(other);
        var others = other.Parts.ToDictionary(part => part.Name, part => part.Indices, StringComparer.Ordinal);
        return Parts.Sum(part => others.TryGetValue(part.Name, out int[]? indices) ? Shared(part.Indices, indices) : 0);
    }

    /// <summary>Restricts the graft to some parameters, such as those of one layer, to see what each part of a skill contributes.</summary>
    /// <param name="selects">Returns true for the names of parameters that keep their coordinates.</param>
    /// <returns>The smaller graft, with this one's task, head and values, but without metrics.</returns>
    public Graft Restrict(Func<string, bool> selects)
    {
        ArgumentNullException.ThrowIfNull(selects);
        return With([.. Parts.Where(part => selects(part.Name))]);
    }

    /// <summary>Restricts the graft to the coordinates that another one has too: as many as <see cref="Overlap"/> counts.</summary>
    /// <param name="other">Another graft of the same base model.</param>
    /// <returns>The smaller graft, with this one's task, head and values, but without metrics.</returns>
    /// <exception cref="ArgumentException">The grafts are for different base models.</exception>
    public Graft Restrict(Graft other)
    {
        ArgumentNullException.ThrowIfNull(other);
        CheckBase(other);
        var others = other.Parts.ToDictionary(part => part.Name, part => part.Indices, StringComparer.Ordinal);
        return With([.. Parts.Where(part => others.ContainsKey(part.Name)).Select(Within).Where(part => part.Indices.Length > 0)]);

        GraftPart Within(GraftPart part)
        {
            int[] places =
            [
                .. Enumerable.Range(0, part.Indices.Length).Where(i => Array.BinarySearch(others[part.Name], part.Indices[i]) >= 0),
            ];
            return part with
            {
                Indices = Array.ConvertAll(places, i => part.Indices[i]),
                Values = Array.ConvertAll(places, i => part.Values[i]),
            };
        }
    }

    /// <summary>How the graft is distributed over parameters.</summary>
    /// <param name="model">A model with the base's parameters.</param>
    /// <param name="considered">The parameters that the graft could have used; all of the graft's must be among them.</param>
    /// <returns>One entry per considered parameter, in their order, including those without graft.</returns>
    /// <exception cref="ArgumentException">The model lacks a parameter or has fewer scalars, or the graft has coordinates outside
    /// <paramref name="considered"/>.</exception>
    public IReadOnlyList<GraftSpread> Spread(LanguageModel model, IEnumerable<string> considered)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(considered);
        var parts = Parts.ToDictionary(part => part.Name, StringComparer.Ordinal);
        var spread = new List<GraftSpread>();
        foreach (string name in considered)
        {
            if (!model.Parameters.TryGetValue(name, out Parameter? weight))
            {
                throw new ArgumentException($"The model has no parameter '{name}'.", nameof(considered));
            }

            parts.Remove(name, out GraftPart? part);
            long scalars = weight.numel();
            if (part is { Indices: [.., int last] } && last >= scalars)
            {
                throw new ArgumentException(
                    $"The graft has scalar {last} of '{name}', which has {scalars} scalars in this model: it is for another one.",
                    nameof(model)
                );
            }

            spread.Add(new(ParameterPlace.Of(name), part?.Indices.Length ?? 0, scalars));
        }

        return parts.Count == 0
            ? spread
            : throw new ArgumentException(
                $"The graft has scalars of {string.Join(", ", parts.Keys.Select(name => $"'{name}'"))}, which the model lacks or which "
                    + "are not among the parameters considered.",
                nameof(considered)
            );
    }

    private Graft With(IReadOnlyList<GraftPart> parts) =>
        new()
        {
            BaseFingerprint = BaseFingerprint,
            Settings = Settings,
            Task = Task,
            Sparsity = Sparsity,
            ConsideredCount = ConsideredCount,
            Parts = parts,
            HeadParameters = HeadParameters,
            Outside = Outside,
            Considered = Considered,
        };

    /// <exception cref="ArgumentException">The grafts are for different base models.</exception>
    private void CheckBase(Graft other)
    {
        if (BaseFingerprint != other.BaseFingerprint)
        {
            throw new ArgumentException(
                $"The grafts are for different base models, with fingerprints {BaseFingerprint} and {other.BaseFingerprint}: "
                    + "only grafts of one base model have coordinates in common.",
                nameof(other)
            );
        }
    }

    /// <summary>The size of the intersection of two ascending lists.</summary>
    private static long Shared(int[] first, int[] second)
    {
        long shared = 0;
        for (int i = 0, j = 0; i < first.Length && j < second.Length; )
        {
            int order = first[i].CompareTo(second[j]);
            shared += order == 0 ? 1 : 0;
            i += order <= 0 ? 1 : 0;
            j += order >= 0 ? 1 : 0;
        }

        return shared;
    }
}

/// <summary>The part of a graft in one parameter.</summary>
/// <param name="Place">The parameter's place in the model.</param>
/// <param name="Count">Number of the graft's scalars there.</param>
/// <param name="Scalars">Number of scalars that the parameter has.</param>
public sealed record GraftSpread(ParameterPlace Place, long Count, long Scalars);
