using System.Text.RegularExpressions;

namespace SkillLoc.Models.Hub;

/// <summary>The environment variables of Python's huggingface_hub, which one machine's programs share.</summary>
internal static partial class HubEnvironment
{
    /// <summary>Where huggingface_hub keeps its files.</summary>
    private static string Home =>
        Path.GetFullPath(Expand(Get("HF_HOME") ?? Path.Join(Get("XDG_CACHE_HOME") ?? Path.Join(UserFolder(), ".cache"), "huggingface")));

    /// <summary>The cache of repositories.</summary>
    public static string CacheFolder =>
        Path.GetFullPath(Expand(Get("HF_HUB_CACHE") ?? Get("HUGGINGFACE_HUB_CACHE") ?? Path.Join(Home, "hub")));

    /// <summary>The server, without a slash at its end.</summary>
    public static string Endpoint => Get("HF_ENDPOINT") ?? "https://huggingface.co";

    /// <summary>The name of the variable that forbids network access; null if none does.</summary>
    public static string? Offline =>
        Array.Find(["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"], name => Get(name) is not null) is { } first && IsTrue(Get(first))
            ? first
            : null;

    /// <summary>The user's access token; null without one.</summary>
    public static string? Token
    {
        get
        {
            if (IsTrue(Get("HF_HUB_DISABLE_IMPLICIT_TOKEN")))
            {
                return null;
            }

            string file = Expand(Get("HF_TOKEN_PATH") ?? Path.Join(Home, "token"));
            return Clean(Get("HF_TOKEN"))
                ?? Clean(Get("HUGGING_FACE_HUB_TOKEN"))
                ?? (File.Exists(file) ? Clean(File.ReadAllText(file)) : null);
        }
    }

    /// <summary>A token without blanks and line breaks around it; null if nothing is left.</summary>
    public static string? Clean(string? token) => token?.Trim() is { Length: > 0 } clean ? clean : null;

    private static string? Get(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static string UserFolder() =>
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);

    /// <summary>Puts in the user's folder for a tilde at the start, and the values of variables.</summary>
    private static string Expand(string path)
    {
        if (path == "~" || path.StartsWith("~/", StringComparison.Ordinal) || path.StartsWith("~\\", StringComparison.Ordinal))
        {
            path = UserFolder() + path[1..];
        }

        return Variable().Replace(path, match => Get(match.Groups["name"].Value) ?? match.Value);
    }

    [GeneratedRegex(
        @"\$\{?(?<name>\w+)\}?",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Variable();
}
