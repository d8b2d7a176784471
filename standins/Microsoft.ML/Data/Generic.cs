using System.Reflection;

namespace Microsoft.ML.Data;

/// <summary>Calls a generic method with a type that is known only at run time.</summary>
internal static class Generic
{
    public static object Call(Delegate template, Type type, params object[] arguments) => Call(template, [type], arguments);

    public static object Call(Delegate template, Type[] types, params object[] arguments) =>
        template.Method.GetGenericMethodDefinition().MakeGenericMethod(types)
            .Invoke(template.Target, BindingFlags.DoNotWrapExceptions, null, arguments, null);

    /// <summary>The getter of a column, of whatever type it is.</summary>
    public static Delegate Getter(DataViewRow row, DataViewSchema.Column column) =>
        (Delegate)Call(row.GetGetter<int>, column.Type.RawType, column);
}
