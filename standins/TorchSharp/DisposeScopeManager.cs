using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>The stack of dispose scopes of a thread.</summary>
public class DisposeScopeManager
{
    [ThreadStatic] private static DisposeScopeManager? t_current;

    private readonly List<DisposeScope> _scopes = [];

    internal static DisposeScopeManager Current => t_current ??= new();

    internal ThreadDisposeScopeStatistics StatisticsInstance { get; } = new();

    public static ThreadDisposeScopeStatistics Statistics => Current.StatisticsInstance;

    internal DisposeScope? Top => _scopes.Count == 0 ? null : _scopes[^1];

    internal DisposeScope Push()
    {
        var scope = new DisposeScope(this, Top);
        _scopes.Add(scope);
        return scope;
    }

    internal void Remove(DisposeScope scope) => _scopes.Remove(scope);

    internal void Register(Tensor tensor)
    {
        if (Top is { } scope)
        {
            StatisticsInstance.CreatedInScopeCount++;
            scope.Add(tensor);
        }
        else
        {
            StatisticsInstance.CreatedOutsideScopeCount++;
        }
    }
}

/// <summary>Counts of the tensors that a thread made and disposed.</summary>
public class ThreadDisposeScopeStatistics
{
    public long CreatedOutsideScopeCount { get; internal set; }
    public long CreatedInScopeCount { get; internal set; }
    public long DisposedInScopeCount { get; internal set; }
    public long DetachedFromScopeCount { get; internal set; }
    internal long DisposedOutsideScope { get; set; }
    public long ThreadTotalLiveCount => CreatedInScopeCount + CreatedOutsideScopeCount - DisposedInScopeCount - DisposedOutsideScope;

    public void Reset()
    {
        CreatedOutsideScopeCount = CreatedInScopeCount = DisposedInScopeCount = DetachedFromScopeCount = DisposedOutsideScope = 0;
    }
}
