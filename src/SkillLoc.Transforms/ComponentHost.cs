using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace SkillLoc;

/// <summary>
/// What a component has of its context: a log, seeds for what is random in it, and word when the context's execution is cancelled.
/// </summary>
public sealed class ComponentHost
{
    // ML.NET tells its own assemblies alone whether execution was cancelled, through an interface that is internal.
    private static readonly MethodInfo? CancelledGetter =
        typeof(IHost).Assembly.GetType("Microsoft.ML.Runtime.ICancelable")?.GetProperty("IsCanceled")?.GetMethod;

    private readonly IHost _host;
    private readonly Func<bool>? _isCancelled;

    /// <summary>Registers a component.</summary>
    /// <param name="context">The context.</param>
    /// <param name="name">The component's name, which the log shows.</param>
    public ComponentHost(MLContext context, string name)
    {
        ArgumentNullException.ThrowIfNull(context);
        _host = ((IHostEnvironment)context).Register(name);
        _isCancelled = CancelledGetter?.DeclaringType!.IsInstanceOfType(_host) == true
            ? CancelledGetter.CreateDelegate<Func<bool>>(_host)
            : null;
    }

    /// <summary>
    /// Whether the execution of the context was cancelled, as ML.NET's AutoML does with trials that take too long. A context stays
    /// cancelled: what is called afterwards ends at once.
    /// </summary>
    public bool IsCancelled => _isCancelled?.Invoke() == true;

    /// <summary>Draws a seed. A context with a seed gives the same ones in the same order in every run of a program, one without gives
    /// others each time.</summary>
    /// <returns>A seed, not negative.</returns>
    public int DrawSeed()
    {
        lock (_host)
        {
            return _host.Rand.Next();
        }
    }

    /// <summary>Opens a channel of the log.</summary>
    /// <param name="name">What is being done.</param>
    /// <returns>The channel; the caller disposes it.</returns>
    public IChannel Start(string name) => _host.Start(name);

    /// <summary>Opens a channel of progress.</summary>
    /// <param name="name">What is being done.</param>
    /// <returns>The channel; the caller disposes it.</returns>
    public IProgressChannel StartProgressChannel(string name) => _host.StartProgressChannel(name);

    /// <summary>Watches for the end of a long call: by its own token, or because the context is cancelled.</summary>
    /// <param name="cancellation">The call's own token.</param>
    /// <returns>The watch; the caller disposes it.</returns>
    public CancellationWatch Watch(CancellationToken cancellation = default) => new(this, cancellation);
}
