using System.Reflection;
using Mono.Cecil;
using Mono.Cecil.Cil;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>
/// TorchSharp 0.107 does not keep a scalar alive while native code reads it, neither one that it is given nor one that it makes inside.
/// So our programs and libraries call what does either in one place only, which holds the scalars: TensorArithmetic. This looks for
/// other calls in the compiled code, also in compound assignments, lambdas and method groups.
/// </summary>
public sealed class ScalarLifetimeTests
{
    private const string Holder = "SkillLoc.Models.NativeCalls.TensorArithmetic";
    private const string Scalar = "TorchSharp.Scalar";

    /// <summary>What the benchmark compares with: TorchSharp as others write it, and oneDNN by way of TorchScript, whose calls may take
    /// scalars and here take tensors only.</summary>
    private static readonly string[] Plain =
    [
        "SkillLoc.Benchmarks.PlainModel",
        "SkillLoc.Benchmarks.PlainLayer",
        "SkillLoc.Benchmarks.PlainJobs",
        "SkillLoc.Benchmarks.Kernels",
    ];

    private static readonly ReaderParameters Reading = new() { AssemblyResolver = Resolver() };

    private static readonly HashSet<string> UnsafeMembers = Unsafe(
        AssemblyDefinition.ReadAssembly(typeof(torch).Assembly.Location, Reading)
    );

    [Fact]
    public void OnlyOnePlaceMakesScalarsOrHandsThemToTorchSharp()
    {
        AssemblyDefinition[] ours = [.. Directory.GetFiles(AppContext.BaseDirectory, "*.dll").Select(Ours).OfType<AssemblyDefinition>()];
        Assert.Superset(
            new HashSet<string>
            {
                "SkillLoc.Text",
                "SkillLoc.Models",
                "SkillLoc.Transforms",
                "SkillLoc.Trainers",
                "SkillLoc.Evaluators",
                "SkillLoc.Benchmarks",
                "Demo",
                "Pretrain",
                "Predict",
                "GraftingStudy",
                "SkillNeuronStudy",
                "ConnectivityStudy",
                "MergingStudy",
                "KilledTrainer",
                "SkillLoc.Studies",
                "skillloc",
            },
            ours.Select(assembly => assembly.Name.Name).ToHashSet()
        );
        ILookup<bool, string> calls = ours.SelectMany(UnsafeCalls)
            .Where(call => !Plain.Any(type => call.Type == type || call.Type.StartsWith(type + "/", StringComparison.Ordinal)))
            .ToLookup(call => call.Type == Holder, call => call.What);
        Assert.NotEmpty(calls[true]);
        Assert.True(!calls[false].Any(), $"Use {Holder} instead:\n{string.Join('\n', calls[false])}");
    }

    /// <summary>What the search must find: it has no list of its own.</summary>
    [Theory]
    [InlineData("TorchSharp.Scalar TorchSharp.Scalar::op_Implicit(System.Double)")]
    [InlineData("TorchSharp.Scalar TorchSharp.ScalarExtensionMethods::ToScalar(System.Double)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::mul(TorchSharp.Scalar)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::op_Addition(TorchSharp.torch/Tensor,TorchSharp.torch/Tensor)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::op_Subtraction(System.Int32,TorchSharp.torch/Tensor)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::square()")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/nn/functional::leaky_relu(TorchSharp.torch/Tensor,System.Double,System.Boolean)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/optim/Optimizer::step(System.Func`1<TorchSharp.torch/Tensor>)")]
    public void UnsafeMembersAreKnown(string member) => Assert.Contains(member, UnsafeMembers);

    [Theory]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::op_Multiply(TorchSharp.torch/Tensor,TorchSharp.torch/Tensor)")]
    [InlineData("TorchSharp.torch/Tensor TorchSharp.torch/Tensor::op_Subtraction(TorchSharp.torch/Tensor,TorchSharp.torch/Tensor)")]
    public void SafeMembersAreFree(string member) => Assert.DoesNotContain(member, UnsafeMembers);

    /// <summary>Members that take or give scalars, that make some inside, or that call one of these; and what they override.</summary>
    private static HashSet<string> Unsafe(AssemblyDefinition torchSharp)
    {
        MethodDefinition[] methods = [.. Methods(torchSharp).Where(method => method.DeclaringType.FullName != Scalar || method.IsStatic)];
        Dictionary<string, string[]> callees = methods.ToDictionary(
            method => method.FullName,
            method => References(method).Select(pair => FullName(pair.Method)).Distinct().ToArray()
        );
        HashSet<string> found =
        [
            .. methods.Where(method => method.ReturnType.FullName == Scalar).Select(method => method.FullName),
            .. torchSharp.MainModule.GetType(Scalar).Methods.Where(method => method.IsConstructor).Select(method => method.FullName),
        ];
        for (int before = -1; before < found.Count; )
        {
            before = found.Count;
            foreach (MethodDefinition method in methods)
            {
                if (!found.Contains(method.FullName) && callees[method.FullName].Any(found.Contains))
                {
                    found.Add(method.FullName);
                    for (MethodDefinition overridden = method; overridden.IsVirtual && Base(overridden) is { } lower; overridden = lower)
                    {
                        found.Add(lower.FullName);
                    }
                }
            }
        }

        found.UnionWith(
            methods
                .Where(method => method.Parameters.Any(parameter => parameter.ParameterType.GetElementType().FullName == Scalar))
                .Select(method => method.FullName)
        );
        return found;
    }

    private static MethodDefinition? Base(MethodDefinition method)
    {
        TypeReference? lower = method.DeclaringType.BaseType;
        for (; lower?.Resolve() is { } type && type.Module == method.Module; lower = type.BaseType)
        {
            if (
                type.Methods.FirstOrDefault(other =>
                    other.IsVirtual && other.Name == method.Name && other.Parameters.Count == method.Parameters.Count
                ) is
                { } found
            )
            {
                return found;
            }
        }

        return null;
    }

    private static IEnumerable<(string Type, string What)> UnsafeCalls(AssemblyDefinition assembly) =>
        from method in Methods(assembly)
        from reference in References(method)
        where
            reference.Method.DeclaringType.Scope.Name == "TorchSharp"
            && UnsafeMembers.Contains(FullName(reference.Method))
            && !IsModuleConstructor(reference.Method)
        select (method.DeclaringType.FullName, $"{reference.Line}: {FullName(reference.Method)}");

    /// <summary>It takes the address of a method that calls forward, which some of TorchSharp's own modules make scalars in; it calls
    /// none.</summary>
    private static bool IsModuleConstructor(MethodReference method) =>
        method.Name == ".ctor" && FullName(method).Contains(" TorchSharp.torch/nn/Module", StringComparison.Ordinal);

    /// <summary>An assembly of this repository that is no test; null for others.</summary>
    private static AssemblyDefinition? Ours(string path)
    {
        try
        {
            var assembly = AssemblyDefinition.ReadAssembly(path, Reading);
            object? company = assembly
                .CustomAttributes.FirstOrDefault(attribute => attribute.AttributeType.Name == nameof(AssemblyCompanyAttribute))
                ?.ConstructorArguments[0]
                .Value;
            if (
                company as string != typeof(ScalarLifetimeTests).Assembly.GetCustomAttribute<AssemblyCompanyAttribute>()!.Company
                || assembly.Name.Name.EndsWith(".Tests", StringComparison.Ordinal)
            )
            {
                return null;
            }

            if (File.Exists(Path.ChangeExtension(path, ".pdb")))
            {
                assembly.MainModule.ReadSymbols();
            }

            return assembly;
        }
        catch (BadImageFormatException)
        {
            return null;
        }
    }

    private static IEnumerable<MethodDefinition> Methods(AssemblyDefinition assembly) =>
        assembly.MainModule.GetTypes().SelectMany(type => type.Methods).Where(method => method.HasBody);

    /// <summary>The methods that a method calls or takes the address of, with the line.</summary>
    private static IEnumerable<(MethodReference Method, string Line)> References(MethodDefinition method)
    {
        IDictionary<Instruction, SequencePoint>? points = method.DebugInformation.HasSequencePoints
            ? method.DebugInformation.GetSequencePointMapping()
            : null;
        string line = method.FullName;
        foreach (Instruction instruction in method.Body.Instructions)
        {
            if (points?.TryGetValue(instruction, out SequencePoint? point) == true && !point.IsHidden)
            {
                line = $"{point.Document.Url}({point.StartLine})";
            }

            if (instruction.Operand is MethodReference reference)
            {
                yield return (reference, line);
            }
        }
    }

    private static DefaultAssemblyResolver Resolver()
    {
        var resolver = new DefaultAssemblyResolver();
        resolver.AddSearchDirectory(AppContext.BaseDirectory);
        return resolver;
    }

    private static string FullName(MethodReference method) => method.Resolve()?.FullName ?? method.FullName;
}
