namespace Microsoft.ML.Runtime;

/// <summary>A named component of an <see cref="MLContext"/>; its channels raise <see cref="MLContext.Log"/>.</summary>
internal sealed class Host(MLContext context, string fullName, Random rand) : IHost
{
    public Random Rand => rand;

    public ComponentCatalog ComponentCatalog => context.ComponentCatalog;

    public string ContextDescription => fullName;

    public TException Process<TException>(TException ex)
        where TException : Exception => ex;

    public IHost Register(string name, int? seed = null, bool? verbose = null) =>
        new Host(context, $"{fullName}; {name}", seed is { } value ? new Random(value) : new Random(rand.Next()));

    public IChannel Start(string name) => new Channel(context, $"{fullName}; {name}");

    public IPipe<TMessage> StartPipe<TMessage>(string name) => new Pipe<TMessage>(fullName);

    public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

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
