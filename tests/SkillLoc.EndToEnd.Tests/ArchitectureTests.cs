using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Onnx;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>What the assemblies may know of each other, and what their public members look like.</summary>
public sealed class ArchitectureTests
{
    private static readonly Assembly Text = typeof(PromptTemplate).Assembly;

    private static readonly Assembly[] Ours =
    [
        Text,
        typeof(LanguageModel).Assembly,
        typeof(ScoringColumns).Assembly,
        typeof(OnnxScoringTransformer).Assembly,
        typeof(TextScoringTransformer).Assembly,
        typeof(PromptFineTuneTrainer).Assembly,
        typeof(CalibrationMetrics).Assembly,
    ];

    /// <summary>A scorer without TorchSharp links this half alone; an assembly that is not referenced is not called either.</summary>
    [Fact]
    public void TextNeedsNoTensorLibrary()
    {
        Assert.DoesNotContain(
            References(Text),
            name =>
                name.Contains("Torch", StringComparison.Ordinal)
                || name == "Microsoft.ML"
                || name.StartsWith("SkillLoc", StringComparison.Ordinal)
        );
        Assert.All(
            [typeof(Verbalizer), typeof(CheckpointTokenizer), typeof(TaskFiles), typeof(PromptTasks), typeof(TextToTextTask)],
            type => Assert.Same(Text, type.Assembly)
        );
        foreach (string topic in new[] { "Prompts", "Tokenization", "Datasets", "Generation", "Json" })
        {
            Assert.DoesNotContain(Ours[1..], assembly => assembly.GetTypes().Any(type => type.Namespace == $"SkillLoc.Models.{topic}"));
        }
    }

    [Fact]
    public void AssembliesKnowThoseBelowThemOnly()
    {
        string[] order = [.. Ours.Select(assembly => assembly.GetName().Name!)];
        Assert.Equal(
            [
                "SkillLoc.Text",
                "SkillLoc.Models",
                "SkillLoc.Scoring",
                "SkillLoc.Onnx",
                "SkillLoc.Transforms",
                "SkillLoc.Trainers",
                "SkillLoc.Evaluators",
            ],
            order
        );
        for (int i = 0; i < order.Length; i++)
        {
            Assert.Empty(References(Ours[i]).Intersect(order[i..]));
        }

        Assert.DoesNotContain("SkillLoc.Trainers", References(Ours[^1]));
        Assert.DoesNotContain(Ours[4..], assembly => References(assembly).Contains("SkillLoc.Onnx"));
        Assert.DoesNotContain(References(Ours[1]), name => name.StartsWith("Microsoft.ML", StringComparison.Ordinal));
    }

    /// <summary>A program that scores on ONNX Runtime has 20 MB of native code instead of libtorch's 500.</summary>
    [Fact]
    public void ScoringOnOnnxRuntimeNeedsNoTensorLibrary()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<Assembly>([typeof(OnnxScoringTransformer).Assembly]);
        while (open.TryPop(out Assembly? assembly))
        {
            foreach (string name in References(assembly).Where(seen.Add))
            {
                if (name.StartsWith("SkillLoc", StringComparison.Ordinal))
                {
                    open.Push(Assembly.Load(name));
                }
            }
        }

        Assert.Contains("SkillLoc.Scoring", seen);
        Assert.Contains("SkillLoc.Text", seen);
        Assert.DoesNotContain("SkillLoc.Models", seen);
        Assert.DoesNotContain(seen, name => name.Contains("Torch", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void WhatFitsIsAnEstimator() =>
        Assert.All(
            Ours.SelectMany(assembly => assembly.GetExportedTypes()).Where(type => type.GetMethods().Any(method => method.Name == "Fit")),
            type =>
                Assert.Contains(type.GetInterfaces(), each => each.IsGenericType && each.GetGenericTypeDefinition() == typeof(IEstimator<>))
        );

    /// <summary>Only named tensors are tuples, as in TorchSharp's own <c>named_parameters</c>.</summary>
    [Fact]
    public void PublicMembersNameWhatTheyReturn()
    {
        string[] tuples =
        [
            .. from assembly in Ours
            from type in assembly.GetExportedTypes()
            from member in type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
            where member.GetCustomAttribute<CompilerGeneratedAttribute>() is null
            from used in Types(member)
            where used.Any(each => typeof(ITuple).IsAssignableFrom(each) && !IsNamedTensor(each))
            select $"{type}.{member.Name}",
        ];
        Assert.Empty(tuples);

        static bool IsNamedTensor(Type type) =>
            type.GetGenericArguments() is [var name, var value] && name == typeof(string) && value == typeof(TorchSharp.torch.Tensor);

        static IEnumerable<IEnumerable<Type>> Types(MemberInfo member) =>
            member switch
            {
                MethodBase method => method
                    .GetParameters()
                    .Select(parameter => parameter.ParameterType)
                    .Append((method as MethodInfo)?.ReturnType ?? typeof(void))
                    .Select(Parts),
                FieldInfo field => [Parts(field.FieldType)],
                PropertyInfo property => [Parts(property.PropertyType)],
                _ => [],
            };

        static IEnumerable<Type> Parts(Type type) =>
            type.HasElementType ? Parts(type.GetElementType()!) : type.GetGenericArguments().SelectMany(Parts).Prepend(type);
    }

    private static string[] References(Assembly assembly) => [.. assembly.GetReferencedAssemblies().Select(name => name.Name!)];
}
