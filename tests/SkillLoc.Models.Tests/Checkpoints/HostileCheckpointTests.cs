using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>No hostile checkpoint is read, and each is refused by its path, soon and in little memory.</summary>
public sealed class HostileCheckpointTests
{
    private const long MostBytes = 64 << 20;

    private static readonly Dictionary<string, byte[]> Files = HostileCheckpoints.All().ToDictionary(each => each.Name, each => each.File);

    public static TheoryData<string> Names => [.. Files.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void IsRefused(string name)
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("pytorch_model.bin");
        File.WriteAllBytes(path, Files[name]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<InvalidDataException>(() => ReadAll(path)).Message;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes + (4L * Files[name].Length));
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatTheyAreMadeOfIsRead()
    {
        using var folder = new TemporaryFolder();
        string path = folder.PathOf("pytorch_model.bin");
        File.WriteAllBytes(path, HostileCheckpoints.Right);
        ReadAll(path);
        Assert.True(Files.Count >= 200);
    }

    private static void ReadAll(string path)
    {
        using var file = TorchCheckpointFile.Open(path);
        foreach (TensorInfo info in file.Tensors)
        {
            file.Read(info.Name).Dispose();
        }
    }
}
