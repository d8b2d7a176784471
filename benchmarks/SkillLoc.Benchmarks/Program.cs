using BenchmarkDotNet.Running;

namespace SkillLoc.Benchmarks;

/// <summary>
/// <c>write FOLDER</c> makes the workload, <c>fine-tune FOLDER OPTIMIZER BATCH ACCUMULATION STEPS TOKENS</c> and <c>mask FOLDER BATCHES
/// TOKENS</c> run
/// one of the jobs that the peer runs too and print a line of JSON. <c>write FOLDER LAYERS</c> and <c>write-from FOLDER CHECKPOINT</c> make
/// workloads of other models, and <c>graft-epoch FOLDER BATCHES EPOCHS</c>, <c>graft-sweep FOLDER ROWS</c> and <c>graft-switch FOLDER
/// TIMES</c>
/// measure what grafting adds to its passes, <c>path FOLDER ROWS TIMES</c> what a path between checkpoints does, <c>generate LENGTH ...</c>
/// what a written token costs, <c>onnx-speed FOLDER TEXTS ROWS JOINED THREADS ROUNDS</c> and <c>onnx-skills FOLDER COUNT
/// ROUNDS</c> what ONNX Runtime does, and <c>kernels THREADS</c> how fast matrix products are. Anything else goes to BenchmarkDotNet.
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
            case ["write", var folder, var layers]:
                new Workload(folder).Write(int.Parse(layers));
                break;
            case ["write-from", var folder, var checkpoint]:
                new Workload(folder).WriteFrom(checkpoint);
                break;
            case ["graft-epoch", var folder, var batches, var epochs]:
                Console.WriteLine(GraftJobs.Epoch(new(folder), int.Parse(batches), int.Parse(epochs)));
                break;
            case ["graft-sweep", var folder, var rows]:
                Console.WriteLine(GraftJobs.Sweep(new(folder), int.Parse(rows)));
                break;
            case ["graft-switch", var folder, var times]:
                Console.WriteLine(GraftJobs.Switch(new(folder), int.Parse(times)));
                break;
            case ["path", var folder, var rows, var times]:
                Console.WriteLine(PathJobs.Line(new(folder), int.Parse(rows), int.Parse(times)));
                break;
            case ["generate", .. var lengths]:
                Console.WriteLine(PathJobs.Generate([.. lengths.Select(int.Parse)]));
                break;
            case ["fine-tune", var folder, var optimizer, var batch, var accumulation, var steps, var tokens]:
                Console.WriteLine(
                    PeerJobs.FineTune(
                        new(folder),
                        optimizer,
                        int.Parse(batch),
                        int.Parse(accumulation),
                        int.Parse(steps),
                        int.Parse(tokens)
                    )
                );
                break;
            case ["mask", var folder, var batches, var tokens]:
                Console.WriteLine(PeerJobs.Mask(new(folder), int.Parse(batches), int.Parse(tokens)));
                break;
            case ["onnx-speed", var folder, var texts, var rows, var joined, var threads, var rounds]:
                Console.WriteLine(
                    OnnxJobs.Speed(new(folder), texts, int.Parse(rows), int.Parse(joined), int.Parse(threads), int.Parse(rounds))
                );
                break;
            case ["onnx-skills", var folder, var count, var rounds]:
                Console.WriteLine(OnnxJobs.Skills(new(folder), int.Parse(count), int.Parse(rounds)));
                break;
            case ["kernels", var threads]:
                Console.WriteLine(Kernels.Measure(int.Parse(threads)));
                break;
            default:
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments);
                break;
        }
    }
}
