using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SkillLoc.Models.Tests.Hub;

/// <summary>
/// A hub on this machine that answers over HTTP as the real one does: small files lie in git, behind a redirect within the server, and are
/// named by git's SHA-1; large ones lie on another host, behind a redirect to it, and are named by their SHA-256. Legacy names are
/// redirected.
/// </summary>
internal sealed class HubServer : IDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly HttpListener _hub;
    private readonly HttpListener _storage;
    private readonly Dictionary<string, Dictionary<string, byte[]>> _repositories = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<(int Status, string? RetryAfter)> _refusals = new();

    public HubServer()
    {
        (_hub, Endpoint) = Listen(AnswerHub);
        (_storage, Storage) = Listen(AnswerStorage);
    }

    public string Endpoint { get; }

    /// <summary>The other host.</summary>
    public string Storage { get; }

    public ConcurrentQueue<Request> Requests { get; } = new();

    /// <summary>Names that lead to others.</summary>
    public Dictionary<string, string> Redirects { get; } = new(StringComparer.Ordinal);

    /// <summary>What must be sent for any answer; null for none.</summary>
    public string? Token { get; set; }

    /// <summary>Whether repositories are gated rather than hidden for who has no token.</summary>
    public bool IsGated { get; set; }

    /// <summary>Bytes that a large file is sent in until the connection breaks; 0 for all.</summary>
    public int BreaksAfter { get; set; }

    /// <summary>How many connections break.</summary>
    public int Breaks { get; set; }

    /// <summary>Whether ranges are answered with the whole file.</summary>
    public bool IgnoresRanges { get; set; }

    /// <summary>How many times a large file is sent with another byte in it.</summary>
    public int Corruptions { get; set; }

    /// <summary>A pause in the middle of each large file.</summary>
    public TimeSpan Pause { get; set; }

    /// <summary>Whether ETags are no hashes, as those of other servers.</summary>
    public bool HasOddTags { get; set; }

    public IEnumerable<Request> Contents => Requests.Where(request => request is { Method: "GET", IsStorage: true });

    /// <summary>Adds a repository of an oracle's files.</summary>
    public Dictionary<string, byte[]> Add(string name, string folder)
    {
        var files = Directory
            .EnumerateFiles(folder)
            .ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes, StringComparer.Ordinal);
        files.Add("README.md", "# A model"u8.ToArray());
        return _repositories[name] = files;
    }

    /// <summary>The next request is refused.</summary>
    public void Refuse(int status, string? retryAfter = null) => _refusals.Enqueue((status, retryAfter));

    [SuppressMessage("Security", "CA5350", Justification = "Git names its blobs so.")]
    public static string HashOf(string file, byte[] content) =>
        IsLarge(file)
            ? Convert.ToHexStringLower(SHA256.HashData(content))
            : Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));

    public static bool IsLarge(string file) =>
        file.EndsWith(".safetensors", StringComparison.Ordinal) || file.EndsWith(".bin", StringComparison.Ordinal);

    public void Dispose()
    {
        _hub.Close();
        _storage.Close();
    }

    private static (HttpListener Listener, string Address) Listen(Action<HttpListenerContext> answer)
    {
        while (true)
        {
            using var probe = new TcpListener(IPAddress.Loopback, 0);
            probe.Start();
            string address = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}";
            probe.Stop();
            var listener = new HttpListener();
            listener.Prefixes.Add(address + "/");
            try
            {
                listener.Start();
            }
            catch (HttpListenerException)
            {
                // Another program took the port.
                continue;
            }

            _ = Task.Run(async () =>
            {
                while (listener.IsListening)
                {
                    HttpListenerContext context = await listener.GetContextAsync();
                    _ = Task.Run(() =>
                    {
                        try
                        {
                            // Otherwise the listener sends chunks, of which the end would follow a HEAD.
                            context.Response.ContentLength64 = 0;
                            answer(context);
                            context.Response.Close();
                        }
                        catch (Exception e) when (e is HttpListenerException or IOException or ObjectDisposedException)
                        {
                            // The client is gone, or the connection was broken on purpose.
                        }
                    });
                }
            });
            return (listener, address);
        }
    }

    private void Note(HttpListenerContext context, bool isStorage) =>
        Requests.Enqueue(
            new(
                context.Request.HttpMethod,
                context.Request.Url!.AbsolutePath,
                context.Request.Headers["Range"],
                context.Request.Headers["Authorization"],
                isStorage
            )
        );

    private void AnswerHub(HttpListenerContext context)
    {
        Note(context, isStorage: false);
        HttpListenerResponse response = context.Response;
        if (_refusals.TryDequeue(out (int Status, string? RetryAfter) refusal))
        {
            response.StatusCode = refusal.Status;
            if (refusal.RetryAfter is not null)
            {
                response.AddHeader("Retry-After", refusal.RetryAfter);
            }

            return;
        }

        string path = context.Request.Url!.AbsolutePath;
        foreach ((string from, string to) in Redirects)
        {
            if (path.Contains($"/{from}/", StringComparison.Ordinal) && !path.Contains($"/{to}/", StringComparison.Ordinal))
            {
                response.StatusCode = 307;
                response.AddHeader("Location", path.Replace($"/{from}/", $"/{to}/", StringComparison.Ordinal));
                return;
            }
        }

        string? repository = _repositories.Keys.FirstOrDefault(name => path.Contains($"/{name}/", StringComparison.Ordinal));
        if (Token is not null && context.Request.Headers["Authorization"] != $"Bearer {Token}")
        {
            Error(response, IsGated ? 403 : 401, IsGated ? "GatedRepo" : "RepoNotFound", "Access is restricted.");
            return;
        }

        if (repository is null)
        {
            // As the hub does it for whoever has no token.
            Error(response, 401, "RepoNotFound", "Repository not found");
            return;
        }

        Dictionary<string, byte[]> files = _repositories[repository];
        string rest = path[(path.IndexOf($"/{repository}/", StringComparison.Ordinal) + repository.Length + 2)..];
        string[] parts = (path.StartsWith("/api/resolve-cache/", StringComparison.Ordinal) ? "resolve/" + rest : rest).Split('/', 3);
        string revision = Uri.UnescapeDataString(parts[1]);
        if (revision is not ("main" or "v1" or Commit or "refs/pr/7"))
        {
            Error(response, 404, "RevisionNotFound", $"Invalid rev id: {revision}");
            return;
        }

        if (parts[0] == "revision")
        {
            Json(
                response,
                new
                {
                    id = repository,
                    sha = Commit,
                    siblings = files.Keys.Select(name => new { rfilename = name }),
                    tags = new[] { "a" },
                }
            );
            return;
        }

        // The list that Python asks for.
        if (parts[0] == "tree")
        {
            Json(
                response,
                files.Select(file => new
                {
                    type = "file",
                    path = file.Key,
                    size = file.Value.Length,
                    oid = HashOf(file.Key, file.Value),
                })
            );
            return;
        }

        response.AddHeader("X-Repo-Commit", Commit);
        if (!files.TryGetValue(parts[2], out byte[]? content))
        {
            Error(response, 404, "EntryNotFound", "Entry not found");
            return;
        }

        string tag = HasOddTags ? "\"5f-1a2b\"" : $"\"{HashOf(parts[2], content)}\"";
        if (IsLarge(parts[2]))
        {
            response.StatusCode = 302;
            response.AddHeader("X-Linked-Etag", tag);
            response.AddHeader("X-Linked-Size", content.Length.ToString());
            response.AddHeader("ETag", "\"of-the-redirect\"");
            response.AddHeader("Location", $"{Storage}/{repository}/{parts[2]}?signature=s");
            return;
        }

        if (!path.StartsWith("/api/", StringComparison.Ordinal))
        {
            response.StatusCode = 307;
            response.AddHeader("Location", $"/api/resolve-cache/models/{repository}/{Commit}/{parts[2]}?download=true");
            return;
        }

        response.AddHeader("ETag", "W/" + tag);
        response.ContentLength64 = content.Length;
        if (context.Request.HttpMethod == "GET")
        {
            response.OutputStream.Write(content);
        }
    }

    /// <summary>As a store that knows signed addresses only: a token in the request is an error.</summary>
    private void AnswerStorage(HttpListenerContext context)
    {
        Note(context, isStorage: true);
        HttpListenerResponse response = context.Response;
        if (context.Request.Headers["Authorization"] is not null)
        {
            response.StatusCode = 400;
            return;
        }

        string path = context.Request.Url!.AbsolutePath[1..];
        string repository = _repositories.Keys.First(name => path.StartsWith(name + "/", StringComparison.Ordinal));
        byte[] content = [.. _repositories[repository][path[(repository.Length + 1)..]]];
        int from = 0;
        if (context.Request.Headers["Range"] is { } range && !IgnoresRanges)
        {
            from = int.Parse(range["bytes=".Length..].TrimEnd('-'));
            if (from >= content.Length)
            {
                response.StatusCode = 416;
                return;
            }

            response.StatusCode = 206;
            response.AddHeader("Content-Range", $"bytes {from}-{content.Length - 1}/{content.Length}");
        }

        if (Corruptions > 0)
        {
            Corruptions--;
            content[^1] ^= 1;
        }

        byte[] sent = content[from..];
        response.ContentLength64 = sent.Length;
        int count = BreaksAfter > 0 && Breaks > 0 && BreaksAfter < sent.Length ? BreaksAfter : sent.Length;
        response.OutputStream.Write(sent, 0, count / 2);
        response.OutputStream.Flush();
        Thread.Sleep(Pause);
        response.OutputStream.Write(sent, count / 2, count - (count / 2));
        if (count < sent.Length)
        {
            Breaks--;
            response.OutputStream.Flush();
            response.Abort();
        }
    }

    private static void Json<T>(HttpListenerResponse response, T value)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(value);
        response.ContentType = "application/json";
        response.ContentLength64 = json.Length;
        response.OutputStream.Write(json);
    }

    private static void Error(HttpListenerResponse response, int status, string code, string message)
    {
        response.StatusCode = status;
        response.AddHeader("X-Error-Code", code);
        response.AddHeader("X-Error-Message", message);
    }

    public sealed record Request(string Method, string Path, string? Range, string? Authorization, bool IsStorage);
}
