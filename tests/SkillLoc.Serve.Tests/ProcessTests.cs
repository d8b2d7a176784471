using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.RegularExpressions;

namespace SkillLoc.Serve.Tests;

/// <summary>The program as a process of its own.</summary>
public sealed partial class ProcessTests(Service service) : IClassFixture<Service>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task RequestsThatItHasTakenAreAnsweredWhenItIsTerminated()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Signals are sent as on Linux.");
        using var program = new Running("--skills", service.Folder, "--base", Service.Base, "--Serve:Timeout", "00:02:00");
        await Service.Until(() => program.Address is not null || program.HasExited);
        using var http = new HttpClient { BaseAddress = program.Address };
        await Service.Until(() => http.GetAsync(new Uri("health/ready", UriKind.Relative)).Result.IsSuccessStatusCode);

        using var asked = new SemaphoreSlim(0);
        Task<int[]>[] clients = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(() => Ask(program.Address!, asked)))];
        for (int i = 0; i < 16; i++)
        {
            Assert.True(await asked.WaitAsync(Patience, TestContext.Current.CancellationToken), program.Output);
        }

        program.Terminate();
        int[][] answers = await Task.WhenAll(clients);

        // Every request that it had taken is answered in full; then its port is closed.
        Assert.All(answers, counts => Assert.All(counts, count => Assert.Equal(200, count)));
        Assert.True(program.WaitForExit() == 0, program.Output);
    }

    [Fact]
    public async Task AFolderWithoutSkillsEndsItWithAnErrorThatNamesIt()
    {
        DirectoryInfo empty = Directory.CreateTempSubdirectory("skillloc-empty-");
        try
        {
            using var program = new Running("--skills", empty.FullName);
            Assert.Equal(1, await Task.Run(program.WaitForExit));
            Assert.Contains(empty.FullName, program.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", program.Output, StringComparison.Ordinal);
        }
        finally
        {
            empty.Delete();
        }
    }

    [Fact]
    public async Task AnEmptyFolderGetsASkillThatBothRuntimesScoreAlike()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("skillloc-first-");
        try
        {
            string rows = Path.Join(folder.FullName, "films.tsv");
            await File.WriteAllLinesAsync(
                rows,
                Enumerable
                    .Range(0, 60)
                    .Select(i => $"{(i % 2 == 0 ? "good" : "bad")}\tthe film was {(i % 2 == 0 ? "good" : "bad")} {i}")
                    .Prepend("label\ttext"),
                TestContext.Current.CancellationToken
            );
            using var program = new Running("--skills", Path.Join(folder.FullName, "skills"), "--base", Service.Base, "--train", rows);
            await Service.Until(() => program.Address is not null || program.HasExited);
            using var http = new HttpClient { BaseAddress = program.Address };
            await Service.Until(() => http.GetAsync(new Uri("health/ready", UriKind.Relative)).Result.IsSuccessStatusCode);

            SkillDescription[] skills = (await http.GetFromJsonAsync<SkillDescription[]>("skills", TestContext.Current.CancellationToken))!;
            Assert.Equal(["films", "films-onnx"], skills.Select(skill => skill.Name).Order());
            Assert.All(skills, skill => Assert.InRange(skill.Calibration!.Bins.Sum(bin => bin.Count), 5, 30));
            var answers = new Classification[2];
            for (int i = 0; i < 2; i++)
            {
                using HttpResponseMessage response = await http.PostAsJsonAsync(
                    $"classify/{skills[i].Name}",
                    new { text = "a good film" },
                    TestContext.Current.CancellationToken
                );
                answers[i] = (await Service.Read(response)).Results.Single();
            }

            Assert.Equal(answers[0].Label, answers[1].Label);
            Assert.Equal(answers[0].Probabilities!["good"], answers[1].Probabilities!["good"], 1e-5f);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Asks until the port is closed; returns the number of results of each answer.</summary>
    private static async Task<int[]> Ask(Uri address, SemaphoreSlim asked)
    {
        List<int> counts = [];
        while (true)
        {
            // A connection for each request: one that is kept may be closed between two.
            using var http = new HttpClient { BaseAddress = address };
            try
            {
                using HttpResponseMessage response = await http.PostAsJsonAsync(
                    "classify/tone",
                    new { texts = Service.Texts.Concat(Service.Texts) }
                );
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                counts.Add((await response.Content.ReadFromJsonAsync<ClassifyResponse>())!.Results.Count);
                asked.Release();
            }
            catch (HttpRequestException error) when (error.HttpRequestError == HttpRequestError.ConnectionError)
            {
                return [.. counts];
            }
        }
    }

    private sealed partial class Running : IDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _output = new();

        public Running(params string[] args)
        {
            var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (
                string argument in (string[])[Path.Join(AppContext.BaseDirectory, "Serve.dll"), "--urls", "http://127.0.0.1:0", .. args]
            )
            {
                start.ArgumentList.Add(argument);
            }

            start.Environment["OMP_NUM_THREADS"] = "1";
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, line) => Add(line.Data);
            _process.ErrorDataReceived += (_, line) => Add(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        public bool HasExited => _process.HasExited;

        public string Output
        {
            get
            {
                lock (_output)
                {
                    return _output.ToString();
                }
            }
        }

        public Uri? Address => Listening().Match(Output) is { Success: true } match ? new(match.Groups[1].Value) : null;

        public void Terminate() => Process.Start("kill", ["-TERM", $"{_process.Id}"]).WaitForExit();

        public int WaitForExit()
        {
            Assert.True(_process.WaitForExit(Patience), Output);
            _process.WaitForExit();
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }

        private void Add(string? line)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }
        }

        [GeneratedRegex(@"Now listening on: (http://[\d.:]+)")]
        private static partial Regex Listening();
    }
}
