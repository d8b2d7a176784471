using System.Globalization;
using System.Runtime.InteropServices;
using SkillLoc.Fuzz;

// fuzz [--seconds N] [--seed N] [--targets A,B] [--record FILE] [--findings FOLDER]
// fuzz replay TARGET FILE...
// fuzz seeds FOLDER
// fuzz afl TARGET, to be run by afl-fuzz (eng/afl.sh)
// fuzz check FOLDER
// fuzz large MEGABYTES
string scratch = Path.Join(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), $"skillloc-fuzz-{Environment.ProcessId}");
Directory.CreateDirectory(scratch);
int code = 0;

// A thread whose stack is as small as a server's threads have: what one call within another fills is found.
var thread = new Thread(() => code = Run(), 1 << 20);
try
{
    thread.Start();
    thread.Join();
}
finally
{
    Directory.Delete(scratch, recursive: true);
}

return code;

int Run()
{
    if (args is ["check", var checkpoints])
    {
        return Benign.Check(checkpoints) ? 0 : 1;
    }

    if (args is ["afl", var guided])
    {
        // The instrumented readers count in this memory until afl-fuzz gives its own, after the seeds are made and read once.
        unsafe
        {
            SharpFuzz.Common.Trace.SharedMem = (byte*)NativeMemory.AllocZeroed(1 << 16);
        }

        Target target = Targets.All(scratch).Single(one => one.Name == guided);
        foreach (byte[] seed in target.Seeds)
        {
            target.Read(seed);
        }

        SharpFuzz.Fuzzer.OutOfProcess.Run(stream =>
        {
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            try
            {
                target.Read(bytes.ToArray());
            }
            catch (Exception error) when (Fuzzer.IsMeant(target, error)) { }
        });
        return 0;
    }

    IReadOnlyList<Target> all = Targets.All(scratch);
    if (args is ["large", var megabytes])
    {
        return Large.Check(all, int.Parse(megabytes, CultureInfo.InvariantCulture) << 20) ? 0 : 1;
    }

    if (args is ["replay", var name, .. var files])
    {
        foreach (string file in files)
        {
            all.Single(target => target.Name == name).Read(File.ReadAllBytes(file));
        }

        return 0;
    }

    if (args is ["seeds", var folder])
    {
        foreach (Target target in all)
        {
            Directory.CreateDirectory(Path.Join(folder, target.Name));
            for (int i = 0; i < target.Seeds.Count; i++)
            {
                File.WriteAllBytes(Path.Join(folder, target.Name, $"{i}"), target.Seeds[i]);
            }
        }

        return 0;
    }

    string[] chosen = Option("--targets")?.Split(',') ?? [.. all.Select(target => target.Name)];
    var fuzzer = new Fuzzer(
        chosen.Select(wanted => all.Single(target => target.Name == wanted)),
        int.Parse(Option("--seed") ?? "1", CultureInfo.InvariantCulture),
        Option("--findings") ?? "artifacts/fuzz/findings"
    );
    var record = new Record(Option("--record"));
    fuzzer.Go(TimeSpan.FromSeconds(double.Parse(Option("--seconds") ?? "60", CultureInfo.InvariantCulture)), () => record.Add(fuzzer.Runs));
    Console.Write(Record.Table(fuzzer.Runs));
    return fuzzer.Runs.Sum(run => run.Findings) == 0 ? 0 : 1;
}

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var at ? args[at + 1] : null;
