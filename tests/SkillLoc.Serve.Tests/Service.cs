using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Onnx;
using SkillLoc.Transforms;

namespace SkillLoc.Serve.Tests;

/// <summary>A service on a free port of this machine with small skills of every kind.</summary>
public sealed class Service : IAsyncLifetime
{
    private const string Bias = "roberta.encoder.layer.1.output.dense.bias";

    private static readonly ClassifierSettings Settings = new()
    {
        Task = "toy",
        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        Labels = ["neg", "pos"],
        Words = ["bad", "good"],
        MaxLength = 64,
    };

    private static readonly ClassifierSettings PairSettings = Settings with
    {
        Template = "*cls**sent_0*?*mask*,*+sent_1**sep+*",
        Labels = ["no", "maybe", "yes"],
        Words = ["bad", "was", "good"],
        HasTextPair = true,
    };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-serve-");
    private readonly MLContext _ml = new(seed: 1);

    public static string Base { get; } = Oracles.PathOf("tiny-roberta");

    public static string[] Texts { get; } =
    [.. Enumerable.Range(0, 100).Select(i => string.Join(' ', Enumerable.Range(0, (i * 7 % 23) + 1).Select(j => $"word{(i + j) % 13}")))];

    public string Folder => _folder.FullName;

    public WebApplication App { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    public Uri Address => Http.BaseAddress!;

    public async ValueTask InitializeAsync()
    {
        Environment.SetEnvironmentVariable("SKILLLOC_CACHE", Path.Join(Folder, ".cache"));
        using (TextScoringTransformer tone = Tone())
        {
            IDataView rows = _ml.Data.LoadFromEnumerable([new TextRow()]);
            _ml.SkillLoc().SaveModel(tone, rows.Schema, Path.Join(Folder, "zipped.zip"));
            tone.Classifier.SaveOnnx(Path.Join(Folder, "exported.onnx"));
            tone.SaveCheckpoint(Path.Join(Folder, "tone"));
        }

        await File.WriteAllTextAsync(
            Path.Join(Folder, "tone" + Calibration.FileSuffix),
            """
            { "count": 30, "accuracy": 0.8, "expectedCalibrationError": 0.1, "bins": [
              { "lower": 0.5, "upper": 0.75, "count": 10, "confidence": 0.6, "accuracy": 0.7 },
              { "lower": 0.75, "upper": 1, "count": 20, "confidence": 0.9, "accuracy": 0.85 }] }
            """
        );
        await File.WriteAllTextAsync(Path.Join(Folder, "broken.zip"), "This is no model.");
        foreach ((string name, Graft graft) in Grafts())
        {
            graft.Save(Path.Join(Folder, name + ".safetensors"));
        }

        // A machine that is busy with other things is no fault of the service.
        App = await Start("--skills", Folder, "--base", Base, "--Serve:Timeout", "00:02:00");
        Http = new() { BaseAddress = AddressOf(App) };
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await App.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    /// <summary>Starts another service; the caller stops it.</summary>
    public static async Task<WebApplication> Start(params string[] args)
    {
        WebApplication app = ServeApp.Create(["--urls", "http://127.0.0.1:0", .. args]);
        await app.StartAsync();
        await Until(() => app.Services.GetRequiredService<SkillStore>().IsLoaded);
        return app;
    }

    public static Uri AddressOf(WebApplication app) =>
        new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    public static BatchQueue<TextRow, Classification> QueueOf(WebApplication app, string skill) =>
        app.Services.GetRequiredService<SkillStore>().Skills[skill].Queue;

    public static async Task Until(Func<bool> condition)
    {
        for (int i = 0; !condition(); i++)
        {
            Assert.True(i < 6000, "It did not come to that within a minute.");
            await Task.Delay(10);
        }
    }

    /// <summary>The probabilities by a scorer of its own, a row at a time.</summary>
    public float[][] Expected(string skill, IEnumerable<string> texts, string pair = "")
    {
        using var owner = (IDisposable)(
            skill is "tone" or "zipped" or "exported" ? Tone() : GraftTransformer.Create(Grafts()[skill], Base)
        );
        return
        [
            .. texts.Select(text =>
                ((ITransformer)owner)
                    .Transform(_ml.Data.LoadFromEnumerable([new TextRow { Text = text, TextPair = pair }]))
                    .GetColumn<float[]>("Score")
                    .Single()
            ),
        ];
    }

    public static async Task<ClassifyResponse> Read(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<ClassifyResponse>())!;
    }

    /// <summary>Fails unless results are what was expected.</summary>
    public static void Check(float[] expected, Classification actual, params string[] labels)
    {
        Assert.Equal(labels, actual.Probabilities!.Keys);
        Assert.All(expected.Zip(actual.Probabilities.Values), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
        Assert.Equal(labels[TextClassifier.MostProbable(expected)], actual.Label);
    }

    private static TextScoringTransformer Tone() => new(TextClassifier.Create(Base, Settings), new ScoringColumns(), baseCheckpoint: Base);

    private static Dictionary<string, Graft> Grafts()
    {
        using var model = LanguageModel.Load(Base);
        string fingerprint = model.Fingerprint();
        return new()
        {
            ["grafted"] = Make(Settings, new(Bias, [0, 5, 47], [3, -4, 5])),
            ["pair"] = Make(PairSettings, new(Bias, [1, 9], [2, -9])),
        };

        Graft Make(ClassifierSettings settings, GraftPart part) =>
            new()
            {
                BaseFingerprint = fingerprint,
                Settings = settings.ToJson(),
                Parts = [part],
                HeadParameters = new Dictionary<string, TensorValues>(),
            };
    }
}
