using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>A folder that somebody else made does nothing outside of itself, whatever lies in it.</summary>
public sealed class StrangersFolderTests : IDisposable
{
    private const string Stage = ".skillloc-0123456789abcdef0123456789abcdef.tmp";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"Written": [], "Stale": ["../victim"], "ValidBy": null}""")]
    [InlineData("""{"Written": [], "Stale": [".."], "ValidBy": null}""")]
    [InlineData("""{"Written": [], "Stale": ["VICTIM"], "ValidBy": null}""")]
    [InlineData("""{"Written": ["../victim"], "Stale": [], "ValidBy": null}""")]
    [InlineData("""{"Written": [], "Stale": [], "ValidBy": "../victim"}""")]
    [InlineData("""{"Written": [null], "Stale": [], "ValidBy": null}""")]
    [InlineData("""{"Written": null, "Stale": [], "ValidBy": null}""")]
    [InlineData("""{"Stale": []}""")]
    [InlineData("""{"Written": [], "Stale": ["\ud800"], "ValidBy": null}""")]
    [InlineData("null")]
    [InlineData("")]
    public void AJournalThatLeadsOutIsRefused(string journal)
    {
        string victim = _folder.PathOf("victim"),
            checkpoint = _folder.PathOf("checkpoint");
        Directory.CreateDirectory(victim);
        File.WriteAllText(Path.Join(victim, "precious"), "");
        Leave(checkpoint, journal.Replace("VICTIM", victim, StringComparison.Ordinal));
        string message = Assert.Throws<InvalidDataException>(() => CheckpointFolder.ReadConfig(checkpoint)).Message;
        Assert.Contains(checkpoint, message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Join(victim, "precious")));
    }

    [Fact]
    public void AJournalThatStaysInsideIsCompleted()
    {
        string checkpoint = _folder.PathOf("checkpoint");
        Leave(checkpoint, """{"Written": ["config.json"], "Stale": ["old"], "ValidBy": "config.json"}""");
        File.WriteAllText(Path.Join(checkpoint, "old"), "");
        File.WriteAllText(Path.Join(checkpoint, Stage, "config.json"), "new");
        AtomicFolder.Recover(checkpoint);
        Assert.Equal(["config.json"], Directory.EnumerateFileSystemEntries(checkpoint).Select(Path.GetFileName));
    }

    private static void Leave(string checkpoint, string journal)
    {
        Directory.CreateDirectory(Path.Join(checkpoint, Stage));
        File.WriteAllText(Path.Join(checkpoint, Stage, ".journal"), journal);
        File.WriteAllText(Path.Join(checkpoint, Stage + ".lock"), "");
    }
}
