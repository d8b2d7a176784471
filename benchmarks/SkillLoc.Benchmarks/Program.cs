using BenchmarkDotNet.Running;

namespace SkillLoc.Benchmarks;

/// <summary>
/// <c>write FOLDER [LAYERS]</c> and <c>write-from FOLDER CHECKPOINT</c> (a folder, or <c>minilm</c>) make a workload; <c>job FOLDER SIDE JOB
/// ROWS</c> runs a job that is compared (<see cref="Jobs"/>) and <c>kernels FOLDER TOKENS</c> measures how fast matrix products are.
/// <c>graft-epoch FOLDER BATCHES EPOCHS</c>, <c>graft-sweep FOLDER ROWS</c> and <c>graft-switch FOLDER TIMES</c> measure what grafting adds
/// to its passes, <c>path FOLDER ROWS TIMES</c> what a path between checkpoints does, <c>generate LENGTH ...</c> what a written token costs.
/// <c>onnx-speed FOLDER TEXTS ROWS JOINED THREADS ROUNDS</c> and <c>onnx-skills FOLDER COUNT ROUNDS</c> measure what ONNX Runtime does. Each
/// prints a line of JSON. <c>curves FOLDER [JOB [AXIS]]</c> prints tables of what each job costs as it grows. Anything else goes to
/// BenchmarkDotNet.
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
                new Workload(folder).WriteFrom(checkpoint == "minilm" ? Checkpoints.MiniLM() : checkpoint);
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
            case ["job", var folder, var side, var job, var rows]:
                Console.WriteLine(Jobs.Run(new(folder), side, job, int.Parse(rows)));
                break;
            case ["curves", var folder, .. { Length: <= 2 } only]:
                CostCurves.Run(folder, only.ElementAtOrDefault(0), only.ElementAtOrDefault(1));
                break;
            case ["onnx-speed", var folder, var texts, var rows, var joined, var threads, var rounds]:
                Console.WriteLine(
                    OnnxJobs.Speed(new(folder), texts, int.Parse(rows), int.Parse(joined), int.Parse(threads), int.Parse(rounds))
                );
                break;
            case ["onnx-skills", var folder, var count, var rounds]:
                Console.WriteLine(OnnxJobs.Skills(new(folder), int.Parse(count), int.Parse(rounds)));
                break;
            case ["curve", var folder, var job, var point]:
                Console.WriteLine(CostCurves.Measure(folder, job, point));
                break;
            case ["kernels", var folder, var tokens]:
                Console.WriteLine(Kernels.Measure(new(folder), int.Parse(tokens)));
                break;
            default:
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments);
                break;
        }
    }
}
