using System.Collections;

namespace SkillLoc.Serve.Tests;

/// <summary>A text that holds up the thread that scores it until it is let go.</summary>
internal sealed class HeldRows : IReadOnlyList<TextRow>, IDisposable
{
    private readonly ManualResetEventSlim _isHeld = new(),
        _isFree = new();

    public int Count => 1;

    public TextRow this[int index]
    {
        get
        {
            _isHeld.Set();
            _isFree.Wait();
            return new() { Text = "held" };
        }
    }

    /// <summary>Holds up a queue.</summary>
    public static HeldRows In(BatchQueue<TextRow, Classification> queue)
    {
        var rows = new HeldRows();
        rows.Result = queue.ScoreAsync(rows, CancellationToken.None);
        Assert.True(rows._isHeld.Wait(TimeSpan.FromMinutes(1)));
        return rows;
    }

    public Task<Classification[]> Result { get; private set; } = null!;

    public void Dispose()
    {
        _isFree.Set();
        Result.Wait();
        _isHeld.Dispose();
        _isFree.Dispose();
    }

    public IEnumerator<TextRow> GetEnumerator() => throw new NotSupportedException();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
