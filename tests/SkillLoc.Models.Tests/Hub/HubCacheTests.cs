using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Hub;

/// <summary>Names, environment variables and the cache, without a server.</summary>
public sealed class HubCacheTests : IDisposable
{
    private const string Commit = HubServer.Commit;

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, string?> _environment = new(StringComparer.Ordinal);

    public HubCacheTests()
    {
        foreach (
            string name in new[]
            {
                "HF_HOME",
                "HF_HUB_CACHE",
                "HUGGINGFACE_HUB_CACHE",
                "XDG_CACHE_HOME",
                "HF_HUB_OFFLINE",
                "TRANSFORMERS_OFFLINE",
                "HF_TOKEN",
                "HUGGING_FACE_HUB_TOKEN",
                "HF_TOKEN_PATH",
                "HF_HUB_DISABLE_IMPLICIT_TOKEN",
                "HF_ENDPOINT",
                "SKILLLOC_TEST_PLACE",
            }
        )
        {
            _environment[name] = Environment.GetEnvironmentVariable(name);
            Environment.SetEnvironmentVariable(name, null);
        }
    }

    private HubOptions Options => new() { CacheFolder = _folder.Path };

    public void Dispose()
    {
        foreach ((string name, string? value) in _environment)
        {
            Environment.SetEnvironmentVariable(name, value);
        }

        _folder.Dispose();
    }

    [Theory]
    [InlineData("roberta-base", "roberta-base", null)]
    [InlineData("FacebookAI/roberta-base", "FacebookAI/roberta-base", null)]
    [InlineData("a/b@main", "a/b", "main")]
    [InlineData("a/b.c_d-e@refs/pr/1", "a/b.c_d-e", "refs/pr/1")]
    [InlineData("t5-small@" + Commit, "t5-small", Commit)]
    public void NamesAreRead(string text, string repository, string? revision) =>
        Assert.Equal(new HubName(repository, revision), HubName.Parse(text));

    [Theory]
    [InlineData("./roberta-base")]
    [InlineData("../roberta-base")]
    [InlineData("/models/roberta-base")]
    [InlineData("~/roberta-base")]
    [InlineData("C:\\models")]
    [InlineData("models\\roberta")]
    [InlineData("a/b/c")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("/")]
    [InlineData(".")]
    [InlineData("a--b/c")]
    [InlineData("a..b")]
    [InlineData("a/b.git")]
    [InlineData("-a/b")]
    [InlineData("a b")]
    [InlineData("a\n")]
    [InlineData("ä/b")]
    [InlineData("a/b@")]
    [InlineData("a/b@../../x")]
    [InlineData("a/b@x/../y")]
    [InlineData("a/b@/x")]
    [InlineData("a/b@x@y")]
    public void PathsAreNoNames(string text)
    {
        Assert.Null(HubName.Parse(text));
        string message = Assert
            .Throws<DirectoryNotFoundException>(() =>
                CheckpointHub.Resolve(text + "-that-is-not-there", new() { CacheFolder = _folder.Path, AllowDownload = false })
            )
            .Message;
        Assert.StartsWith("There is no checkpoint folder '", message, StringComparison.Ordinal);
    }

    [Fact]
    public void NamesAreNoLongerThanTheHubAllows()
    {
        Assert.NotNull(HubName.Parse(new string('a', 96)));
        Assert.Null(HubName.Parse(new string('a', 97)));
    }

    [Theory]
    [InlineData("roberta-base", "FacebookAI/roberta-base")]
    [InlineData("bert-base-uncased", "google-bert/bert-base-uncased")]
    [InlineData("distilbert-base-cased", "distilbert/distilbert-base-cased")]
    [InlineData("distilgpt2", "distilbert/distilgpt2")]
    [InlineData("gpt2-medium", "openai-community/gpt2-medium")]
    [InlineData("t5-small", "google-t5/t5-small")]
    [InlineData("xlm-roberta-base", "FacebookAI/xlm-roberta-base")]
    public void LegacyNamesHaveTwoSpellings(string legacy, string canonical)
    {
        Assert.Equal([legacy, canonical], HubName.Parse(legacy)!.Spellings);
        Assert.Equal([canonical, legacy], HubName.Parse(canonical)!.Spellings);
        Assert.Equal(["me/" + legacy], HubName.Parse("me/" + legacy)!.Spellings);
    }

    [Fact]
    public void VariablesOfTheEnvironmentNameTheCache()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
        Assert.Equal(Path.Join(home, ".cache", "huggingface", "hub"), HubEnvironment.CacheFolder);
        Set("XDG_CACHE_HOME", "/xdg");
        Assert.Equal(Path.GetFullPath("/xdg/huggingface/hub"), HubEnvironment.CacheFolder);
        Set("HF_HOME", "~/hf");
        Assert.Equal(Path.Join(home, "hf", "hub"), HubEnvironment.CacheFolder);
        Set("HUGGINGFACE_HUB_CACHE", "/older");
        Assert.Equal(Path.GetFullPath("/older"), HubEnvironment.CacheFolder);
        Set("SKILLLOC_TEST_PLACE", "/disk");
        Set("HF_HUB_CACHE", "${SKILLLOC_TEST_PLACE}/hub");
        Assert.Equal(Path.GetFullPath("/disk/hub"), HubEnvironment.CacheFolder);
        Set("HF_HUB_CACHE", "");
        Assert.Equal(Path.GetFullPath("/older"), HubEnvironment.CacheFolder);
    }

    [Fact]
    public void TheTokenComesFromTheEnvironmentOrItsFile()
    {
        Set("HF_HOME", _folder.Path);
        Assert.Null(HubEnvironment.Token);
        File.WriteAllText(_folder.PathOf("token"), "hf_file\n");
        Assert.Equal("hf_file", HubEnvironment.Token);
        Set("HF_TOKEN", " hf_variable ");
        Assert.Equal("hf_variable", HubEnvironment.Token);
        Set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
        Assert.Null(HubEnvironment.Token);
        Set("HF_ENDPOINT", "http://mirror");
        Assert.Equal("http://mirror", HubEnvironment.Endpoint);
    }

    [Theory]
    [InlineData("HF_HUB_OFFLINE")]
    [InlineData("TRANSFORMERS_OFFLINE")]
    public void OfflineForbidsDownloads(string variable)
    {
        Set(variable, "yes");
        using var server = new HubServer();
        server.Add("a/b", Oracles.PathOf("tiny-bert"));
        string message = Assert
            .Throws<DirectoryNotFoundException>(() =>
                CheckpointHub.Resolve(
                    "a/b",
                    new HubOptions
                    {
                        AllowDownload = true,
                        CacheFolder = _folder.Path,
                        Endpoint = server.Endpoint,
                    }
                )
            )
            .Message;
        Assert.Contains($"while the environment variable {variable} is set", message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
        Set(variable, "0");
        Assert.Null(HubEnvironment.Offline);
    }

    [Fact]
    public void ASnapshotOfFilesWithoutLinksIsFound()
    {
        string snapshot = Make("a/b", link: false);
        Assert.Equal(snapshot, CheckpointHub.Resolve("a/b", Options));
        Assert.Equal(snapshot, CheckpointHub.Resolve($"a/b@{Commit}", Options));
        using var checkpoint = CheckpointFolder.Open(snapshot);
        Assert.Equal("bert", checkpoint.Config.ModelType);
    }

    [Fact]
    public void AFolderComesBeforeANameOfTheHub()
    {
        Make("a", link: true);
        string here = Directory.CreateDirectory(_folder.PathOf("here")).FullName;
        Assert.Equal(here, CheckpointHub.Resolve(here, Options));
        string before = Directory.GetCurrentDirectory();
        try
        {
            Directory.SetCurrentDirectory(_folder.Path);
            Directory.CreateDirectory("a");
            Assert.Equal("a", CheckpointHub.Resolve("a", Options));
        }
        finally
        {
            Directory.SetCurrentDirectory(before);
        }
    }

    [Fact]
    public void WhatIsWrongWithACacheIsSaid()
    {
        string snapshot = Make("a/b", link: true),
            repository = _folder.PathOf("models--a--b"),
            main = Path.Join(repository, "refs", "main"),
            weights = Path.Join(snapshot, "model.safetensors"),
            blob = File.ResolveLinkTarget(weights, returnFinalTarget: true)!.FullName;

        Says($"has no refs/v2 (it has the commit {Commit})", "a/b@v2");
        Says($"has no snapshots/{new string('0', 40)} (it has the commit {Commit})", "a/b@" + new string('0', 40));

        File.Move(blob, blob + ".12345678.incomplete");
        Says(
            $"has an incomplete snapshots/{Commit}: model.safetensors is a link to ../../blobs/{Path.GetFileName(blob)}, which is not there"
        );
        Says("; 1 of its blobs is partly downloaded");
        File.Move(blob + ".12345678.incomplete", blob);
        Assert.Equal(snapshot, CheckpointHub.Resolve("a/b", Options));

        File.Delete(weights);
        Says("it has no weights, none of model.safetensors, ");
        File.WriteAllText(Path.Join(snapshot, "model.safetensors.index.json"), "[]");
        Says("is no index of weights");
        File.Delete(Path.Join(snapshot, "config.json"));
        Says("it has no config.json");

        File.WriteAllText(main, new string('0', 40));
        Says($"has a dangling refs/main: there is no snapshots/{new string('0', 40)}");
        File.WriteAllText(main, "not a commit");
        Says("has a damaged refs/main: 'not a commit' is no commit");
        File.Delete(main);
        Says("has no refs/main");
        Says($"'{_folder.PathOf("models--c")}' is not there", "c");

        void Says(string problem, string name = "a/b")
        {
            string message = Assert.Throws<DirectoryNotFoundException>(() => CheckpointHub.Resolve(name, Options)).Message;
            Assert.Contains(problem, message, StringComparison.Ordinal);
            Assert.Contains(_folder.Path, message, StringComparison.Ordinal);
            Assert.EndsWith(
                "set CheckpointHub.Options = new HubOptions { AllowDownload = true } first.",
                message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void ARegisteredNameIsFoundBeforeTheCache()
    {
        string snapshot = Make("tests/registered", link: true);
        Assert.Equal(snapshot, CheckpointHub.Resolve("tests/registered", Options));
        CheckpointHub.Register("tests/registered", () => Oracles.PathOf("tiny-bert"));
        Assert.Equal(Oracles.PathOf("tiny-bert"), CheckpointHub.Resolve("tests/registered", Options));
        Assert.Equal("tests/registered", CheckpointHub.Reference("tests/registered"));
        Assert.Equal(snapshot, CheckpointHub.Resolve($"tests/registered@{Commit}", Options));
        Assert.Throws<ArgumentException>(() => CheckpointHub.Register("a/b@main", () => ""));
        Assert.Throws<ArgumentException>(() => CheckpointHub.Register("./a", () => ""));
    }

    [Fact]
    public void ThePackageRegistersItsNames()
    {
        SkillLoc.Checkpoints.Register(_folder.Path);
        string found = CheckpointHub.Resolve("sentence-transformers/all-MiniLM-L6-v2", Options);
        Assert.Equal(_folder.PathOf("all-MiniLM-L6-v2"), found);
        Assert.Equal(384, CheckpointFolder.ReadConfig("sentence-transformers/all-MiniLM-L6-v2").HiddenSize);
    }

    private static void Set(string name, string value) => Environment.SetEnvironmentVariable(name, value);

    /// <summary>Writes a repository as huggingface_hub does.</summary>
    private string Make(string name, bool link)
    {
        string repository = _folder.PathOf("models--" + name.Replace("/", "--", StringComparison.Ordinal)),
            snapshot = Path.Join(repository, "snapshots", Commit);
        Directory.CreateDirectory(snapshot);
        Directory.CreateDirectory(Path.Join(repository, "blobs"));
        Directory.CreateDirectory(Path.Join(repository, "refs"));
        File.WriteAllText(Path.Join(repository, "refs", "main"), Commit);
        foreach (string file in new[] { "config.json", "vocab.txt", "model.safetensors" })
        {
            string from = Path.Join(Oracles.PathOf("tiny-bert"), file);
            string hash = HubServer.HashOf(file, File.ReadAllBytes(from));
            File.Copy(from, link ? Path.Join(repository, "blobs", hash) : Path.Join(snapshot, file));
            if (link)
            {
                File.CreateSymbolicLink(Path.Join(snapshot, file), $"../../blobs/{hash}");
            }
        }

        return snapshot;
    }
}
