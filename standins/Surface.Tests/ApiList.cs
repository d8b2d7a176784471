namespace Standins.Surface.Tests;

/// <summary>A real package's public API: XML documentation id to C# signature, one a line, a tab between.</summary>
internal sealed class ApiList
{
    private readonly Dictionary<string, string> _signatures = new(StringComparer.Ordinal);

    public ApiList(string name, IEnumerable<string> lines)
    {
        Name = name;
        foreach (var line in lines)
        {
            var tab = line.IndexOf('\t', StringComparison.Ordinal);
            _signatures[line[..tab]] = Normalize(line[(tab + 1)..]);
        }
    }

    public string Name { get; }

    public int Count => _signatures.Count;

    public static ApiList Load(string name) => new(name, File.ReadLines(Path.Combine(AppContext.BaseDirectory, "api", name + ".txt")));

    public string? SignatureOf(string id) => _signatures.GetValueOrDefault(id);

    // Nullability marks and deprecations differ from version to version and change no call. `null` and `default` are one value.
    public static string Normalize(string signature) => signature
        .Replace("?", "", StringComparison.Ordinal)
        .Replace(" [Obsolete]", "", StringComparison.Ordinal)
        .Replace(" = default", " = null", StringComparison.Ordinal)
        .TrimEnd();
}
