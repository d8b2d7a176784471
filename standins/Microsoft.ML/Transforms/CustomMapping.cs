using System.Reflection;

namespace Microsoft.ML.Transforms;

/// <summary>Brings a saved custom mapping back: its assembly is loaded by name, its factory found by contract name.</summary>
internal static class CustomMapping
{
    public const string Signature = "CustomMapping";

    public static ITransformer Load(ModelLoadContext ctx)
    {
        var contractName = ctx.Reader.ReadString();
        var assembly = ctx.Reader.ReadString();
        try
        {
            ctx.Catalog.RegisterAssembly(Assembly.Load(assembly));
        }
        catch (Exception e) when (e is IOException or BadImageFormatException)
        {
            // The factory may have been registered by hand.
        }

        return ((ICustomMappingFactory)ctx.Catalog.CreateExtension(contractName)).CreateTransformer(contractName);
    }
}
