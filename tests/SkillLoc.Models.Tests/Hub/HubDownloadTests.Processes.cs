using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using SkillLoc.Models.Hub;

namespace SkillLoc.Models.Tests.Hub;

/// <summary>Several processes, processes that end, and Python's.</summary>
public sealed partial class HubDownloadTests
{
    [Fact]
    public void SeveralProcessesDownloadOnce()
    {
        _server.Pause = TimeSpan.FromSeconds(2);
        Process[] processes = [.. Enumerable.Range(0, 3).Select(_ => Start())];
        string here = Resolve();
        Assert.All(processes, process => Assert.Equal(here, Answer(process)));
        Assert.Single(_server.Contents);
    }

    [Fact]
    public void WhatAKilledProcessLeftIsTakenUp()
    {
        _server.Pause = TimeSpan.FromMinutes(1);
        using (Process process = Start())
        {
            var clock = Stopwatch.StartNew();
            while (new FileInfo(Weights + ".incomplete") is not { Exists: true, Length: > 0 })
            {
                Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60));
                Thread.Sleep(20);
            }

            process.Kill();
            process.WaitForExit();
        }

        long there = new FileInfo(Weights + ".incomplete").Length;
        _server.Pause = TimeSpan.Zero;
        _server.Requests.Clear();
        Assert.Equal(Snapshot, Resolve());
        Assert.Equal([$"bytes={there}-"], _server.Contents.Select(request => request.Range));
    }

    [Fact]
    public void AFullDiskLeavesABeginning()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "A shell's ulimit stands for the end of the disk.");
        using Process process = Start(
            "bash",
            ["-c", "trap '' XFSZ; ulimit -f 200; export DOTNET_EnableWriteXorExecute=0; exec \"$@\"", "bash", "dotnet", .. Arguments()]
        );
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.NotEqual(0, process.ExitCode);
        Assert.Contains("System.IO.IOException", errors, StringComparison.Ordinal);
        Assert.Contains(Cache, errors, StringComparison.Ordinal);
        Assert.False(File.Exists(Weights));
        Assert.Equal(Snapshot, Resolve());
    }

    [Fact]
    public async Task ProxiesOfTheEnvironmentAreAsked()
    {
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        Task<string> asked = Task.Run(async () =>
        {
            using TcpClient client = await proxy.AcceptTcpClientAsync();
            using var reader = new StreamReader(client.GetStream(), leaveOpen: true);
            string first = (await reader.ReadLineAsync())!;
            while (await reader.ReadLineAsync() is { Length: > 0 }) { }
            await client
                .GetStream()
                .WriteAsync("HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            return first;
        });
        using Process process = Start(
            "dotnet",
            Arguments("http://hub.invalid"),
            ("http_proxy", $"http://127.0.0.1:{((IPEndPoint)proxy.LocalEndpoint).Port}")
        );
        string errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Contains("http://hub.invalid has no model 'tiny/roberta'", errors, StringComparison.Ordinal);
        Assert.Equal("GET http://hub.invalid/api/models/tiny/roberta/revision/main HTTP/1.1", await asked);
    }

    /// <summary>What Python's huggingface_hub writes and finds, where there is one.</summary>
    [Fact]
    public void ThePythonLibraryWritesTheSameCacheAndFindsOurs()
    {
        string? python = Environment.GetEnvironmentVariable("SKILLLOC_HUB_PYTHON");
        Assert.SkipWhen(python is null, "SKILLLOC_HUB_PYTHON names no Python that has huggingface_hub.");
        string theirs = _folder.PathOf("theirs");
        string[] wanted = ["config.json", "merges.txt", "model.safetensors", "vocab.json"];
        string made = Python(theirs, $"allow_patterns={JsonSerializer.Serialize(wanted)}");
        string found = Resolve();
        Assert.Equal(Tree(theirs), Tree(Cache));

        // Each takes what the other wrote.
        Assert.Equal(found, Python(Cache, "local_files_only=True"));
        Assert.Equal(made, CheckpointHub.Resolve(Name, new HubOptions { CacheFolder = theirs }));

        string Python(string cache, string arguments)
        {
            using Process process = Start(
                python!,
                [
                    "-c",
                    $"from huggingface_hub import snapshot_download as d; print(d({JsonSerializer.Serialize(Name)}, cache_dir={JsonSerializer.Serialize(cache)}, {arguments}))",
                ],
                ("HF_ENDPOINT", _server.Endpoint),
                ("HF_HUB_DISABLE_XET", "1")
            );
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string answer = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, errors.GetAwaiter().GetResult());
            return answer;
        }

        static string[] Tree(string cache) =>
            [
                .. Directory
                    .EnumerateFileSystemEntries(Path.Join(cache, "models--tiny--roberta"), "*", SearchOption.AllDirectories)
                    .Where(path =>
                        !path.Contains("/trees", StringComparison.Ordinal) && !path.Contains("/.no_exist", StringComparison.Ordinal)
                    )
                    .Select(path => $"{Path.GetRelativePath(cache, path)} -> {new FileInfo(path).LinkTarget}")
                    .Order(StringComparer.Ordinal),
            ];
    }

    private string[] Arguments(string? endpoint = null) =>
        [Path.Join(AppContext.BaseDirectory, "KilledWriter.dll"), "hub", Name, Cache, endpoint ?? _server.Endpoint];

    private Process Start() => Start("dotnet", Arguments());

    private static Process Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static string Answer(Process process)
    {
        string answer = process.StandardOutput.ReadToEnd().Trim(),
            errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        process.Dispose();
        return answer;
    }
}
