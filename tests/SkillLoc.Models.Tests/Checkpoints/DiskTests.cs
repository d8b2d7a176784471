using System.Diagnostics;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>Disks that are full, have no room for another file, or cannot be written any more: what was there stays, nothing else is left,
/// and the error names the target. Real file systems in memory, which only root may mount.</summary>
public sealed class DiskTests : IDisposable
{
    private const int Bytes = 1 << 20;

    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _mounted = [];

    public void Dispose()
    {
        foreach (string mounted in _mounted)
        {
            Run("umount", mounted);
        }

        _folder.Dispose();
    }

    [Theory]
    [InlineData("size=256k")]
    [InlineData("size=8m,nr_inodes=4")]
    public void AFileThatDoesNotFitLeavesTheOldOne(string limits)
    {
        string disk = Disk(limits),
            path = Path.Join(disk, "a.txt");
        AtomicFile.WriteText(path, "old");
        Fill(disk, limits);
        string message = Assert.Throws<IOException>(() => AtomicFile.Write(path, stream => stream.Write(new byte[Bytes]))).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains("unchanged", message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.DoesNotContain(Directory.EnumerateFiles(disk), file => file.EndsWith(".tmp", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("size=256k")]
    [InlineData("size=8m,nr_inodes=7")]
    public void AFolderThatDoesNotFitLeavesTheOldOne(string limits)
    {
        string disk = Disk(limits),
            target = Path.Join(disk, "model");
        Write("old", 0);
        Fill(disk, limits);
        string message = Assert.Throws<IOException>(() => Write("new", Bytes)).Message;
        Assert.Contains(target, message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(Path.Join(target, "config.json")));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(disk), entry => entry.Contains(".tmp", StringComparison.Ordinal));

        void Write(string config, int more) =>
            AtomicFolder.Write(
                target,
                into =>
                {
                    File.WriteAllText(Path.Join(into, "config.json"), config);
                    File.WriteAllBytes(Path.Join(into, "weights"), new byte[more]);
                }
            );
    }

    /// <summary>What exports to ONNX has kilobytes more than the disk, of 450 in all.</summary>
    [Theory]
    [InlineData("classifier")]
    [InlineData("embedder")]
    [InlineData("base")]
    public void AnOnnxFileThatDoesNotFitLeavesTheOldOne(string kind)
    {
        string disk = Disk("size=256k"),
            path = Path.Join(disk, "model.onnx");
        AtomicFile.WriteText(path, "old");
        string message = Assert.Throws<IOException>(() => Export(kind, path)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains("unchanged", message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal(["model.onnx"], Directory.EnumerateFileSystemEntries(disk).Select(Path.GetFileName));

        static void Export(string kind, string path)
        {
            switch (kind)
            {
                case "classifier":
                    using (TextClassifier classifier = OnnxCases.Create("BERT, label words"))
                    {
                        classifier.SaveOnnx(path);
                    }

                    break;
                case "embedder":
                    using (var embedder = new TextEmbedder(Oracles.PathOf("tiny-bert")))
                    {
                        embedder.SaveOnnx(path);
                    }

                    break;
                default:
                    OnnxBase.Save(Oracles.PathOf("tiny-bert"), path);
                    break;
            }
        }
    }

    /// <summary>Neither a folder of sentence-transformers nor a checkpoint that an ONNX file becomes is written by half.</summary>
    [Fact]
    public void AFolderOfOrFromOnnxThatDoesNotFitIsNotThere()
    {
        string disk = Disk("size=256k"),
            whole = _folder.PathOf("whole"),
            target = Path.Join(disk, "model");
        using var embedder = new TextEmbedder(Oracles.PathOf("tiny-bert"));
        embedder.SaveOnnxFolder(whole);
        foreach (Action write in new[] { () => embedder.SaveOnnxFolder(target), () => OnnxCheckpoint.Import(whole, target) })
        {
            Assert.Contains(target, Assert.Throws<IOException>(write).Message, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFileSystemEntries(disk));
        }
    }

    [Fact]
    public void ADiskThatMayOnlyBeReadIsNamedBeforeAndAtTheWriting()
    {
        string disk = Disk("size=256k"),
            path = Path.Join(disk, "a.txt"),
            target = Path.Join(disk, "model");
        AtomicFile.WriteText(path, "old");
        Directory.CreateDirectory(target);
        Run("mount", "-o", "remount,ro", disk);
        foreach (Action write in new[] { () => AtomicFile.WriteText(path, "new"), () => AtomicFile.CheckWritable(path) })
        {
            Assert.Contains(path, Assert.Throws<IOException>(write).Message, StringComparison.Ordinal);
        }

        foreach (Action write in new[] { () => AtomicFolder.Write(target, _ => { }), () => AtomicFolder.CheckWritable(target) })
        {
            Assert.Contains(target, Assert.Throws<IOException>(write).Message, StringComparison.Ordinal);
        }

        Assert.Equal("old", File.ReadAllText(path));
    }

    [Fact]
    public void AFolderThatIsLockedWhileItIsWrittenToKeepsTheOldFile()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has other permissions.");
        string folder = _folder.PathOf("locked"),
            path = Path.Join(folder, "a.txt");
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(path, "old");
        try
        {
            string message = Assert
                .Throws<IOException>(() =>
                    AtomicFile.Write(
                        path,
                        stream =>
                        {
                            stream.WriteByte(1);
                            Assert.SkipUnless(Lock(true), "This file system's folders cannot be locked for root.");
                        }
                    )
                )
                .Message;
            Assert.Contains(path, message, StringComparison.Ordinal);
            Assert.Equal("old", File.ReadAllText(path));
        }
        finally
        {
            Lock(false);
        }

        // What could not be removed then is removed now.
        AtomicFile.WriteText(path, "new");
        Assert.Equal(["a.txt"], Directory.EnumerateFiles(folder).Select(Path.GetFileName));

        // Permissions do not hold root back.
        bool Lock(bool isLocked)
        {
            if (Environment.IsPrivilegedProcess)
            {
                return Run("chattr", isLocked ? "+i" : "-i", folder) == 0;
            }

            Run("chmod", isLocked ? "a-w" : "u+w", folder);
            return true;
        }
    }

    [Fact]
    public void ALinkThatLeadsOutIsReplacedAndNotWrittenThrough()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "On Windows links are for administrators.");
        string outside = _folder.PathOf("outside"),
            checkpoint = _folder.PathOf("checkpoint"),
            link = Path.Join(checkpoint, "config.json");
        File.WriteAllText(outside, "precious");
        Directory.CreateDirectory(checkpoint);
        File.CreateSymbolicLink(link, outside);
        AtomicFile.WriteText(link, "one");
        Assert.Equal(("one", "precious"), (File.ReadAllText(link), File.ReadAllText(outside)));

        foreach (bool isInside in new[] { false, true })
        {
            File.Delete(link);
            File.CreateSymbolicLink(link, outside);
            AtomicFolder.Write(checkpoint, into => File.WriteAllText(Path.Join(into, "config.json"), "two"), null, null, isInside);
            Assert.Equal(("two", "precious"), (File.ReadAllText(link), File.ReadAllText(outside)));
        }
    }

    private string Disk(string limits)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root mounts a small disk.");
        string disk = _folder.PathOf($"disk{_mounted.Count}");
        Directory.CreateDirectory(disk);
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", limits, "tmpfs", disk) == 0, "No small disk can be mounted here.");
        _mounted.Add(disk);
        return disk;
    }

    /// <summary>Takes the last inodes, where these are what is short.</summary>
    private static void Fill(string disk, string limits)
    {
        try
        {
            for (int i = 0; limits.Contains("nr_inodes", StringComparison.Ordinal); i++)
            {
                File.WriteAllText(Path.Join(disk, $"filler{i}"), "");
            }
        }
        catch (IOException)
        {
            // Full.
        }
    }

    private static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
