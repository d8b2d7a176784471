using System.Diagnostics;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tokenization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Hub;

/// <summary>Downloads from a server on this machine that behaves as the hub does.</summary>
public sealed partial class HubDownloadTests : IDisposable
{
    private const string Name = "tiny/roberta";

    private static readonly string Oracle = Oracles.PathOf("tiny-roberta");

    private readonly TemporaryFolder _folder = new();
    private readonly HubServer _server = new();
    private readonly Dictionary<string, byte[]> _files;

    public HubDownloadTests() => _files = _server.Add(Name, Oracle);

    private string Cache => _folder.PathOf("hub");

    private string Repository => Path.Join(Cache, "models--tiny--roberta");

    private string Snapshot => Path.Join(Repository, "snapshots", HubServer.Commit);

    private string Weights => Path.Join(Repository, "blobs", HubServer.HashOf("model.safetensors", _files["model.safetensors"]));

    public void Dispose()
    {
        _server.Dispose();
        _folder.Dispose();
    }

    /// <summary>Of a sentence-transformers repository also what says how vectors are pooled.</summary>
    [Fact]
    public void ModulesComeWithWhatTheyName()
    {
        _files["modules.json"] =
            """
            [
              {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
              {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
              {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
            ]
            """u8.ToArray();
        _files["1_Pooling/config.json"] = """{"word_embedding_dimension": 48, "pooling_mode_max_tokens": true}"""u8.ToArray();
        _files["onnx/model.onnx"] = [1, 2, 3];
        string found = Resolve();
        Assert.Equal(_files["1_Pooling/config.json"], File.ReadAllBytes(Path.Join(found, "1_Pooling", "config.json")));
        Assert.False(Directory.Exists(Path.Join(found, "onnx")));
        using var embedder = new TextEmbedder(found);
        Assert.Equal((TextPooling.Max, true), (embedder.Pooling, embedder.IsNormalised));
    }

    [Fact]
    public void ACheckpointComesWithWhatItNeedsAndNoMore()
    {
        var progress = new List<HubProgress>();
        string found = Resolve(listener: progress.Add);
        Assert.Equal(Snapshot, found);
        string[] expected = ["config.json", "merges.txt", "model.safetensors", "vocab.json"];
        Assert.Equal(expected, Directory.EnumerateFiles(found).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        foreach (string name in expected)
        {
            Assert.Equal(_files[name], File.ReadAllBytes(Path.Join(found, name)));
            Assert.Equal($"../../blobs/{HubServer.HashOf(name, _files[name])}", new FileInfo(Path.Join(found, name)).LinkTarget);
        }

        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Join(Repository, "refs", "main")));
        Assert.Empty(Directory.EnumerateFiles(Cache, "*.incomplete", SearchOption.AllDirectories));
        Assert.Equal([".locks", "models--tiny--roberta"], Directory.EnumerateFileSystemEntries(Cache).Select(Path.GetFileName).Order());
        Assert.Equal(new HubProgress(Name, "model.safetensors", 0, _files["model.safetensors"].Length), progress[^2]);
        Assert.Equal(
            new HubProgress(Name, "model.safetensors", _files["model.safetensors"].Length, _files["model.safetensors"].Length),
            progress[^1]
        );

        // From then on nobody is asked, and whoever takes folders takes the name.
        int requests = _server.Requests.Count;
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal(Snapshot, Resolve($"{Name}@{HubServer.Commit}"));
        Assert.Equal(Snapshot, CheckpointHub.Resolve(Name, new HubOptions { CacheFolder = Cache }));
        Assert.Equal(requests, _server.Requests.Count);
        using (Use(new HubOptions { CacheFolder = Cache }))
        {
            using var model = LanguageModel.Load(Name);
            using var same = LanguageModel.Load(Oracle);
            Assert.Equal(same.Fingerprint(), model.Fingerprint());
            Assert.Equal(
                CheckpointTokenizer.Load(Oracle).Encode("a film"),
                CheckpointTokenizer.Load(CheckpointHub.Resolve(Name)).Encode("a film")
            );
        }
    }

    [Fact]
    public void ALegacyNameIsFollowedAndFoundUnderBothNames()
    {
        _server.Add("FacebookAI/roberta-base", Oracle);
        _server.Redirects.Add("roberta-base", "FacebookAI/roberta-base");
        string found = Resolve("roberta-base");
        Assert.Equal(Path.Join(Cache, "models--roberta-base", "snapshots", HubServer.Commit), found);
        var here = new HubOptions { CacheFolder = Cache };
        Assert.Equal(found, CheckpointHub.Resolve("FacebookAI/roberta-base", here));
        Assert.Throws<DirectoryNotFoundException>(() => CheckpointHub.Resolve("someone/roberta-base", here));
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("refs/pr/7")]
    public void ARevisionHasAReferenceOfItsOwn(string revision)
    {
        Assert.Equal(Snapshot, Resolve($"{Name}@{revision}"));
        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Join(Repository, "refs", revision)));
        Assert.False(File.Exists(Path.Join(Repository, "refs", "main")));
        string message = Assert.Throws<DirectoryNotFoundException>(() => Resolve($"{Name}@v2")).Message;
        Assert.Contains("has no revision 'v2'", message, StringComparison.Ordinal);
        Assert.Contains("has no refs/v2", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ShardsComeByTheirIndexAndPickledWeightsWhereThereAreNoOthers()
    {
        Split();
        using (var checkpoint = CheckpointFolder.Open(Resolve()))
        using (var whole = CheckpointFolder.Open(Oracle))
        {
            Assert.Equal(
                whole.Weights.Tensors.Select(tensor => tensor.Name).Order(),
                checkpoint.Weights.Tensors.Select(tensor => tensor.Name).Order()
            );
        }

        Assert.Equal(2, _server.Contents.Count());

        // A snapshot without one of them is none.
        File.Delete(Path.Join(Snapshot, "model-00002-of-00002.safetensors"));
        Assert.Contains(
            "has no model-00002-of-00002.safetensors",
            Assert.Throws<DirectoryNotFoundException>(() => CheckpointHub.Resolve(Name, new HubOptions { CacheFolder = Cache })).Message,
            StringComparison.Ordinal
        );
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal(2, _server.Contents.Count());

        _server.Add("tiny/old", Oracle).Remove("model.safetensors");
        using var old = CheckpointFolder.Open(Resolve("tiny/old"));
        Assert.EndsWith("pytorch_model.bin", old.Weights.Path, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../../../etc/passwd")]
    [InlineData("sub/model.safetensors")]
    [InlineData("")]
    public void AnIndexThatLeadsOutOfTheFolderIsRefused(string shard)
    {
        _files.Remove("model.safetensors");
        _files["model.safetensors.index.json"] = JsonSerializer.SerializeToUtf8Bytes(
            new { weight_map = new Dictionary<string, string>(StringComparer.Ordinal) { ["a"] = shard } }
        );
        Assert.Contains("refers to '", Assert.Throws<InvalidDataException>(() => Resolve()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ABrokenConnectionIsTakenUpWhereItBroke()
    {
        (_server.BreaksAfter, _server.Breaks) = (150_000, 2);
        var progress = new List<HubProgress>();
        Assert.Equal(Snapshot, Resolve(listener: progress.Add));
        Assert.Equal([null, "bytes=150000-", "bytes=300000-"], _server.Contents.Select(request => request.Range));
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Weights));
    }

    [Fact]
    public void AServerThatGivesUpLeavesABeginningForTheNextCall()
    {
        (_server.BreaksAfter, _server.Breaks) = (100_000, 1);
        _server.Pause = TimeSpan.FromSeconds(1);
        _server.IgnoresRanges = true;
        string message = Assert.Throws<IOException>(() => Resolve(timeout: TimeSpan.FromMilliseconds(200))).Message;
        Assert.Contains("model.safetensors of 'tiny/roberta' could not be downloaded beyond byte", message, StringComparison.Ordinal);
        Assert.Contains("silent for 0.2 s", message, StringComparison.Ordinal);
        Assert.False(File.Exists(Weights));
        Assert.False(Directory.Exists(Path.Join(Repository, "refs")));
        long there = new FileInfo(Weights + ".incomplete").Length;
        Assert.InRange(there, 50_000, _files["model.safetensors"].Length - 1);

        // Offline, the beginning is told of.
        string offline = Assert
            .Throws<DirectoryNotFoundException>(() =>
                CheckpointHub.Resolve($"{Name}@{HubServer.Commit}", new HubOptions { CacheFolder = Cache })
            )
            .Message;
        Assert.Contains("1 of its blobs is partly downloaded", offline, StringComparison.Ordinal);
        Assert.Contains("AllowDownload = true", offline, StringComparison.Ordinal);

        _server.Pause = TimeSpan.Zero;
        _server.IgnoresRanges = false;
        _server.Requests.Clear();
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal([$"bytes={there}-"], _server.Contents.Select(request => request.Range));
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Weights));
        Assert.False(File.Exists(Weights + ".incomplete"));
    }

    [Fact]
    public void AServerThatIgnoresRangesSendsAllAgain()
    {
        (_server.BreaksAfter, _server.Breaks, _server.IgnoresRanges) = (150_000, 1, true);
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Weights));
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(10_000_000)]
    public void ABeginningOfSomethingElseIsThrownAway(int length)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Weights)!);
        File.WriteAllBytes(Weights + ".incomplete", new byte[length]);
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Weights));
        Assert.False(File.Exists(Weights + ".incomplete"));
    }

    [Fact]
    public void AWrongHashIsNotKept()
    {
        _server.Corruptions = 1;
        Assert.Equal(Snapshot, Resolve());
        Directory.Delete(Cache, recursive: true);

        _server.Corruptions = 2;
        string message = Assert.Throws<InvalidDataException>(() => Resolve()).Message;
        Assert.Contains("model.safetensors of 'tiny/roberta'", message, StringComparison.Ordinal);
        Assert.Contains($"instead of {Path.GetFileName(Weights)}, twice", message, StringComparison.Ordinal);
        Assert.False(File.Exists(Weights));
        Assert.False(File.Exists(Weights + ".incomplete"));
        Assert.False(File.Exists(Path.Join(Repository, "refs", "main")));

        _server.HasOddTags = true;
        Directory.Delete(Cache, recursive: true);
        Assert.Contains("names no hash", Assert.Throws<IOException>(() => Resolve()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ABlobThatWasCutOffIsDownloadedAnew()
    {
        Resolve();
        using (FileStream blob = File.OpenWrite(Weights))
        {
            blob.SetLength(1000);
        }

        using (Use(new HubOptions { CacheFolder = Cache }))
        {
            string message = Assert.Throws<InvalidDataException>(() => CheckpointFolder.Open(Name)).Message;
            Assert.Contains(Path.Join(Snapshot, "model.safetensors"), message, StringComparison.Ordinal);
            Assert.Contains("remove that file and what it is a link to", message, StringComparison.Ordinal);
        }

        File.Delete(Path.Join(Snapshot, "model.safetensors"));
        Assert.Equal(_files["model.safetensors"], File.ReadAllBytes(Path.Join(Resolve(), "model.safetensors")));
    }

    [Fact]
    public void TheTokenGoesToTheHubAlone()
    {
        _server.Token = "hf_secret";
        Assert.Equal(Snapshot, Resolve(token: " hf_secret\n"));
        Assert.All(_server.Requests, request => Assert.Equal(request.IsStorage ? null : "Bearer hf_secret", request.Authorization));
        Assert.Contains(_server.Requests, request => request.IsStorage);
    }

    [Fact]
    public void WhoMayNotReadIsToldHow()
    {
        _server.Token = "hf_secret";
        string message = Assert.Throws<DirectoryNotFoundException>(() => Resolve()).Message;
        Assert.Contains("or a private one, and no access token is set: HF_TOKEN", message, StringComparison.Ordinal);
        _server.IsGated = true;
        message = Assert.Throws<IOException>(() => Resolve(token: "hf_other")).Message;
        Assert.Contains($"is gated: ask for access at {_server.Endpoint}/{Name}", message, StringComparison.Ordinal);
        Assert.Contains("(HF_TOKEN) is not one that may read it", message, StringComparison.Ordinal);
        Assert.Contains("Access is restricted.", message, StringComparison.Ordinal);
        Assert.DoesNotContain("hf_other", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Cache));
    }

    [Fact]
    public void ANameThatDoesNotExistListsEveryPlace()
    {
        string message = Assert.Throws<DirectoryNotFoundException>(() => Resolve("no/such")).Message;
        Assert.Contains($"no checkpoint folder '{Path.GetFullPath("no/such")}'", message, StringComparison.Ordinal);
        Assert.Contains($"'{Path.Join(Cache, "models--no--such")}' is not there", message, StringComparison.Ordinal);
        Assert.Contains($"{_server.Endpoint} has no model 'no/such'", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Cache));
    }

    [Theory]
    [InlineData(429, "0")]
    [InlineData(503, null)]
    public void ABusyServerIsAskedAgain(int status, string? retryAfter)
    {
        _server.Refuse(status, retryAfter);
        _server.Refuse(status, retryAfter);
        Assert.Equal(Snapshot, Resolve());
    }

    [Fact]
    public void AServerThatStaysBusySaysUntilWhen()
    {
        _server.Refuse(429, "1");
        var clock = Stopwatch.StartNew();
        Assert.Equal(Snapshot, Resolve());
        Assert.True(clock.Elapsed >= TimeSpan.FromSeconds(1), $"{clock.Elapsed}");
        Directory.Delete(Cache, recursive: true);
        _server.Refuse(429, "3600");
        string message = Assert.Throws<IOException>(() => Resolve()).Message;
        Assert.Contains("busy (429 Too Many Requests), try again in 3600 s", message, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutANetworkTheMessageSaysWhatToLookAt()
    {
        _server.Dispose();
        string message = Assert.Throws<IOException>(() => Resolve()).Message;
        Assert.Contains($"'{Name}' cannot be looked up from {_server.Endpoint}", message, StringComparison.Ordinal);
        Assert.Contains("HTTPS_PROXY", message, StringComparison.Ordinal);
        Assert.Contains(
            "no http or https address",
            Assert.Throws<IOException>(() => Resolve(endpoint: "ftp://hub")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void AModelThatCannotBeUsedIsNotDownloaded()
    {
        _files["config.json"] = Encoding.UTF8.GetBytes("""{ "model_type": "llama", "architectures": ["LlamaForCausalLM"] }""");
        Assert.Contains("llama", Assert.Throws<NotSupportedException>(() => Resolve()).Message, StringComparison.OrdinalIgnoreCase);
        Assert.Empty(_server.Contents);
        _files.Remove("config.json");
        Assert.Contains("has no config.json", Assert.Throws<InvalidDataException>(() => Resolve()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATokenizerThatIsMissingIsFetchedAlone()
    {
        Resolve();
        File.Delete(Path.Join(Snapshot, "vocab.json"));
        File.Delete(Path.Join(Snapshot, "merges.txt"));
        _server.Requests.Clear();
        Assert.Equal(Snapshot, Resolve());
        Assert.True(File.Exists(Path.Join(Snapshot, "vocab.json")));
        Assert.Empty(_server.Contents);
    }

    [Fact]
    public void CancellationKeepsWhatIsThere()
    {
        _server.Pause = TimeSpan.FromSeconds(20);
        using var source = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            CheckpointHub.Resolve(
                Name,
                Options(listener: progress =>
                {
                    if (progress.File == "model.safetensors")
                    {
                        source.CancelAfter(TimeSpan.FromMilliseconds(300));
                    }
                }),
                source.Token
            )
        );
        Assert.InRange(new FileInfo(Weights + ".incomplete").Length, 1, _files["model.safetensors"].Length - 1);
    }

    private HubOptions Options(
        Action<HubProgress>? listener = null,
        string? token = null,
        string? endpoint = null,
        TimeSpan? timeout = null
    )
    {
        var options = new HubOptions
        {
            AllowDownload = true,
            CacheFolder = Cache,
            Endpoint = endpoint ?? _server.Endpoint + "/",
            Token = token ?? "",
            RetryDelay = TimeSpan.FromMilliseconds(10),
            Timeout = timeout ?? TimeSpan.FromSeconds(30),
        };
        return listener is null ? options : options.With(listener);
    }

    private string Resolve(
        string name = Name,
        Action<HubProgress>? listener = null,
        string? token = null,
        string? endpoint = null,
        TimeSpan? timeout = null
    ) => CheckpointHub.Resolve(name, Options(listener, token, endpoint, timeout));

    /// <summary>Puts the weights into two files.</summary>
    private void Split()
    {
        using var file = SafetensorsFile.Open(Path.Join(Oracle, "model.safetensors"));
        string[] names = [.. file.Tensors.Select(tensor => tensor.Name)];
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int part = 0; part < 2; part++)
        {
            string name = $"model-0000{part + 1}-of-00002.safetensors";
            using var stream = new MemoryStream();
            string[] own = part == 0 ? names[..3] : names[3..];
            (string Name, Tensor Value)[] tensors = [.. own.Select(each => (each, file.Read(each)))];
            SafetensorsWriter.Write(stream, tensors);
            Array.ForEach(tensors, tensor => tensor.Value.Dispose());
            _files[name] = stream.ToArray();
            Array.ForEach(own, each => map.Add(each, name));
        }

        _files.Remove("model.safetensors");
        _files["model.safetensors.index.json"] = JsonSerializer.SerializeToUtf8Bytes(new { weight_map = map });
    }

    private static Restored Use(HubOptions options) => new(options);

    private sealed class Restored : IDisposable
    {
        private readonly HubOptions _before = CheckpointHub.Options;

        public Restored(HubOptions options) => CheckpointHub.Options = options;

        public void Dispose() => CheckpointHub.Options = _before;
    }
}
