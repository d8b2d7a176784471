using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;
using SkillLoc.Transforms;

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

/// <summary>Hexadecimal SHA-256 fingerprints of what the result of a run depends on.</summary>
internal static class RunFingerprint
{
    /// <summary>Returns the fingerprint of a run description.</summary>
    public static string Of(IReadOnlyDictionary<string, string> run) => Convert.ToHexStringLower(
        SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(run.OrderBy(pair => pair.Key, StringComparer.Ordinal))));

    /// <summary>Returns the fingerprint of encoded rows and their labels.</summary>
    public static string Of(EncodedDataset data)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append<float>(hash, data.Weights);
        for (int i = 0; i < data.Count; i++)
        {
            EncodedText text = data.Texts[i];
            Append(hash, [text.Position]);
            Append(hash, [text.Ids.Length, .. text.Ids]);
            Append(hash, [text.TokenTypes?.Length ?? -1, .. text.TokenTypes ?? []]);
            RowTarget target = data.Targets[i];
            Append(hash, [target.Label]);
            Append<float>(hash, [target.Share, .. target.LabelSet]);
            foreach (int[] tokens in target.AnswerTokens)
            {
                Append(hash, [tokens.Length, .. tokens]);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Returns the fingerprint of coordinates.</summary>
    public static string Of(IEnumerable<GraftPart> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (GraftPart part in parts)
        {
            Append<char>(hash, [.. part.Name, '\0']);
            Append(hash, [part.Indices.Length, .. part.Indices]);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
        where T : unmanaged => hash.AppendData(MemoryMarshal.AsBytes(values));
}
