using SkillLoc.Models.Merging.Methods;

namespace SkillLoc.Models.Merging;

/// <summary>
/// A way to make one model of several: the formulas that give each tensor of the result from the tensors of the same name in the models
/// that are merged. Names and parameters are those of mergekit where it has the method (methods, E).
/// </summary>
public abstract class MergeMethod
{
    private static readonly OrderedDictionary<string, Func<MergeMethod>> Registered = new(
        new Func<MergeMethod>[]
        {
            () => new Linear(),
            () => new WiseFt(),
            () => new Slerp(),
            () => new NuSlerp(),
            () => new MultiSlerp(),
            () => new Karcher(),
            () => new TaskArithmetic(),
            () => new Ties(TiesConvention.MergeKit),
            () => new Ties(TiesConvention.Original),
            () => new Ties(TiesConvention.Peft),
            () => new Dare(votes: false),
            () => new Dare(votes: true),
            () => new Della(votes: true),
            () => new Della(votes: false),
            () => new Breadcrumbs(votes: false),
            () => new Breadcrumbs(votes: true),
            () => new Sce(),
            () => new ModelStock(),
            () => new NearSwap(),
            () => new ArceeFusion(),
            () => new Ram(plus: false),
            () => new Ram(plus: true),
            () => new MagMax(),
            () => new LocalizeAndStitch(),
            () => new TallMask(),
            () => new Consensus(),
            () => new Emr(),
            () => new TaskSingularVectors(),
            () => new Isotropic(),
            () => new Wudi(),
            () => new Fisher(),
            () => new RegMean(),
            () => new Passthrough(),
        }.Select(create => KeyValuePair.Create(create().Name, create)),
        StringComparer.Ordinal
    );

    private protected MergeMethod() { }

    /// <summary>All methods.</summary>
    public static IReadOnlyList<MergeMethod> All => [.. Registered.Values.Select(create => create())];

    /// <summary>The name in recipes, such as <c>dare_ties</c>.</summary>
    public abstract string Name { get; }

    /// <summary>What the method does, in a sentence.</summary>
    public abstract string Summary { get; }

    /// <summary>The paper or program that the method is from.</summary>
    public abstract string Origin { get; }

    /// <summary>The parameters.</summary>
    public abstract IReadOnlyList<MergeParameter> Parameters { get; }

    /// <summary>Whether the method starts from a base model.</summary>
    public virtual MergeBase Base => MergeBase.Required;

    /// <summary>The least number of models beside the base.</summary>
    public virtual int LeastModels => 1;

    /// <summary>The greatest number of models beside the base.</summary>
    public virtual int MostModels => int.MaxValue;

    /// <summary>Whether every model needs a file of statistics (<see cref="MergeInput.Statistics"/>).</summary>
    public virtual bool NeedsStatistics => false;

    /// <summary>How often all tensors are read before the first is merged.</summary>
    internal virtual int Passes => 0;

    /// <summary>Returns a new instance of a method.</summary>
    /// <param name="name">Its name in recipes.</param>
    /// <returns>The method; null if there is none of that name.</returns>
    public static MergeMethod? Find(string name) => Registered.TryGetValue(name, out Func<MergeMethod>? create) ? create() : null;

    /// <summary>Looks at a tensor before the first is merged.</summary>
    internal virtual void Observe(int pass, MergeTensor tensor) { }

    /// <summary>Called after a pass over all tensors.</summary>
    internal virtual void EndPass(int pass) { }

    /// <summary>Sets <see cref="MergeTensor.Output"/>. The models' values may be overwritten.</summary>
    internal abstract void Merge(MergeTensor tensor);
}

/// <summary>Whether a merge method starts from a base model.</summary>
public enum MergeBase
{
    /// <summary>It has no use for one; a base among the models is merged like the others.</summary>
    Unused,

    /// <summary>With a base it merges the differences from it.</summary>
    Optional,

    /// <summary>It merges the differences from the base.</summary>
    Required,
}

/// <summary>A parameter of a merge method.</summary>
/// <param name="Name">The key in recipes.</param>
/// <param name="Default">The value where nothing is given; null if there must be one.</param>
/// <param name="IsPerModel">Whether each model has its own.</param>
/// <param name="Summary">What it is.</param>
public sealed record MergeParameter(string Name, MergeValue? Default, bool IsPerModel, string Summary)
{
    /// <summary>The least number.</summary>
    public double Least { get; init; } = double.NegativeInfinity;

    /// <summary>The greatest number.</summary>
    public double Most { get; init; } = double.PositiveInfinity;

    /// <summary>Whether <see cref="Least"/> itself is too little.</summary>
    public bool IsAboveLeast { get; init; }

    /// <summary>Whether <see cref="Most"/> itself is too much.</summary>
    public bool IsBelowMost { get; init; }

    /// <summary>The words that it may be; empty for a number.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Whether it is true or false.</summary>
    public bool IsFlag => Choices.Count == 0 && Default is { IsFlag: true };

    /// <summary>The values that are allowed, in words.</summary>
    public string Range =>
        Choices.Count > 0 ? string.Join(", ", Choices)
        : IsFlag ? "true or false"
        : (double.IsFinite(Least), double.IsFinite(Most)) switch
        {
            (false, false) => "any number",
            (true, false) => FormattableString.Invariant($"{(IsAboveLeast ? "above " : "")}{Least}{(IsAboveLeast ? "" : " or more")}"),
            (false, true) => FormattableString.Invariant($"{(IsBelowMost ? "below " : "at most ")}{Most}"),
            _ => FormattableString.Invariant($"{(IsAboveLeast ? "above " : "from ")}{Least} to {(IsBelowMost ? "below " : "")}{Most}"),
        };

    /// <summary>Returns what is wrong with a value; null if nothing is.</summary>
    internal string? Problem(MergeValue value)
    {
        bool isFine =
            Choices.Count > 0
                ? value.Text is { } text && Choices.Contains(text)
                : value.Text is null
                    && (
                        IsFlag
                            ? value.IsFlag || value.Number is 0 or 1
                            : !value.IsFlag
                                && double.IsFinite(value.Number)
                                && (IsAboveLeast ? value.Number > Least : value.Number >= Least)
                                && (IsBelowMost ? value.Number < Most : value.Number <= Most)
                    );
        return isFine ? null : $"is {value}; it must be {Range}";
    }

    internal static MergeParameter Weight(double? fallback = 1) =>
        new("weight", fallback is { } value ? new(value) : null, true, "The weight of the model.");

    internal static MergeParameter Density(double fallback = 1) =>
        new("density", new(fallback), true, "The share of the differences from the base that is kept.")
        {
            Least = 0,
            IsAboveLeast = true,
            Most = 1,
        };

    internal static MergeParameter Lambda(double fallback = 1) =>
        new("lambda", new(fallback), false, "What the merged differences are multiplied by before they are added to the base.");

    internal static MergeParameter Flag(string name, bool fallback, string summary) => new(name, new(fallback), false, summary);
}

/// <summary>The value of a merge parameter: a number, true or false, or a word.</summary>
public readonly record struct MergeValue
{
    /// <summary>Creates a number.</summary>
    /// <param name="number">The number.</param>
    public MergeValue(double number) => Number = number;

    /// <summary>Creates true or false.</summary>
    /// <param name="flag">Which.</param>
    public MergeValue(bool flag) => (Number, IsFlag) = (flag ? 1 : 0, true);

    /// <summary>Creates a word.</summary>
    /// <param name="text">The word.</param>
    public MergeValue(string text) => Text = text;

    /// <summary>The number; 1 for true.</summary>
    public double Number { get; }

    /// <summary>Whether it is true or false.</summary>
    public bool IsFlag { get; }

    /// <summary>The word; null for a number.</summary>
    public string? Text { get; }

    /// <inheritdoc/>
    public override string ToString() =>
        Text is not null ? $"'{Text}'"
        : IsFlag
            ? Number == 1 ? "true"
                : "false"
        : FormattableString.Invariant($"{Number}");
}
