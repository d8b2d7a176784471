using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace SkillLoc;

/// <summary>
/// Gives a component access to its context: the log, seeds, and cancellation.
/// </summary>
public sealed class ComponentHost
{
    // ML.NET tells its own assemblies alone whether execution was cancelled, through an interface that is internal.
    private static readonly MethodInfo? CancelledGetter = typeof(IHost)
        .Assembly.GetType("Microsoft.ML.Runtime.ICancelable")
        ?.GetProperty("IsCanceled")
        ?.GetMethod;

    private readonly IHost _host;
    private readonly Func<bool>? _isCancelled;

    /// <summary>Registers a component.</summary>
    /// <param name="context">The context.</param>
    /// <param name="name">The component's name in the log.</param>
    public ComponentHost(MLContext context, string name)
    {
        ArgumentNullException.ThrowIfNull(context);
        _host = ((IHostEnvironment)context).Register(name);
        _isCancelled =
            CancelledGetter?.DeclaringType!.IsInstanceOfType(_host) == true ? CancelledGetter.CreateDelegate<Func<bool>>(_host) : null;
    }

    /// <summary>
    /// Whether the execution of the context was cancelled, as ML.NET's AutoML does with trials that take too long. A context stays
    /// cancelled, so later calls end at once.
    /// </summary>
    public bool IsCancelled => _isCancelled?.Invoke() == true;

    /// <summary>Draws a seed. A context with a seed gives the same sequence in every run of a program; one without gives different
    /// seeds.</summary>
    /// <returns>A non-negative seed.</returns>
    public int DrawSeed()
    {
        lock (_host)
        {
            return _host.Rand.Next();
        }
    }

    /// <summary>Opens a channel of the log.</summary>
    /// <param name="name">The activity.</param>
    /// <returns>The channel; the caller disposes it.</returns>
    public IChannel Start(string name) => _host.Start(name);

    /// <summary>Opens a channel of progress.</summary>
    /// <param name="name">The activity.</param>
    /// <returns>The channel; the caller disposes it.</returns>
    public IProgressChannel StartProgressChannel(string name) => _host.StartProgressChannel(name);

    /// <summary>Creates a watch for the cancellation of a long call, by its own token or by the context.</summary>
    /// <param name="cancellation">The call's own token.</param>
    /// <returns>The watch; the caller disposes it.</returns>
    public CancellationWatch Watch(CancellationToken cancellation = default) => new(this, cancellation);
}
