using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

public class AtomicFileTests
{
    private const string FullDevice = "/dev/full";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WritesANewFileAndReplacesAnOldOne(bool exists)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.txt");
        if (exists)
        {
            File.WriteAllText(path, "old");
        }

        AtomicFile.WriteText(path, "néw");
        Assert.Equal("néw", File.ReadAllText(path));
        Assert.Equal(["a.txt"], folder.Names());
    }

    [Fact]
    public void TheTargetIsUntouchedUntilTheContentIsComplete()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.txt");
        File.WriteAllText(path, "old");
        AtomicFile.Write(
            path,
            stream =>
            {
                stream.Write(new byte[1 << 20]);
                Assert.Equal("old", File.ReadAllText(path));
            }
        );
        Assert.Equal(1 << 20, new FileInfo(path).Length);
    }

    [Fact]
    public void AFullDiskLeavesTheOldFileAndNothingElseAndNamesTheTarget()
    {
        Assert.SkipUnless(File.Exists(FullDevice), $"{FullDevice} is what stands for a full disk, and this system has none");
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.txt");
        File.WriteAllText(path, "old");
        IOException error = Assert.Throws<IOException>(() =>
            AtomicFile.Write(
                path,
                stream =>
                {
                    stream.Write(new byte[1000]);
                    using var full = new FileStream(FullDevice, FileMode.Open, FileAccess.Write);
                    full.Write(new byte[1000]);
                    full.Flush();
                }
            )
        );
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains("unchanged", error.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal(["a.txt"], folder.Names());
    }

    [Fact]
    public void WhatALivingWriterIsWritingIsNotRemovedByAnother()
    {
        // Between its creation and its lock a file looked like a dead writer's.
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("a.txt");
        using var isOver = new CancellationTokenSource();
        var remover = new Thread(() =>
        {
            while (!isOver.IsCancellationRequested)
            {
                AtomicFile.RemoveLeftovers(path);
            }
        });
        remover.Start();
        try
        {
            for (int i = 0; i < 400; i++)
            {
                AtomicFile.WriteText(path, $"{i}");
                Assert.Equal($"{i}", Read());
            }
        }
        finally
        {
            isOver.Cancel();
            remover.Join();
        }

        Assert.Equal(["a.txt"], folder.Names());

        // Who opened the file by its temporary name may get its lock when it has its own, and holds it for a moment.
        string Read()
        {
            string? text = null;
            Assert.True(SpinWait.SpinUntil(() => AtomicFile.Try(() => text = File.ReadAllText(path)), TimeSpan.FromSeconds(10)));
            return text!;
        }
    }

    [Fact]
    public void CancellingComesThroughAsItIsAndLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<OperationCanceledException>(() =>
            AtomicFile.Write(
                folder.PathOf("a.txt"),
                stream =>
                {
                    stream.WriteByte(1);
                    throw new OperationCanceledException();
                }
            )
        );
        Assert.Empty(folder.Names());
    }

    [Fact]
    public void AMissingFolderOrAFolderInTheWayIsAnErrorThatNamesTheTarget()
    {
        using var folder = new TemporaryFolder();
        string missing = Path.Combine(folder.PathOf("nowhere"), "a.txt");
        Assert.Contains(missing, Assert.Throws<IOException>(() => AtomicFile.WriteText(missing, "x")).Message, StringComparison.Ordinal);

        string taken = folder.PathOf("taken");
        Directory.CreateDirectory(Path.Combine(taken, "inside"));
        Assert.Contains(taken, Assert.Throws<IOException>(() => AtomicFile.WriteText(taken, "x")).Message, StringComparison.Ordinal);
        Assert.Equal(["taken"], folder.Names());
    }

    [Fact]
    public void AFolderIsSwappedAndKeepsWhatIsNotStale()
    {
        using var folder = new TemporaryFolder();
        string target = folder.PathOf("model");
        Write(target, ("a", "1"), ("old", "1"));
        File.WriteAllText(Path.Combine(target, "notes"), "mine");
        Directory.CreateDirectory(Path.Combine(target, "logs"));

        AtomicFolder.Write(target, into => File.WriteAllText(Path.Combine(into, "a"), "2"), name => name == "old");
        Assert.Equal(["a", "logs", "notes"], Directory.EnumerateFileSystemEntries(target).Select(entry => Path.GetFileName(entry)).Order());
        Assert.Equal("2", File.ReadAllText(Path.Combine(target, "a")));
        Assert.Equal("mine", File.ReadAllText(Path.Combine(target, "notes")));
        Assert.Equal(["model"], folder.Names());
    }

    [Fact]
    public void AFolderThatFailsHalfWayLeavesTheOldOne()
    {
        using var folder = new TemporaryFolder();
        string target = folder.PathOf("model");
        Write(target, ("a", "1"));
        IOException error = Assert.Throws<IOException>(() =>
            AtomicFolder.Write(
                target,
                into =>
                {
                    File.WriteAllText(Path.Combine(into, "a"), "2");
                    throw new IOException("No space left on device");
                }
            )
        );
        Assert.Contains(target, error.Message, StringComparison.Ordinal);
        Assert.Contains("No space left", error.Message, StringComparison.Ordinal);
        Assert.Equal("1", File.ReadAllText(Path.Combine(target, "a")));
        Assert.Equal(["model"], folder.Names());
    }

    [Fact]
    public void AFolderBehindALinkIsReplacedAndTheLinkStays()
    {
        using var folder = new TemporaryFolder();
        string target = folder.PathOf("model");
        string link = folder.PathOf("link");
        Write(target, ("a", "1"));
        Directory.CreateSymbolicLink(link, target);
        AtomicFolder.Write(link, into => File.WriteAllText(Path.Combine(into, "a"), "2"));
        Assert.Equal("2", File.ReadAllText(Path.Combine(target, "a")));
        Assert.NotNull(new DirectoryInfo(link).LinkTarget);
        Assert.Equal(["link", "model"], folder.Names());
    }

    [Fact]
    public void AFileInTheWayOfAFolderIsAnError()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.PathOf("model"), "x");
        Assert.Throws<IOException>(() => AtomicFolder.Write(folder.PathOf("model"), _ => { }));
        Assert.Equal(["model"], folder.Names());
    }

    private static void Write(string folder, params (string Name, string Text)[] files) =>
        AtomicFolder.Write(
            folder,
            into =>
            {
                foreach ((string? name, string? text) in files)
                {
                    File.WriteAllText(Path.Combine(into, name), text);
                }
            }
        );
}
