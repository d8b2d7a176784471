using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.TorchSharp;
using Microsoft.ML.TorchSharp.NasBert;
using SkillLoc.Evaluators;
using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;
using SkillLoc.Transforms;
using TorchSharp;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>Microsoft.ML.TorchSharp, the neighbour that users have, in one process with SkillLoc.</summary>
public sealed class NeighbourTests
{
    private const string NotDownloaded =
        "The weights of Microsoft.ML.TorchSharp's TextClassification cannot be downloaded here, so it was built and not run.";

    private readonly MLContext _ml = new(seed: 1);
    private readonly IDataView _rows;

    public NeighbourTests()
    {
        IDataView texts = _ml.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 32)
                .Select(i => new Row { Label = i % 2 == 0 ? "pos" : "neg", Text = i % 2 == 0 ? "it was a good film" : "the man was bad" })
        );
        _rows = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(texts).Transform(texts);
    }

    [Fact]
    public void TextClassificationIsBuiltBesideOurComponents()
    {
        TextClassificationTrainer neighbour = TextClassification();
        using TextScoringTransformer tuned = Tuned();

        // Both take the same rows, and both promise the columns that ML.NET's evaluators read.
        Assert.Equal("Microsoft.ML.TorchSharp", neighbour.GetType().Assembly.GetName().Name);
        IDataView scored = tuned.Transform(_rows);
        Assert.InRange(_ml.MulticlassClassification.Evaluate(scored).MacroAccuracy, 0, 1);
        Assert.All(
            neighbour.GetOutputSchema(SchemaShapeOf(_rows)).Select(column => column.Name).Except(["Label", "Text"]),
            name => Assert.NotNull(scored.Schema.GetColumnOrNull(name))
        );
    }

    [Fact]
    public async Task ItsScoresAreEvaluatedByCalibrationAndAgreement()
    {
        // Without a network ML.NET tries five times, which can take minutes.
        Assert.SkipUnless(await Resolves("aka.ms"), NotDownloaded);
        using TextScoringTransformer tuned = Tuned();
        IDataView theirs;
        try
        {
            theirs = TextClassification().Fit(_rows).Transform(_rows);
        }
        catch (InvalidOperationException error) when (error.Message.Contains("could not be downloaded", StringComparison.Ordinal))
        {
            Assert.Skip(NotDownloaded);
            return;
        }
        catch (InvalidOperationException error) when (error.Message.Contains("Tensor invalid", StringComparison.Ordinal))
        {
            Assert.Skip(
                $"Microsoft.ML.TorchSharp {Version(typeof(TextClassificationTrainer))} does not train on TorchSharp "
                    + $"{Version(typeof(torch))}: it disposes its own weights (see ItsInitialisationDisposesWeights)."
            );
            return;
        }

        CalibrationMetrics calibration = _ml.SkillLoc().EvaluateCalibration(theirs);
        Assert.InRange(calibration.ExpectedCalibrationError, 0, 1);
        Assert.InRange(_ml.SkillLoc().Evaluation.EvaluateAgreement(theirs, tuned.Transform(_rows)).Agreement, 0, 1);
        Assert.Equal(1, _ml.SkillLoc().Evaluation.EvaluateAgreement(theirs, theirs).Agreement);
    }

    /// <summary>
    /// Why it does not train beside SkillLoc: 0.23.1 is built for TorchSharp 0.102.7, whose in-place initialisers gave a second tensor,
    /// which
    /// it disposes; those of 0.107 give the tensor itself. When this fails, the two fit again, and the documentation is to say so.
    /// </summary>
    [Fact]
    public void ItsInitialisationDisposesWeights()
    {
        using torch.Tensor weights = torch.zeros(2, 2);
        Assert.Same(weights, torch.nn.init.zeros_(weights));

        Type initialisation = typeof(TextClassificationTrainer).Assembly.GetType(
            "Microsoft.ML.TorchSharp.Utils.ModelUtils",
            throwOnError: true
        )!;
        initialisation.GetMethod("InitZeros", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)!.Invoke(null, [weights]);
        Assert.True(weights.IsInvalid);
    }

    private static async Task<bool> Resolves(string host)
    {
        try
        {
            return (await Dns.GetHostAddressesAsync(host).WaitAsync(TimeSpan.FromSeconds(5))).Length > 0;
        }
        catch (Exception error) when (error is SocketException or TimeoutException)
        {
            return false;
        }
    }

    private TextClassificationTrainer TextClassification() =>
        _ml.MulticlassClassification.Trainers.TextClassification(labelColumnName: "Label", sentence1ColumnName: "Text", maxEpochs: 1);

    private TextScoringTransformer Tuned() =>
        _ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = Oracles.PathOf("tiny-roberta"),
                    Task = new PromptTask(
                        "toy",
                        PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                        new Verbalizer([new("neg", "bad"), new("pos", "good")])
                    ),
                    MaxSteps = 1,
                }
            )
            .Fit(_rows);

    /// <summary>The shape of a view's columns, which a trainer is asked about before it is fitted.</summary>
    private SchemaShape SchemaShapeOf(IDataView view) =>
        _ml
            .Transforms.CopyColumns("Text", "Text")
            .GetOutputSchema(
                (SchemaShape)
                    typeof(SchemaShape)
                        .GetMethod("Create", BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)!
                        .Invoke(null, [view.Schema])!
            );

    private static string? Version(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0];

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }
}
