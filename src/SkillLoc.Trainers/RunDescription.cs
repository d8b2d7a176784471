using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace SkillLoc.Trainers;

/// <summary>The settings that affect the result of a run, by snake_case name.</summary>
internal sealed class RunDescription : Dictionary<string, string>
{
    /// <summary>Describes every number, flag and choice of an options class.</summary>
    /// <param name="options">The options, with public fields as in ML.NET.</param>
    /// <param name="except">Names of fields that do not affect the result.</param>
    public RunDescription(object options, params string[] except)
        : base(StringComparer.Ordinal)
    {
        foreach (FieldInfo field in options.GetType().GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            Type type = Nullable.GetUnderlyingType(field.FieldType) ?? field.FieldType;
            if ((type.IsPrimitive || type.IsEnum) && !except.Contains(field.Name))
            {
                Put(field.Name, field.GetValue(options));
            }
        }
    }

    /// <summary>Adds another value; null is omitted.</summary>
    public void Put(string name, object? value)
    {
        if (value is not null)
        {
            this[JsonNamingPolicy.SnakeCaseLower.ConvertName(name)] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
        }
    }
}
