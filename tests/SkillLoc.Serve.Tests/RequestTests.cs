using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using SkillLoc.Models.Onnx;

namespace SkillLoc.Serve.Tests;

/// <summary>What requests are answered with, over real connections.</summary>
public sealed class RequestTests(Service service) : IClassFixture<Service>
{
    private static readonly string[] NegPos = ["neg", "pos"];

    [Theory]
    [InlineData("tone")]
    [InlineData("zipped")]
    [InlineData("grafted")]
    [InlineData("exported")]
    public async Task ATextAndSeveralAreAnsweredAsTheScorerSays(string skill)
    {
        float[][] expected = service.Expected(skill, Service.Texts);

        ClassifyResponse one = await Service.Read(await Post(skill, new { text = Service.Texts[3] }));
        Assert.Equal(skill, one.Skill);
        Service.Check(expected[3], Assert.Single(one.Results), NegPos);

        ClassifyResponse all = await Service.Read(await Post(skill, new { texts = Service.Texts }));
        Assert.Equal(Service.Texts.Length, all.Results.Count);
        Assert.All(expected.Zip(all.Results), pair => Service.Check(pair.First, pair.Second, NegPos));
        Assert.Contains(expected, row => Math.Abs(row[0] - expected[0][0]) > 1e-3);
    }

    [Fact]
    public async Task GraftsAreServedOnAnExportedBaseToo()
    {
        DirectoryInfo skills = Directory.CreateTempSubdirectory("skillloc-serve-");
        try
        {
            string file = Path.Join(skills.FullName, "base", "base.onnx");
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            OnnxBase.Save(Service.Base, file);
            File.Copy(Path.Join(service.Folder, "grafted.safetensors"), Path.Join(skills.FullName, "grafted.safetensors"));
            await using WebApplication app = await Service.Start(
                "--skills",
                skills.FullName,
                "--base",
                file,
                "--Serve:Timeout",
                "00:02:00"
            );
            using HttpClient http = new() { BaseAddress = Service.AddressOf(app) };
            Assert.Contains("ONNX Runtime", await http.GetStringAsync("/skills"), StringComparison.Ordinal);
            ClassifyResponse answer = await Service.Read(await http.PostAsJsonAsync("/classify/grafted", new { texts = Service.Texts }));
            float[][] expected = service.Expected("grafted", Service.Texts);
            Assert.All(expected.Zip(answer.Results), pair => Service.Check(pair.First, pair.Second, NegPos));
        }
        finally
        {
            skills.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task PairsAreScoredWithTheirSecondText()
    {
        float[][] expected = service.Expected("pair", ["a film"], "it was good");

        ClassifyResponse one = await Service.Read(await Post("pair", new { text = "a film", textPair = "it was good" }));
        ClassifyResponse two = await Service.Read(
            await Post("pair", new { texts = new[] { "other", "a film" }, textPairs = new[] { "word", "it was good" } })
        );

        Service.Check(expected[0], one.Results[0], "no", "maybe", "yes");
        Service.Check(expected[0], two.Results[1], "no", "maybe", "yes");
    }

    [Fact]
    public async Task TheSkillsAreListedWithLabelsAndCalibration()
    {
        SkillDescription[] skills = (
            await service.Http.GetFromJsonAsync<SkillDescription[]>("skills", TestContext.Current.CancellationToken)
        )!;

        Assert.Equal(["exported", "grafted", "pair", "tone", "zipped"], skills.Select(skill => skill.Name).Order());
        Assert.Equal(["no", "maybe", "yes"], skills.Single(skill => skill.Name == "pair").Labels);
        Assert.Equal(["pair"], skills.Where(skill => skill.IsPair).Select(skill => skill.Name));
        Assert.Equal(["ONNX Runtime"], skills.Where(skill => skill.Runtime != "TorchSharp").Select(skill => skill.Runtime));
        Assert.Equal(NegPos, skills.Single(skill => skill.Name == "zipped").Labels);
        Calibration calibration = Assert.Single(skills, skill => skill.Calibration is not null).Calibration!;
        Assert.Equal(0.85, calibration.Bins[1].Accuracy);
    }

    [Theory]
    [InlineData("""{ "text": "a" """, 400, "JSON")]
    [InlineData("""["a"]""", 400, "JSON")]
    [InlineData("null", 400, "")]
    [InlineData("", 400, "")]
    [InlineData("""{ "txt": "a" }""", 400, "txt")]
    [InlineData("""{ "text": 1 }""", 400, "text")]
    [InlineData("""{ "text": "a", "text": "b" }""", 400, "text")]
    [InlineData("""{ "text": "\ud800" }""", 400, "JSON")]
    [InlineData("{ }", 400, "either")]
    [InlineData("""{ "text": "a", "texts": ["b"] }""", 400, "either")]
    [InlineData("""{ "texts": [] }""", 400, "empty")]
    [InlineData("""{ "texts": ["a", null] }""", 400, "Text 1 is null")]
    [InlineData("""{ "text": "a", "textPair": "b" }""", 400, "single texts")]
    public async Task AFaultyRequestIsToldWhatIsWrong(string body, int status, string detail) =>
        await CheckProblem(await Send("tone", body), status, detail);

    [Theory]
    [InlineData("""{ "text": "a" }""")]
    [InlineData("""{ "texts": ["a", "b"], "textPairs": ["c"] }""")]
    public async Task APairNeedsASecondText(string body) => await CheckProblem(await Send("pair", body), 400, "second one");

    [Fact]
    public async Task AnUnknownSkillIsNotFoundAndOneThatIsDamagedSaysSo()
    {
        await CheckProblem(await Post("nothing", new { text = "a" }), 404, "known are");
        HttpResponseMessage damaged = await Post("broken", new { text = "a" });
        await CheckProblem(damaged, 503, "could not be loaded");
    }

    [Fact]
    public async Task WhatIsNoJsonAndNoPostIsRefused()
    {
        await CheckProblem(await Send("tone", "text=a", "application/x-www-form-urlencoded"), 415, "");
        await CheckProblem(
            await service.Http.GetAsync(new Uri("classify/tone", UriKind.Relative), TestContext.Current.CancellationToken),
            405,
            ""
        );
        await CheckProblem(
            await service.Http.GetAsync(new Uri("nowhere", UriKind.Relative), TestContext.Current.CancellationToken),
            404,
            ""
        );
    }

    [Fact]
    public async Task TooManyTextsALongTextAndALargeBodyAreRefusedAndTheServiceGoesOn()
    {
        await CheckProblem(await Post("tone", new { texts = Enumerable.Repeat("a", 10_000) }), 413, "10000 texts; it may have 1000");
        await CheckProblem(await Post("tone", new { text = new string('a', 20_001) }), 413, "20001 characters");

        // A client that asks before it sends the body; others find the connection closed.
        using var large = new HttpRequestMessage(HttpMethod.Post, "classify/tone")
        {
            Content = JsonContent.Create(new { text = new string('a', 5 << 20) }),
        };
        large.Headers.ExpectContinue = true;
        await CheckProblem(await service.Http.SendAsync(large, TestContext.Current.CancellationToken), 413, "");

        // What is longer than the model reads is cut.
        string longest = string.Concat(Enumerable.Repeat("word ", 4_000));
        ClassifyResponse cut = await Service.Read(await Post("tone", new { text = longest }));
        Service.Check(service.Expected("tone", [longest])[0], cut.Results[0], NegPos);
    }

    [Fact]
    public async Task HealthSaysWhetherItLivesAndIsReady()
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Assert.Equal("Healthy", await service.Http.GetStringAsync("health/live", cancellation));

        // One skill of the folder is damaged.
        Assert.Equal("Degraded", await service.Http.GetStringAsync("health/ready", cancellation));
    }

    [Fact]
    public async Task MetricsCountRequestsTextsBatchesAndRefusals()
    {
        await Service.Read(await Post("tone", new { texts = Service.Texts }));
        await CheckProblem(await Post("nothing", new { text = "a" }), 404, "");
        await Task.Delay(1100, TestContext.Current.CancellationToken);

        string metrics = await service.Http.GetStringAsync("metrics", TestContext.Current.CancellationToken);

        Assert.Matches(@"(?m)^skillloc_serve_texts_total\{.*skill=""tone"".*\} \d{3,}", metrics);
        Assert.Matches(@"(?m)^skillloc_serve_requests_total\{.*skill=""tone"".*\} \d+", metrics);
        Assert.Matches(@"(?m)^skillloc_serve_rejections_total\{.*status=""404"".*\} \d+", metrics);
        Assert.Matches(@"(?m)^skillloc_serve_batch_size_bucket\{.*le=""32"".*\} \d+", metrics);
        Assert.Contains("skillloc_serve_queue_duration_seconds_count", metrics, StringComparison.Ordinal);
        Assert.Contains("skillloc_serve_scoring_duration_seconds_count", metrics, StringComparison.Ordinal);
        Assert.Contains("http_server_request_duration_seconds_count", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheOpenApiDocumentIsValidAndDescribesTheEndpoints()
    {
        string json = await service.Http.GetStringAsync("openapi/v1.json", TestContext.Current.CancellationToken);

        ReadResult read = OpenApiDocument.Parse(json, "json");

        Assert.Empty(read.Diagnostic!.Errors);
        OpenApiDocument document = read.Document!;
        Assert.Equal(["/classify/{skill}", "/skills"], document.Paths.Keys.Order());
        OpenApiOperation classify = Assert.Single(document.Paths["/classify/{skill}"].Operations!).Value;
        Assert.Equal(["200", "400", "404", "413", "415", "429", "503"], classify.Responses!.Keys.Order());
        Assert.False(string.IsNullOrWhiteSpace(classify.Summary));
        Assert.Contains("texts", document.Components!.Schemas![nameof(ClassifyRequest)].Properties!.Keys);
    }

    private Task<HttpResponseMessage> Post(string skill, object body) => Send(skill, JsonSerializer.Serialize(body));

    private async Task<HttpResponseMessage> Send(string skill, string body, string type = "application/json")
    {
        using var content = new StringContent(body, Encoding.UTF8, MediaTypeHeaderValue.Parse(type));
        return await service.Http.PostAsync(new Uri($"classify/{skill}", UriKind.Relative), content, TestContext.Current.CancellationToken);
    }

    private static async Task CheckProblem(HttpResponseMessage response, int status, string detail)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True((HttpStatusCode)status == response.StatusCode, $"{response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(text);
        Assert.Equal(status, problem.RootElement.GetProperty("status").GetInt32());
        if (detail.Length > 0)
        {
            Assert.Contains(detail, problem.RootElement.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }
    }
}
