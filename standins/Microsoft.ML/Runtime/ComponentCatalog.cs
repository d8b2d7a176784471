using System.Reflection;

namespace Microsoft.ML.Runtime;

/// <summary>The custom mapping factories of the registered assemblies, by contract name.</summary>
public sealed class ComponentCatalog
{
    private readonly Lock _lock = new();
    private readonly HashSet<Assembly> _assemblies = [];
    private readonly Dictionary<string, Type> _factories = [];

    internal ComponentCatalog()
    {
    }

    public void RegisterAssembly(Assembly assembly, bool throwOnError = true)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        lock (_lock)
        {
            if (!_assemblies.Add(assembly))
                return;

            foreach (var type in assembly.GetTypes().Where(t => t.IsClass))
            {
                foreach (var attribute in type.GetCustomAttributes<ExtensionBaseAttribute>(inherit: false))
                {
                    if (!_factories.TryAdd(attribute.ContractName, type) && throwOnError)
                        throw new InvalidOperationException($"Could not register extension '{type.FullName}': contract name "
                            + $"'{attribute.ContractName}' is already taken by '{_factories[attribute.ContractName].FullName}'");
                }
            }
        }
    }

    internal object CreateExtension(string contractName)
    {
        lock (_lock)
        {
            return _factories.TryGetValue(contractName, out var type)
                ? Activator.CreateInstance(type, nonPublic: true)
                : throw new InvalidOperationException($"Could not locate the custom mapping factory with contract name '{contractName}'. "
                    + "Register the assembly that holds it with ComponentCatalog.RegisterAssembly.");
        }
    }
}
