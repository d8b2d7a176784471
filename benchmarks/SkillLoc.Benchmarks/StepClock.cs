using System.Diagnostics;
using SkillLoc.Trainers;

namespace SkillLoc.Benchmarks;

/// <summary>
/// Notes when each step of a training ended, in wall time and in processor time of all threads. On a busy machine the latter is the one
/// to compare, with one thread.
/// </summary>
public sealed class StepClock : IProgress<TrainingProgress>
{
    private readonly List<(long Wall, TimeSpan Processor)> _marks = [];

    /// <summary>Marks the end of the set-up.</summary>
    public void Begin() => _marks.Add((Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime));

    /// <inheritdoc/>
    public void Report(TrainingProgress value) => Begin();

    /// <summary>The speed from one mark to the last.</summary>
    /// <param name="mark">The mark's index.</param>
    /// <param name="rows">The rows that were done meanwhile.</param>
    /// <param name="loss">The loss of the first rows.</param>
    /// <returns>The speed.</returns>
    internal Speed Speed(int mark, int rows, double loss) =>
        new(
            rows / Stopwatch.GetElapsedTime(_marks[mark].Wall, _marks[^1].Wall).TotalSeconds,
            rows / (_marks[^1].Processor - _marks[mark].Processor).TotalSeconds,
            loss
        );

    /// <summary>The median time of a step, the one up to the first mark left out.</summary>
    /// <returns>Wall and processor time, in seconds.</returns>
    public (double Wall, double Processor) Median()
    {
        (double Wall, double Processor)[] steps =
        [
            .. _marks.Zip(
                _marks.Skip(1),
                (from, to) => (Stopwatch.GetElapsedTime(from.Wall, to.Wall).TotalSeconds, (to.Processor - from.Processor).TotalSeconds)
            ),
        ];
        int middle = steps.Length / 2;
        return (steps.Select(step => step.Wall).Order().ElementAt(middle), steps.Select(step => step.Processor).Order().ElementAt(middle));
    }
}
