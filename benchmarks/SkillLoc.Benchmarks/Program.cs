using BenchmarkDotNet.Running;

namespace SkillLoc.Benchmarks;

/// <summary>
/// <c>write FOLDER</c> makes the workload, <c>fine-tune FOLDER OPTIMIZER BATCH ACCUMULATION STEPS TOKENS</c> and <c>mask FOLDER BATCHES TOKENS</c> run
/// one of the jobs that the peer runs too and print a line of JSON; anything else goes to BenchmarkDotNet.
/// </summary>
internal static class Program
{
    private static void Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["write", var folder]:
                new Workload(folder).Write();
                break;
            case ["fine-tune", var folder, var optimizer, var batch, var accumulation, var steps, var tokens]:
                Console.WriteLine(PeerJobs.FineTune(new(folder), optimizer, int.Parse(batch), int.Parse(accumulation), int.Parse(steps), int.Parse(tokens)));
                break;
            case ["mask", var folder, var batches, var tokens]:
                Console.WriteLine(PeerJobs.Mask(new(folder), int.Parse(batches), int.Parse(tokens)));
                break;
            default:
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments);
                break;
        }
    }
}
