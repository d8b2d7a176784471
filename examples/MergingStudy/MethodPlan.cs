namespace SkillLoc.MergingStudy;

/// <summary>A way to merge.</summary>
public sealed record MethodPlan
{
    /// <summary>What the tables call it; null for the method's name.</summary>
    public string? Name { get; init; }

    /// <summary>The method of a recipe.</summary>
    public required string Method { get; init; }

    /// <summary>Its parameters.</summary>
    public IReadOnlyDictionary<string, double> Parameters { get; init; } = new Dictionary<string, double>();

    /// <summary>Values of a parameter of which the best on the tasks' dev rows is taken; none to choose nothing.</summary>
    public IReadOnlyList<double> Choices { get; init; } = [];

    /// <summary>The parameter that <see cref="Choices"/> are of.</summary>
    public string Chosen { get; init; } = "lambda";

    /// <summary>What the tables call it.</summary>
    public string Title => Name ?? Method;
}
