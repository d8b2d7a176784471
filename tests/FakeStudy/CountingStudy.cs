using System.Globalization;
using SkillLoc.Studies;

namespace SkillLoc.FakeStudy;

/// <summary>Counts, slowly.</summary>
public sealed class CountingStudy(CountingPlan plan) : IStudy
{
    public string Name => "fake";

    public int Version => 1;

    public static string NameOf(int place) => string.Create(CultureInfo.InvariantCulture, $"count {place}");

    public IReadOnlyList<StudyRun> Plan()
    {
        if (plan.Runs < 1)
        {
            throw new InvalidDataException("The plan needs a run.");
        }

        string[] names = [.. Enumerable.Range(0, plan.Runs).Select(NameOf)];
        IEnumerable<StudyRun> runs = names.Select(
            (name, place) =>
                new StudyRun(name, new { Place = place, plan.Seed }, context => Count(place, context))
                {
                    Seed = plan.Seed,
                    HasTemporaryFiles = plan.HasSum,
                }
        );
        return plan.HasSum ? [.. runs, new("sum", new { }, context => Sum(names, context)) { After = names }] : [.. runs];
    }

    public void Report(StudyResults results, string folder) =>
        File.WriteAllLines(
            Path.Join(folder, "results.csv"),
            results.Names.Select(name => string.Create(CultureInfo.InvariantCulture, $"{name},{results.Get<Counted>(name).Value}"))
        );

    private Counted Count(int place, RunContext context)
    {
        string state = Path.Join(context.State, "steps");
        int steps = File.Exists(state) ? int.Parse(File.ReadAllText(state), CultureInfo.InvariantCulture) : 0;
        context.Measure("resumed_from", steps);
        for (; steps < plan.Steps; steps++)
        {
            if (plan.IsStubborn)
            {
                Thread.Sleep(plan.MillisecondsPerStep);
            }
            else if (context.CancellationToken.WaitHandle.WaitOne(plan.MillisecondsPerStep))
            {
                context.CancellationToken.ThrowIfCancellationRequested();
            }

            File.WriteAllText(state + ".next", (steps + 1).ToString(CultureInfo.InvariantCulture));
            File.Move(state + ".next", state, overwrite: true);
        }

        if (plan.Failing.Contains(place))
        {
            throw new InvalidOperationException($"Run {place} fails, as it was told to.");
        }

        if (plan.HasSum)
        {
            File.WriteAllText(Path.Join(context.Files, "value"), (place * place).ToString(CultureInfo.InvariantCulture));
        }

        if (plan.IsTimed)
        {
            context.Time("ticks", Environment.TickCount64);
        }

        return new(place * place);
    }

    private static Counted Sum(IEnumerable<string> names, RunContext context) =>
        new(names.Sum(name => int.Parse(File.ReadAllText(Path.Join(context.FilesOf(name), "value")), CultureInfo.InvariantCulture)));

    private sealed record Counted(int Value);
}
