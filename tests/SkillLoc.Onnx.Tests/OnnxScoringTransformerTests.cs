using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Onnx;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx.Tests;

/// <summary>A scorer on ONNX Runtime adds what the scorer on TorchSharp adds.</summary>
public sealed class OnnxScoringTransformerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("skillloc-onnx-");
    private readonly MLContext _ml = new(seed: 1);

    public static TheoryData<string> Names => [.. OnnxCases.Names];

    private string Model => Path.Combine(_folder.FullName, "model.onnx");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Names))]
    public void ColumnsAreThoseOfTheScorerOnTorchSharp(string name)
    {
        using TextScoringTransformer torch = Torch(name);
        torch.Classifier.SaveOnnx(Model);
        using OnnxScoringTransformer onnx = _ml.SkillLoc().LoadOnnxScorer(Model);
        IDataView wanted = torch.Transform(Rows()),
            found = onnx.Transform(Rows());
        string[] columns = [.. wanted.Schema.Select(column => column.Name).Where(column => column != "PredictedText")];
        Assert.Equal(columns, found.Schema.Select(column => column.Name));
        foreach (string column in columns)
        {
            Assert.Equal(wanted.Schema[column].Type, found.Schema[column].Type);
            Assert.Equal(
                wanted.Schema[column].Annotations.Schema.Select(annotation => annotation.Name),
                found.Schema[column].Annotations.Schema.Select(annotation => annotation.Name)
            );
        }

        if (onnx.ScoreRange is not null)
        {
            Close(Scalars<float>(wanted, "Score"), Scalars<float>(found, "Score"));
            return;
        }

        Assert.Equal(SlotNames(wanted), SlotNames(found));
        Close(
            [.. wanted.GetColumn<float[]>("Score").SelectMany(row => row)],
            [.. found.GetColumn<float[]>("Score").SelectMany(row => row)]
        );
        if (onnx.IsMultiLabel)
        {
            Assert.Equal(wanted.GetColumn<uint[]>("PredictedLabel"), found.GetColumn<uint[]>("PredictedLabel"));
        }
        else
        {
            Assert.Equal(Scalars<uint>(wanted, "PredictedLabel"), Scalars<uint>(found, "PredictedLabel"));
        }
    }

    [Theory]
    [InlineData("BERT, label words")]
    [InlineData("BERT, two texts")]
    [InlineData("BERT, regression")]
    [InlineData("RoBERTa, several labels")]
    [InlineData("T5, answers")]
    public void ASavedModelHoldsTheOnnxFile(string name)
    {
        string zip = Path.Combine(_folder.FullName, "model.zip");
        using (TextScoringTransformer torch = Torch(name))
        {
            torch.Classifier.SaveOnnx(Model);
        }

        float[] wanted;
        using (OnnxScoringTransformer onnx = _ml.SkillLoc().LoadOnnxScorer(Model, options: new() { Threads = 1 }))
        {
            wanted = Scores(onnx.Transform(Rows()));
            _ml.Model.Save(onnx, Rows().Schema, zip);
        }

        File.Delete(Model);
        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        IDataView scored = loaded.Transform(Rows());
        Close(wanted, Scores(scored));
        if (name != "BERT, regression")
        {
            Assert.Equal(OnnxCases.Create(name).Settings.Labels, SlotNames(scored));
        }
    }

    [Fact]
    public void APredictionEngineScoresAsTheViewAndEnginesShareTheModel()
    {
        OnnxScoringTransformer onnx = Load("RoBERTa, label words");
        float[][] scores = [.. onnx.Transform(Rows()).GetColumn<float[]>("Score")];
        using (PredictionEngine<Row, Scored> engine = _ml.Model.CreatePredictionEngine<Row, Scored>(onnx))
        {
            for (int i = 0; i < scores.Length; i++)
            {
                Assert.Equal(scores[i][0], engine.Predict(new() { Text = OnnxCases.Texts[i] }).Score[0], 1e-5f);
            }
        }

        Assert.NotEmpty(onnx.Scorer.Score(["still here"]));
        onnx.Dispose();
        Assert.Throws<ObjectDisposedException>(() => onnx.Transform(Rows()));
    }

    [Fact]
    public void AScorerMayBeDisposedWhileOthersScore()
    {
        OnnxTextScorer scorer = Load("BERT, label words").Scorer;
        int refused = 0;
        using var started = new CountdownEvent(4);
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(_ => new Thread(() =>
                {
                    started.Signal();
                    try
                    {
                        while (true)
                        {
                            Assert.Equal(OnnxCases.Texts.Count, scorer.Score(OnnxCases.Texts).Length);
                        }
                    }
                    catch (ObjectDisposedException)
                    {
                        Interlocked.Increment(ref refused);
                    }
                })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        started.Wait(TestContext.Current.CancellationToken);
        Thread.Sleep(50);
        scorer.Dispose();
        Assert.All(threads, thread => Assert.True(thread.Join(TimeSpan.FromSeconds(20))));
        Assert.Equal(4, refused);
    }

    [Fact]
    public void CancellingTheContextEndsReading()
    {
        using OnnxScoringTransformer onnx = Load("BERT, label words");
        IDataView scored = onnx.Transform(Rows());
        using DataViewRowCursor cursor = scored.GetRowCursor(scored.Schema);
        _ml.CancelExecution();
        Assert.Throws<OperationCanceledException>(() => cursor.MoveNext());
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.Throws<OperationCanceledException>(() => onnx.Scorer.Score(OnnxCases.Texts, cancellation: source.Token));
    }

    [Fact]
    public void OptionsReachTheSession()
    {
        Load("BERT, label words").Dispose();
        int called = 0;
        using var scorer = OnnxTextScorer.Load(
            File.ReadAllBytes(Model),
            new()
            {
                BatchTokens = 1,
                Configure = session =>
                {
                    called++;
                    session.AppendExecutionProvider_CPU();
                },
            }
        );
        Assert.Equal(1, called);
        Assert.Equal(OnnxCases.Texts.Count, scorer.Score(OnnxCases.Texts).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => OnnxTextScorer.Load(Model, new() { BatchTokens = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => OnnxTextScorer.Load(Model, new() { Threads = -1 }));
    }

    [Fact]
    public void PairsNeedSecondTexts()
    {
        using OnnxScoringTransformer onnx = Load("BERT, two texts");
        Assert.Contains("pairs", Assert.Throws<ArgumentException>(() => onnx.Scorer.Score(["one"])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => onnx.Scorer.Score(["one"], ["a", "b"]));
        Assert.Throws<ArgumentException>(() => _ml.SkillLoc().LoadOnnxScorer(Model, new ScoringColumns()));
    }

    [Fact]
    public void AModelOfAnotherFileThanThatLoadedIsNotSaved()
    {
        using OnnxScoringTransformer onnx = Load("BERT, label words");
        File.AppendAllText(Model, "more");
        Assert.Throws<InvalidOperationException>(() => _ml.Model.Save(onnx, Rows().Schema, new MemoryStream()));
    }

    internal static string[] SlotNames(IDataView view)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        view.Schema["Score"].GetSlotNames(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    private static TextScoringTransformer Torch(string name)
    {
        TextClassifier classifier = OnnxCases.Create(name);
        return new(classifier, new() { TextPair = classifier.Settings.HasTextPair ? "TextPair" : null });
    }

    private static T[] Scalars<T>(IDataView view, string column) => [.. view.GetColumn<T>(column)];

    private static float[] Scores(IDataView view) =>
        view.Schema["Score"].Type is VectorDataViewType
            ? [.. view.GetColumn<float[]>("Score").SelectMany(row => row)]
            : Scalars<float>(view, "Score");

    private static void Close(float[] wanted, float[] found)
    {
        Assert.Equal(wanted.Length, found.Length);
        Assert.All(wanted.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
    }

    private OnnxScoringTransformer Load(string name)
    {
        using TextScoringTransformer torch = Torch(name);
        torch.Classifier.SaveOnnx(Model);
        return _ml.SkillLoc().LoadOnnxScorer(Model);
    }

    private IDataView Rows() =>
        _ml.Data.LoadFromEnumerable(OnnxCases.Texts.Select(text => new Row { Text = text, TextPair = OnnxCases.SecondText }));

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string TextPair { get; set; } = "";
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
