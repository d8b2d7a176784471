namespace Microsoft.ML.Runtime;

/// <summary>A named component of an <see cref="MLContext"/>; its channels raise <see cref="MLContext.Log"/>.</summary>
internal sealed class Host(MLContext context, string parentName, string fullName, Random rand) : IHost
{
    public Random Rand => rand;

    public ComponentCatalog ComponentCatalog => context.ComponentCatalog;

    public string ContextDescription => fullName;

    public TException Process<TException>(TException ex)
        where TException : Exception => ex;

    // A host is named below the parent of the host that it was registered at, not below that host itself.
    public IHost Register(string name, int? seed = null, bool? verbose = null)
    {
        Raise.IfEmpty(name, nameof(name));
        return new Host(context, fullName, Join(parentName, name), new Random(seed ?? rand.Next()));
    }

    public IChannel Start(string name)
    {
        Raise.IfEmpty(name, nameof(name));
        return new Channel(context, Join(fullName, name));
    }

    public IPipe<TMessage> StartPipe<TMessage>(string name) => new Pipe<TMessage>(Join(fullName, name));

    public IProgressChannel StartProgressChannel(string name)
    {
        Raise.IfEmpty(name, nameof(name));
        return new ProgressChannel();
    }

    private static string Join(string parent, string name) => string.IsNullOrEmpty(parent) ? name : $"{parent}; {name}";

    private sealed class Pipe<TMessage>(string fullName) : IPipe<TMessage>
    {
        public string ContextDescription => fullName;

        public TException Process<TException>(TException ex)
            where TException : Exception => ex;

        public void Send(TMessage msg)
        {
        }

        public void Dispose()
        {
        }
    }
}
