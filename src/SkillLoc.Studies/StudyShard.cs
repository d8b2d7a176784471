using System.Globalization;

namespace SkillLoc.Studies;

/// <summary>One of several equal shares of a study: every <paramref name="Count"/>-th run, from <paramref name="Index"/> on.</summary>
/// <param name="Index">The share, from 0.</param>
/// <param name="Count">The number of shares, 1 or more.</param>
public sealed record StudyShard(int Index, int Count)
{
    /// <summary>The variable that says how many shares there are where the scheduler does not: Kubernetes.</summary>
    public const string CountVariable = "SKILLLOC_SHARDS";

    /// <summary>The whole study.</summary>
    public static StudyShard Whole { get; } = new(0, 1);

    /// <summary>Reads <c>i/n</c>.</summary>
    /// <param name="text">Such as <c>3/16</c>: the fourth of 16 shares.</param>
    /// <exception cref="ArgumentException">It is not i/n with 0 ≤ i &lt; n.</exception>
    public static StudyShard Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Split('/') is [var index, var count] && Number(index) is { } share && Number(count) is { } shares && share < shares
            ? new(share, shares)
            : throw new ArgumentException($"A shard is i/n, from 0/n to n-1/n; this is '{text}'.");
    }

    /// <summary>Reads what the scheduler says: Slurm's array task (<c>SLURM_ARRAY_TASK_ID</c>, <c>_COUNT</c>, and <c>_MIN</c> and
    /// <c>_STEP</c>, from which it counts), or Kubernetes' <c>JOB_COMPLETION_INDEX</c> with <see cref="CountVariable"/>.</summary>
    /// <param name="variable">Gives an environment variable; null where it is not set.</param>
    /// <returns>The share; the whole study where no scheduler says anything.</returns>
    /// <exception cref="ArgumentException">The variables make no sense.</exception>
    public static StudyShard FromEnvironment(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        if (Of("SLURM_ARRAY_TASK_ID") is { } task)
        {
            int count = Of("SLURM_ARRAY_TASK_COUNT") ?? 1;
            int index = (task - (Of("SLURM_ARRAY_TASK_MIN") ?? 0)) / Math.Max(1, Of("SLURM_ARRAY_TASK_STEP") ?? 1);
            return Parse(string.Create(CultureInfo.InvariantCulture, $"{index}/{count}"));
        }

        if (Of("JOB_COMPLETION_INDEX") is { } completion)
        {
            return Of(CountVariable) is { } count
                ? Parse(string.Create(CultureInfo.InvariantCulture, $"{completion}/{count}"))
                : throw new ArgumentException(
                    $"JOB_COMPLETION_INDEX is set and {CountVariable} is not: set it to the job's completions, or give --shard 0/1 for "
                        + "workers that share one folder."
                );
        }

        return Whole;

        int? Of(string name) =>
            variable(name) is { Length: > 0 } text
                ? Number(text) ?? throw new ArgumentException($"{name} is '{text}', which is no number.")
                : null;
    }

    /// <summary>Whether the run at a place of the list is of this share.</summary>
    /// <param name="place">The place, from 0.</param>
    public bool Has(int place) => place % Count == Index;

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
