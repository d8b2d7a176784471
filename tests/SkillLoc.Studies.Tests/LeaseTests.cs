namespace SkillLoc.Studies.Tests;

public sealed class LeaseTests : IDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(20);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lease-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void OneWorkerHasARunUntilItGivesItBack()
    {
        LeaseDesk one = Desk(),
            other = Desk();
        using (RunLease? lease = one.TryTake("a"))
        {
            Assert.NotNull(lease);
            Assert.Null(other.TryTake("a"));
            Assert.Equal(Environment.ProcessId, other.HolderOf("a")!.Worker.Process);
            using RunLease? another = other.TryTake("b");
            Assert.NotNull(another);
        }

        Assert.Null(other.HolderOf("a"));
        using RunLease? again = other.TryTake("a");
        Assert.NotNull(again);
    }

    [Fact]
    public async Task OfManyAtOnceOneSucceeds()
    {
        for (int round = 0; round < 20; round++)
        {
            string id = $"run{round}";
            // A dead worker's lease, so that all want to take it over.
            WriteDead(id);
            using var start = new ManualResetEventSlim();
            Task<RunLease?>[] takers =
            [
                .. Enumerable
                    .Range(0, 8)
                    .Select(_ =>
                        Task.Factory.StartNew(
                            () =>
                            {
                                start.Wait();
                                return Desk().TryTake(id);
                            },
                            TestContext.Current.CancellationToken,
                            TaskCreationOptions.LongRunning,
                            TaskScheduler.Default
                        )
                    ),
            ];
            start.Set();
            RunLease?[] leases = await Task.WhenAll(takers);
            Assert.Single(leases.OfType<RunLease>());
            Assert.Single(Directory.GetFiles(_folder.FullName, id + ".*"));
            leases.OfType<RunLease>().Single().Dispose();
        }
    }

    [Fact]
    public void ASilentWorkersRunIsTakenAndALivingOnesIsNot()
    {
        LeaseDesk desk = Desk(silence: TimeSpan.FromMilliseconds(400));
        using RunLease? alive = Desk().TryTake("alive");
        using var silent = RunLease.Create(Path.Join(_folder.FullName, "silent.1"), TimeSpan.FromHours(1));
        Assert.Null(desk.TryTake("alive"));
        Assert.Null(desk.TryTake("silent"));
        RunLease? taken = null;
        for (int i = 0; i < 200 && taken is null; i++)
        {
            Thread.Sleep(10);
            Assert.Null(desk.TryTake("alive"));
            taken = desk.TryTake("silent");
        }

        Assert.NotNull(taken);
        Assert.EndsWith("silent.2", Assert.Single(Directory.GetFiles(_folder.FullName, "silent.*")), StringComparison.Ordinal);
        taken.Dispose();
        Assert.Empty(Directory.GetFiles(_folder.FullName, "silent.*"));
    }

    [Fact]
    public void WhoeverWakesUpSeesThatItsRunIsGone()
    {
        using RunLease lease = Desk().TryTake("a")!;
        string path = Path.Join(_folder.FullName, "a.1");
        File.Delete(path);
        Assert.True(lease.Lost.WaitHandle.WaitOne(TimeSpan.FromSeconds(10)));

        // The same name may be another's by then, who keeps it.
        using RunLease next = Desk().TryTake("a")!;
        lease.Dispose();
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void AProcessThatEndedIsDeadAndThisOneIsNot()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Elsewhere only silence tells.");
        Assert.False(Worker.Self.IsDead);
        Assert.True((Worker.Self with { Started = Worker.Self.Started + 1 }).IsDead);
        Assert.False((Worker.Self with { Host = "elsewhere", Process = int.MaxValue }).IsDead);
        Assert.False((Worker.Self with { Space = "another container", Process = int.MaxValue }).IsDead);
        Assert.True((Worker.Self with { Process = int.MaxValue }).IsDead);
    }

    private LeaseDesk Desk(TimeSpan? silence = null) => new(_folder.FullName, Beat, silence ?? TimeSpan.FromMinutes(1));

    private void WriteDead(string id)
    {
        var dead = new RunLease.Content(Worker.Self with { Process = int.MaxValue }, "dead", 3, DateTime.UtcNow);
        File.WriteAllBytes(Path.Join(_folder.FullName, id + ".1"), dead.ToBytes());
    }
}
