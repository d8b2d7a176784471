using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace SkillLoc.Models.Hub;

/// <summary>Asks a hub: which files a revision has, what their hashes are, and for their content.</summary>
/// <param name="name">The repository and the revision.</param>
/// <param name="options">Server, token and timeout.</param>
internal sealed class HubClient(HubName name, HubOptions options)
{
    /// <summary>Attempts without a byte more than before, until one gives up.</summary>
    public const int Attempts = 5;

    private const int MostRedirects = 10;
    private const int MostOfAMessage = 300;
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(2);

    // Redirects are followed here, since the token must not go with them. Proxies are those of the environment.
    private static readonly HttpClient Http = new(
        new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        }
    )
    {
        Timeout = System.Threading.Timeout.InfiniteTimeSpan,
    };

    private readonly Uri _endpoint = ReadEndpoint(options);
    private readonly string? _token = options.Token is { } token ? HubEnvironment.Clean(token) : HubEnvironment.Token;

    /// <summary>The server, for messages.</summary>
    public string Endpoint => _endpoint.AbsoluteUri.TrimEnd('/');

    /// <summary>Lists a revision.</summary>
    /// <returns>Its commit, and the names of its files.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such repository or revision.</exception>
    /// <exception cref="IOException">The server cannot be reached, or refuses.</exception>
    public async Task<(string Commit, IReadOnlyList<string> Files)> List(CancellationToken cancellation)
    {
        var uri = new Uri($"{Endpoint}/api/models/{name.Repository}/revision/{Uri.EscapeDataString(name.RevisionOrMain)}");
        return await Patiently(
                async () =>
                {
                    using HttpResponseMessage response = await Send(HttpMethod.Get, uri, from: 0, cancellation).ConfigureAwait(false);
                    using var silence = new Silence(options.Timeout, cancellation);
                    string text = await silence.Watch(token => response.Content.ReadAsStringAsync(token)).ConfigureAwait(false);
                    try
                    {
                        using var json = JsonDocument.Parse(text);
                        string commit = json.RootElement.GetProperty("sha").GetString() ?? "";
                        string[] files =
                        [
                            .. json
                                .RootElement.GetProperty("siblings")
                                .EnumerateArray()
                                .Select(file => file.GetProperty("rfilename").GetString()!),
                        ];
                        return HubName.IsCommit(commit) ? (commit, files) : throw new JsonException($"'{commit}' is no commit");
                    }
                    catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
                    {
                        throw new IOException($"{uri} gave no list of files ({e.Message.TrimEnd('.')}): is {Endpoint} a hub?", e);
                    }
                },
                cancellation
            )
            .ConfigureAwait(false);
    }

    /// <summary>Asks what a file is.</summary>
    /// <param name="commit">The commit.</param>
    /// <param name="file">The file's name.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Its hash and length.</returns>
    /// <exception cref="IOException">The server cannot be reached, refuses, or names no hash.</exception>
    public async Task<HubFile> Head(string commit, string file, CancellationToken cancellation)
    {
        Uri uri = UriOf(commit, file);
        return await Patiently(
                async () =>
                {
                    using HttpResponseMessage response = await Send(HttpMethod.Head, uri, from: 0, cancellation).ConfigureAwait(false);
                    string? hash = Clean(Header(response, "X-Linked-Etag") ?? Header(response, "ETag"));
                    if (hash is null || !HubFile.IsHash(hash))
                    {
                        throw new IOException(
                            $"{uri} names no hash to check the file by: its ETag is '{hash}', and a hub gives a SHA-256 or a SHA-1 of "
                                + "git there."
                        );
                    }

                    long? length =
                        long.TryParse(Header(response, "X-Linked-Size"), CultureInfo.InvariantCulture, out long linked) ? linked
                        : IsRedirect(response.StatusCode) ? null
                        : response.Content.Headers.ContentLength;
                    return new HubFile(file, hash, length);
                },
                cancellation
            )
            .ConfigureAwait(false);
    }

    /// <summary>Opens a file's content at a place. Failures of the connection are passed on as they are, for the caller to try
    /// again.</summary>
    public Task<HttpResponseMessage> Open(string commit, string file, long from, CancellationToken cancellation) =>
        Send(HttpMethod.Get, UriOf(commit, file), from, cancellation);

    /// <summary>Whether an error is one of the connection, which may be over the next time.</summary>
    public static bool IsTransient(Exception error) =>
        error is HttpRequestException or HttpIOException or TimeoutException or BusyException;

    /// <summary>Pauses before another attempt, for as long as the server asks for.</summary>
    public Task Pause(int attempt, Exception error, CancellationToken cancellation) =>
        Task.Delay((error as BusyException)?.After ?? options.RetryDelay * Math.Pow(2, attempt), cancellation);

    /// <summary>What is said when attempts are over.</summary>
    public IOException GiveUp(string what, Exception error) =>
        new(
            error is BusyException
                ? $"{what}: {error.Message}"
                : $"{what} from {Endpoint} ({Innermost(error).Message.TrimEnd('.')}). Is the network there, or a proxy needed (HTTPS_PROXY)? "
                    + "HF_ENDPOINT names another server.",
            error
        );

    private async Task<T> Patiently<T>(Func<Task<T>> ask, CancellationToken cancellation)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return await ask().ConfigureAwait(false);
            }
            catch (Exception e) when (IsTransient(e))
            {
                if (attempt + 1 >= Attempts || e is BusyException { After: var after } && after > LongestPause)
                {
                    throw GiveUp($"'{name}' cannot be looked up", e);
                }

                await Pause(attempt, e, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Sends a request, and follows redirects: GET all, HEAD those within the server, since a file's hash stands in the redirect
    /// that leads away from it.</summary>
    private async Task<HttpResponseMessage> Send(HttpMethod method, Uri uri, long from, CancellationToken cancellation)
    {
        Uri asked = uri;
        for (int redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(method, uri);
            request.Headers.UserAgent.Add(new ProductInfoHeaderValue("SkillLoc.MLNet", null));
            if (_token is not null && IsOurs(uri))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
            }

            if (from > 0)
            {
                request.Headers.Range = new RangeHeaderValue(from, null);
            }

            using var silence = new Silence(options.Timeout, cancellation);
            HttpResponseMessage response = await silence
                .Watch(token => Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token))
                .ConfigureAwait(false);
            if (!IsRedirect(response.StatusCode) || response.Headers.Location is not { } location)
            {
                return response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && from > 0
                    ? response
                    : throw Refused(response, asked);
            }

            var next = new Uri(uri, location);
            if (method == HttpMethod.Head && (!IsOurs(next) || Header(response, "X-Linked-Etag") is not null))
            {
                return response;
            }

            response.Dispose();
            if (next.Scheme != Uri.UriSchemeHttps && next.Scheme != uri.Scheme)
            {
                throw new IOException(
                    $"{uri} redirects to {next.GetLeftPart(UriPartial.Authority)}, which is not encrypted; it is not followed."
                );
            }

            uri = next;
        }

        throw new IOException($"{asked} redirects in a circle.");
    }

    /// <summary>What the server's refusal means.</summary>
    private IOException Refused(HttpResponseMessage response, Uri asked)
    {
        using (response)
        {
            int status = (int)response.StatusCode;
            string code = Header(response, "X-Error-Code") ?? "";
            string says = Header(response, "X-Error-Message") is { } message
                ? $" The server says: {(message.Length > MostOfAMessage ? message[..MostOfAMessage] : message)}"
                : "";
            string access = _token is null
                ? "no access token is set: HF_TOKEN names one"
                : "the access token in use (HF_TOKEN) is not one that may read it";
            return (status, code) switch
            {
                (408 or 429 or 500 or 502 or 503 or 504, _) => Busy(response, says),
                (_, "GatedRepo") => new IOException(
                    $"'{name.Repository}' is gated: ask for access at {Endpoint}/{name.Repository}; {access}.{says}"
                ),
                (_, "RevisionNotFound") => new DirectoryNotFoundException(
                    $"'{name.Repository}' at {Endpoint} has no revision '{name.RevisionOrMain}'.{says}"
                ),
                (_, "EntryNotFound") => new FileNotFoundException($"{asked} is not there.{says}"),
                (401 or 404, _) => new DirectoryNotFoundException(
                    $"{Endpoint} has no model '{name.Repository}', or a private one, and {access}.{says}"
                ),
                (403, _) => new IOException($"{Endpoint} forbids reading '{name.Repository}'; {access}.{says}"),
                _ => new IOException($"{asked} was answered with {status} {response.ReasonPhrase}.{says}"),
            };
        }
    }

    private static BusyException Busy(HttpResponseMessage response, string says)
    {
        TimeSpan? after =
            response.Headers.RetryAfter?.Delta ?? (response.Headers.RetryAfter?.Date is { } date ? date - DateTimeOffset.UtcNow : null);
        if (after < TimeSpan.Zero)
        {
            after = TimeSpan.Zero;
        }

        return new(
            $"the server is busy ({(int)response.StatusCode} {response.ReasonPhrase})"
                + (after is { } pause ? string.Create(CultureInfo.InvariantCulture, $", try again in {pause.TotalSeconds:F0} s") : "")
                + $".{says}",
            after
        );
    }

    private bool IsOurs(Uri uri) =>
        Uri.Compare(uri, _endpoint, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;

    private Uri UriOf(string commit, string file) =>
        new($"{Endpoint}/{name.Repository}/resolve/{commit}/{string.Join('/', file.Split('/').Select(Uri.EscapeDataString))}");

    private static Uri ReadEndpoint(HubOptions options)
    {
        string endpoint = options.Endpoint ?? HubEnvironment.Endpoint;
        return
            Uri.TryCreate(endpoint, UriKind.Absolute, out Uri? uri) && (uri.Scheme == Uri.UriSchemeHttps || uri.Scheme == Uri.UriSchemeHttp)
            ? uri
            : throw new IOException($"The hub's address '{endpoint}' (HF_ENDPOINT) is no http or https address.");
    }

    private static bool IsRedirect(HttpStatusCode status) => (int)status is 301 or 302 or 303 or 307 or 308;

    private static string? Header(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out IEnumerable<string>? values) ? values.First() : null;

    private static string? Clean(string? etag) =>
        etag is null ? null : (etag.StartsWith("W/", StringComparison.Ordinal) ? etag[2..] : etag).Trim('"');

    private static Exception Innermost(Exception error) =>
        error is not TimeoutException && error.InnerException is { } inner ? Innermost(inner) : error;

    private sealed class BusyException(string message, TimeSpan? after) : IOException(message)
    {
        public TimeSpan? After => after;
    }
}

/// <summary>Turns a server's silence into an error.</summary>
internal sealed class Silence : IDisposable
{
    private readonly TimeSpan _longest;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenSource _source;

    public Silence(TimeSpan longest, CancellationToken cancellation)
    {
        _longest = longest;
        _cancellation = cancellation;
        _source = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
    }

    /// <summary>Waits for the server.</summary>
    /// <exception cref="TimeoutException">It was silent for too long.</exception>
    public async Task<T> Watch<T>(Func<CancellationToken, Task<T>> wait)
    {
        _source.CancelAfter(_longest);
        try
        {
            return await wait(_source.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!_cancellation.IsCancellationRequested)
        {
            throw new TimeoutException(
                string.Create(CultureInfo.InvariantCulture, $"the server was silent for {_longest.TotalSeconds:0.#} s"),
                e
            );
        }
    }

    public void Dispose() => _source.Dispose();
}
