namespace SkillLoc.Studies;

/// <summary>A run with its id.</summary>
internal sealed record PlannedRun(int Place, string Id, StudyRun Run, IReadOnlyList<PlannedRun> After)
{
    /// <summary>Gives a study's runs their ids: hashes of the kind of study and its version, the name, the settings and what comes
    /// before.</summary>
    /// <exception cref="InvalidDataException">A name occurs twice, or a run comes after one that does not stand before it.</exception>
    public static IReadOnlyList<PlannedRun> Of(IStudy study)
    {
        var planned = new Dictionary<string, PlannedRun>(StringComparer.Ordinal);
        foreach (StudyRun run in study.Plan())
        {
            PlannedRun[] after =
            [
                .. run.After.Select(name =>
                    planned.TryGetValue(name, out PlannedRun? earlier)
                        ? earlier
                        : throw new InvalidDataException($"The run '{run.Name}' comes after '{name}', which does not stand before it.")
                ),
            ];
            string id = StudyJson.FingerprintOf(study.Name, study.Version, run.Name, run.Settings, after.Select(each => each.Id));
            if (!planned.TryAdd(run.Name, new(planned.Count, id, run, after)))
            {
                throw new InvalidDataException($"The study has two runs of the name '{run.Name}'.");
            }
        }

        return [.. planned.Values];
    }

    /// <summary>The runs of a shard and those that they come after, in the study's order.</summary>
    public static IReadOnlyList<PlannedRun> Needed(IReadOnlyList<PlannedRun> all, StudyShard shard)
    {
        var needed = new HashSet<PlannedRun>(ReferenceEqualityComparer.Instance);
        foreach (PlannedRun run in all.Where(run => shard.Has(run.Place)))
        {
            Add(run);
        }

        return [.. all.Where(needed.Contains)];

        void Add(PlannedRun run)
        {
            if (needed.Add(run))
            {
                foreach (PlannedRun earlier in run.After)
                {
                    Add(earlier);
                }
            }
        }
    }
}
