namespace SkillLoc.ConnectivityStudy;

/// <summary>A plane of an experiment, with all that its ends depend on.</summary>
internal sealed record Plane(ExperimentPlan Experiment, string Method, PlanePlan Plan, IReadOnlyList<EndSettings> Ends)
{
    /// <summary>The name of its run.</summary>
    public string Run => $"{Experiment.Name}-{Method}-{Plan.Name}, plane";

    /// <summary>An experiment's planes, for each of its methods.</summary>
    public static IEnumerable<Plane> Of(ExperimentPlan experiment, StudyPlan plan) =>
        from method in experiment.Methods
        from plane in experiment.Planes
        select new Plane(experiment, method, plane, [.. plane.Ends.Select(end => EndSettings.Of(end.Or(experiment.Both), method, plan))]);
}
