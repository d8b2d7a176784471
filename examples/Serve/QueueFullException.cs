namespace SkillLoc.Serve;

/// <summary>Too many texts wait for a model.</summary>
/// <param name="retryAfter">How long those that wait are going to take.</param>
public sealed class QueueFullException(TimeSpan retryAfter) : Exception("Too many texts wait to be scored; try again later.")
{
    /// <summary>How long those that wait are going to take.</summary>
    public TimeSpan RetryAfter => retryAfter;
}
