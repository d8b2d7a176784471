using System.Diagnostics;
using System.Globalization;

namespace SkillLoc.Studies;

/// <summary>
/// Gives one worker leases of runs. A lease's file is <c>ID.GENERATION</c>; taking a run over makes the next generation, which one process
/// succeeds in, so that no lease of a living worker is ever removed by another's mistake. Whether a worker is silent is told by this
/// worker's own clock: clocks of machines differ.
/// </summary>
internal sealed class LeaseDesk(string folder, TimeSpan heartbeat, TimeSpan silence)
{
    private readonly Dictionary<string, (RunLease.Content? Content, Stopwatch Since)> _seen = new(StringComparer.Ordinal);

    /// <summary>Takes a run; null while another worker holds it. Who takes it must look once more whether it is done.</summary>
    public RunLease? TryTake(string id)
    {
        int last = LastOf(id);
        if (last > 0 && IsHeld(PathOf(id, last)))
        {
            return null;
        }

        var lease = RunLease.Create(PathOf(id, last + 1), heartbeat);
        for (int earlier = last; lease is not null && earlier > 0; earlier--)
        {
            File.Delete(PathOf(id, earlier));
        }

        return lease;
    }

    /// <summary>Who holds a run; null for nobody.</summary>
    public RunLease.Content? HolderOf(string id) => LastOf(id) is > 0 and var last ? RunLease.Read(PathOf(id, last)) : null;

    /// <summary>Removes what a dead worker left of a run that is done.</summary>
    public void RemoveDead(string id)
    {
        if (LastOf(id) is > 0 and var last && RunLease.Read(PathOf(id, last))?.Worker.IsDead == true)
        {
            File.Delete(PathOf(id, last));
        }
    }

    private string PathOf(string id, int generation) =>
        Path.Join(folder, string.Create(CultureInfo.InvariantCulture, $"{id}.{generation}"));

    private int LastOf(string id) =>
        Directory
            .EnumerateFiles(folder, id + ".*")
            .Select(path =>
                int.TryParse(Path.GetExtension(path).AsSpan(1), CultureInfo.InvariantCulture, out int generation) ? generation : 0
            )
            .DefaultIfEmpty()
            .Max();

    private bool IsHeld(string path)
    {
        RunLease.Content? content = RunLease.Read(path);
        if (content?.Worker.IsDead == true)
        {
            return false;
        }

        if (!_seen.TryGetValue(path, out (RunLease.Content? Content, Stopwatch Since) seen) || seen.Content != content)
        {
            _seen[path] = seen = (content, Stopwatch.StartNew());
        }

        return seen.Since.Elapsed < silence;
    }
}
