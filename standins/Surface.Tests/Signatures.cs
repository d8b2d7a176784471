using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Standins.Surface.Tests;

/// <summary>XML documentation ids and C# signatures of what an assembly shows to others, written as the lists write them.</summary>
internal static class Signatures
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static bool IsVisible(Type type) => type.IsNested
        ? (type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamORAssem) && IsVisible(type.DeclaringType!)
        : type.IsPublic;

    /// <summary>A type's visible members: no accessors, nested types apart.</summary>
    public static IEnumerable<MemberInfo> MembersOf(Type type) => type.GetMembers(Declared).Where(member => member switch
    {
        ConstructorInfo constructor => !constructor.IsStatic && IsVisible(constructor),
        MethodInfo method => IsVisible(method) && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal)),
        PropertyInfo property => Accessors(property).Any(),
        EventInfo @event => IsVisible(@event.AddMethod!),
        FieldInfo field => (field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly) && !field.IsSpecialName,
        _ => false,
    });

    /// <summary>The method or property that a member overrides first of all, or null.</summary>
    public static MemberInfo? BaseDefinition(MemberInfo member)
    {
        var method = member as MethodInfo ?? (member is PropertyInfo property ? property.GetAccessors(nonPublic: true)[0] : null);
        var first = method?.GetBaseDefinition();
        if (first is null || first == method)
            return null;
        return member is MethodInfo
            ? first
            : first.DeclaringType!.GetProperties(Declared).Single(candidate => candidate.GetAccessors(nonPublic: true).Contains(first));
    }

    public static string Id(MemberInfo member) => member switch
    {
        Type type => "T:" + IdName(type),
        ConstructorInfo constructor => $"M:{IdName(constructor.DeclaringType!)}.#ctor{IdParameters(constructor.GetParameters())}",
        MethodInfo method => $"M:{IdName(method.DeclaringType!)}.{method.Name}"
            + (method.IsGenericMethod ? "``" + method.GetGenericArguments().Length : "")
            + IdParameters(method.GetParameters())
            + (method.Name is "op_Implicit" or "op_Explicit" ? "~" + Name(method.ReturnType) : ""),
        PropertyInfo property => $"P:{IdName(property.DeclaringType!)}.{property.Name}{IdParameters(property.GetIndexParameters())}",
        EventInfo => $"E:{IdName(member.DeclaringType!)}.{member.Name}",
        _ => $"F:{IdName(member.DeclaringType!)}.{member.Name}",
    };

    public static string Of(MemberInfo member) => member switch
    {
        Type type => OfType(type),
        ConstructorInfo constructor => $"{Access(constructor)} ctor({Parameters(constructor.GetParameters())})",
        MethodInfo method => $"{Access(method)}{Modifier(method)} {Name(method.ReturnType)} {method.Name}{Generics(method.GetGenericArguments())}"
            + $"({(method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "")}{Parameters(method.GetParameters())}){Constraints(method.GetGenericArguments())}",
        PropertyInfo property => OfProperty(property),
        EventInfo @event => $"{Access(@event.AddMethod!)}{Modifier(@event.AddMethod!)} event {Name(@event.EventHandlerType!)} {@event.Name}",
        FieldInfo field => OfField(field),
        _ => throw new ArgumentException($"A {member.MemberType} has no signature.", nameof(member)),
    };

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static IEnumerable<MethodInfo> Accessors(PropertyInfo property) =>
        new[] { property.GetMethod, property.SetMethod }.OfType<MethodInfo>().Where(IsVisible);

    private static string Access(MethodBase method) => method.IsPublic ? "public" : method.IsFamilyOrAssembly ? "protected internal" : "protected";

    private static string Modifier(MethodInfo method)
    {
        if (method.IsStatic)
            return " static";
        if (!method.IsVirtual || method.DeclaringType!.IsInterface)
            return "";
        if (method.GetBaseDefinition() != method)
            return method.IsFinal ? " sealed override" : " override";
        return method.IsAbstract ? " abstract" : method.IsFinal ? "" : " virtual";
    }

    private static string OfType(Type type)
    {
        var access = type.IsPublic || type.IsNestedPublic ? "public" : type.IsNestedFamORAssem ? "protected internal" : "protected";
        var kind = type switch
        {
            { IsEnum: true } => "enum",
            { IsValueType: true } => "struct",
            { IsInterface: true } => "interface",
            _ when type.IsSubclassOf(typeof(Delegate)) => "delegate",
            { IsAbstract: true, IsSealed: true } => "static class",
            { IsAbstract: true } => "abstract class",
            { IsSealed: true } => "sealed class",
            _ => "class",
        };
        var arguments = type.GetGenericArguments();
        return $"{access} {kind} <{string.Join(",", arguments.Select(argument => argument.Name))}>{Constraints(arguments)}";
    }

    private static string OfProperty(PropertyInfo property)
    {
        var accessors = Accessors(property).ToArray();
        var widest = accessors.OrderBy(accessor => Access(accessor).Length).First();
        var index = property.GetIndexParameters() is { Length: > 0 } parameters ? $"[{Parameters(parameters)}]" : "";
        var list = string.Join(" ", accessors.Select(accessor => $"{Access(accessor)} {(accessor == property.GetMethod ? "get" : "set")};"));
        return $"{Access(widest)}{Modifier(widest)} {Name(property.PropertyType)} {property.Name}{index} {{ {list} }}";
    }

    private static string OfField(FieldInfo field)
    {
        var access = field.IsPublic ? "public" : field.IsFamilyOrAssembly ? "protected internal" : "protected";
        var modifiers = field.IsLiteral ? " const" : (field.IsStatic ? " static" : "") + (field.IsInitOnly ? " readonly" : "");
        var value = field.IsLiteral ? " = " + Convert.ToString(field.GetRawConstantValue(), CultureInfo.InvariantCulture) : "";
        return $"{access}{modifiers} {Name(field.FieldType)} {field.Name}{value}";
    }

    private static string Parameters(ParameterInfo[] parameters) => string.Join(", ", parameters.Select(parameter =>
    {
        var modifier = parameter.IsDefined(typeof(ParamArrayAttribute)) ? "params "
            : !parameter.ParameterType.IsByRef ? ""
            : parameter.IsOut ? "out " : "ref ";
        var type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType()! : parameter.ParameterType;
        return $"{modifier}{Name(type)} {parameter.Name}{(parameter.HasDefaultValue ? " = " + DefaultValue(parameter, type) : "")}";
    }));

    private static string DefaultValue(ParameterInfo parameter, Type type)
    {
        var value = parameter.RawDefaultValue;
        type = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            null => "null",
            _ when type.IsEnum => $"{type.Name}.{Enum.ToObject(type, value)}",
            bool truth => truth ? "true" : "false",
            string text => $"\"{text.Replace("\n", "\\n", StringComparison.Ordinal)}\"",
            char character => $"'{character}'",
            float number => number.ToString(CultureInfo.InvariantCulture) + "f",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
    }

    private static string Generics(Type[] arguments) => arguments.Length == 0 ? "" : $"<{string.Join(",", arguments.Select(argument => argument.Name))}>";

    private static string Constraints(Type[] arguments) => arguments.Length == 0 ? "" : " where " + string.Join(", ", arguments.Select(argument =>
    {
        var flags = argument.GenericParameterAttributes;
        var isStruct = flags.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint);
        var parts = new List<string>();
        if (flags.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
            parts.Add("class");
        if (isStruct)
            parts.Add("struct");
        parts.AddRange(argument.GetGenericParameterConstraints().Where(type => type != typeof(ValueType)).Select(Name));
        if (flags.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !isStruct)
            parts.Add("new()");
        return $"{argument.Name}:{string.Join("&", parts)}";
    }));

    private static string IdName(Type type) => (type.FullName ?? $"{type.Namespace}.{type.Name}").Replace('+', '.');

    private static string IdParameters(ParameterInfo[] parameters) => parameters.Length == 0
        ? ""
        : $"({string.Join(",", parameters.Select(parameter => Name(parameter.ParameterType)))})";

    private static string Name(Type type)
    {
        if (type.IsGenericParameter)
            return (type.DeclaringMethod is null ? "`" : "``") + type.GenericParameterPosition.ToString(CultureInfo.InvariantCulture);
        if (type.IsByRef)
            return Name(type.GetElementType()!) + "@";
        if (type.IsArray)
            return Name(type.GetElementType()!) + (type.IsSZArray ? "[]" : $"[{string.Join(",", Enumerable.Repeat("0:", type.GetArrayRank()))}]");
        if (type.IsPointer)
            return Name(type.GetElementType()!) + "*";
        return NestedName(type, type.GetGenericArguments());
    }

    // Each level of nesting writes the arguments that it declares itself.
    private static string NestedName(Type type, Type[] arguments)
    {
        var outer = type.DeclaringType is { } declaring ? NestedName(declaring, arguments) : type.Namespace;
        var taken = type.DeclaringType?.GetGenericArguments().Length ?? 0;
        var own = arguments[taken..type.GetGenericArguments().Length];
        var tick = type.Name.IndexOf('`', StringComparison.Ordinal);
        var name = tick < 0 ? type.Name : type.Name[..tick];
        return $"{outer}.{name}{(own.Length == 0 ? "" : $"{{{string.Join(",", own.Select(Name))}}}")}";
    }
}
