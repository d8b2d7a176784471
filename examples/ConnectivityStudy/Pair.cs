using SkillLoc.Models.Connectivity;

namespace SkillLoc.ConnectivityStudy;

/// <summary>Two ends of an experiment, with all that they depend on.</summary>
internal sealed record Pair(ExperimentPlan Experiment, string Method, string Name, EndSettings First, EndSettings Second)
{
    /// <summary>The name of the line's run.</summary>
    public string Line => $"{Experiment.Name}-{Method}-{Name}";

    /// <summary>The tasks that the line is measured on: of each end its own.</summary>
    public IEnumerable<(string Name, Endpoint End)> Tasks =>
        First.Task == Second.Task ? [(First.Task, Endpoint.First)] : [(First.Task, Endpoint.First), (Second.Task, Endpoint.Second)];

    /// <summary>An experiment's pairs, for each of its methods and bases.</summary>
    public static IEnumerable<Pair> Of(ExperimentPlan experiment, StudyPlan plan) =>
        from method in experiment.Methods
        from steps in experiment.Bases.Count == 0 ? [null] : experiment.Bases.Select(steps => (int?)steps)
        from pair in experiment.Pairs
        let usual = steps is null ? experiment.Both : experiment.Both with { PretrainingSteps = steps }
        select new Pair(
            experiment,
            method,
            steps is null ? pair.Name : $"{pair.Name} after {steps} steps",
            EndSettings.Of(pair.First.Or(usual), method, plan),
            EndSettings.Of(pair.Second.Or(usual), method, plan)
        );
}
