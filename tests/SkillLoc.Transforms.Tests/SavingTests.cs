using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;

namespace SkillLoc.Transforms.Tests;

public sealed class SavingTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ASavedModelLoadsScoresAndEvaluatesTheSame()
    {
        string zip = Path.Join(_folder, "model.zip");
        float[][] scores;
        IDataView rows = Toy.Rows(_ml);
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            scorer.SaveCheckpoint(Path.Join(_folder, "checkpoint"));
            scores = [.. scorer.Transform(rows).GetColumn<float[]>("Score")];
            _ml.Model.Save(scorer, rows.Schema, zip);
        }

        var fresh = new MLContext();
        ITransformer loaded = fresh.Model.Load(zip, out DataViewSchema schema);
        Assert.NotNull(schema.GetColumnOrNull("Text"));
        IDataView scored = loaded.Transform(Toy.Rows(fresh));
        float[][] again = [.. scored.GetColumn<float[]>("Score")];
        Assert.Equal(scores.Length, again.Length);
        Assert.All(scores.Zip(again), pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f));

        Assert.Equal(2, ((VectorDataViewType)scored.Schema["Score"].Type).Size);
        VBuffer<ReadOnlyMemory<char>> names = default;
        scored.Schema["Score"].GetSlotNames(ref names);
        Assert.Equal(["neg", "pos"], names.DenseValues().Select(name => name.ToString()));
        scored.Schema["PredictedLabel"].GetKeyValues(ref names);
        Assert.Equal(["neg", "pos"], names.DenseValues().Select(name => name.ToString()));
        Assert.DoesNotContain(scored.Schema, column => !column.IsHidden && column.Name.StartsWith("SkillLoc.", StringComparison.Ordinal));
        Assert.DoesNotContain(scored.Schema, column => !column.IsHidden && column.Name is "neg" or "pos");

        using PredictionEngine<Toy.Row, Toy.Scored> engine = fresh.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(loaded);
        Toy.Scored one = engine.Predict(new Toy.Row { Id = 7, Text = Toy.Texts[3] });
        Assert.Equal(scores[3][1], one.Score[1], 1e-5f);
        Assert.Equal(7, one.Id);
    }

    [Fact]
    public void OtherColumnNamesSurvive()
    {
        var columns = new ScoringColumns
        {
            Text = "Body",
            Score = "P",
            PredictedLabel = "Guess",
        };
        using var scorer = new TextScoringTransformer(TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Toy.Settings), columns);
        scorer.SaveCheckpoint(Path.Join(_folder, "other"));
        IDataView rows = _ml.Transforms.CopyColumns("Body", "Text").Fit(Toy.Rows(_ml)).Transform(Toy.Rows(_ml));
        string zip = Path.Join(_folder, "other.zip");
        _ml.Model.Save(scorer, rows.Schema, zip);
        IDataView scored = new MLContext().Model.Load(zip, out _).Transform(rows);
        Assert.Equal(100, scored.GetColumn<float[]>("P").Count());
        Assert.NotNull(scored.Schema.GetColumnOrNull("Guess"));
    }

    [Fact]
    public void AModelWhoseWeightsLieInNoFolderSaysWhatToDo()
    {
        string checkpoint = Path.Join(_folder, "weights"),
            zip = Path.Join(_folder, "weights.zip");
        using TextScoringTransformer scorer = Toy.Scorer();
        ITransformer pipeline = new TransformerChain<ITransformer>(scorer);
        string message = Refused(pipeline);
        long bytes = 4 * scorer.Classifier.Backbone.Parameters.Values.Sum(weight => weight.numel());
        Assert.Contains(FormattableString.Invariant($"weights ({bytes / 1e6:F1} MB) lie in no folder"), message, StringComparison.Ordinal);
        Assert.Contains("Options.OutputFolder", message, StringComparison.Ordinal);
        Assert.Contains("SaveCheckpoint(folder)", message, StringComparison.Ordinal);

        scorer.SaveCheckpoint(checkpoint);
        _ml.Model.Save(pipeline, Toy.Rows(_ml, 2).Schema, zip);
        Assert.Equal(2, new MLContext().Model.Load(zip, out _).Transform(Toy.Rows(_ml, 2)).GetColumn<float[]>("Score").Count());
        Directory.Delete(checkpoint, recursive: true);
        Assert.Contains($"gone from the folder '{checkpoint}'", Refused(scorer), StringComparison.Ordinal);

        string Refused(ITransformer model) =>
            Assert.Throws<InvalidOperationException>(() => _ml.Model.Save(model, Toy.Rows(_ml, 2).Schema, new MemoryStream())).Message;
    }

    [Fact]
    public void AMissingOrChangedCheckpointIsNamed()
    {
        string checkpoint = Path.Join(_folder, "gone"),
            zip = Path.Join(_folder, "gone.zip");
        IDataView rows = Toy.Rows(_ml, 2);
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            scorer.SaveCheckpoint(checkpoint);
            _ml.Model.Save(scorer, rows.Schema, zip);
            using (TorchSharp.torch.no_grad())
            {
                scorer.Classifier.Backbone.Parameters["lm_head.bias"].add_(1);
            }

            scorer.SaveCheckpoint(checkpoint);
        }

        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        Exception error = Assert.ThrowsAny<Exception>(() => loaded.Transform(rows).GetColumn<float[]>("Score").Count());
        Assert.Contains("fingerprint", error.ToString(), StringComparison.Ordinal);

        Directory.Delete(checkpoint, recursive: true);
        error = Assert.ThrowsAny<Exception>(() => loaded.Transform(rows).GetColumn<float[]>("Score").Count());
        Assert.Contains(CheckpointStore.SearchPathVariable, error.ToString(), StringComparison.Ordinal);
        Assert.Contains(checkpoint, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AGraftTravelsInsideTheModel()
    {
        using TextScoringTransformer pre = Toy.Scorer();
        string fingerprint = pre.Classifier.Backbone.Fingerprint();
        var graft = new Graft
        {
            BaseFingerprint = fingerprint,
            Settings = Toy.Settings.ToJson(),
            Sparsity = 1e-2,
            ConsideredCount = 56880,
            Parts = [new("roberta.encoder.layer.1.output.dense.bias", [0, 5, 47], [3, -4, 5])],
        };
        IDataView rows = Toy.Rows(_ml);
        string zip = Path.Join(_folder, "graft.zip");
        float[][] scores;
        using (var grafted = GraftTransformer.Create(graft, Oracles.PathOf("tiny-roberta")))
        {
            Assert.NotEqual(fingerprint, grafted.Classifier.Backbone.Fingerprint());
            scores = [.. grafted.Transform(rows).GetColumn<float[]>("Score")];
            _ml.Model.Save(grafted, rows.Schema, zip);
        }

        Assert.InRange(new FileInfo(zip).Length, 1, 30_000);
        ITransformer loaded = new MLContext().Model.Load(zip, out _);
        Assert.All(
            scores.Zip(loaded.Transform(rows).GetColumn<float[]>("Score")),
            pair => Assert.Equal(pair.First[0], pair.Second[0], 1e-5f)
        );
        float[][] plain = [.. pre.Transform(rows).GetColumn<float[]>("Score")];
        Assert.Contains(scores.Zip(plain), pair => Math.Abs(pair.First[0] - pair.Second[0]) > 1e-3);
    }

    [Fact]
    public void AGraftOfOneTenThousandthOfRobertaBaseMakesAZipUnder200Kilobytes()
    {
        // 8,505 of RoBERTa-base's 85,054,464 encoder parameters, spread over its 192 encoder tensors; the state alone counts here.
        var random = new Random(1);
        GraftPart[] parts =
        [
            .. Enumerable
                .Range(0, 192)
                .Select(i => new GraftPart(
                    $"roberta.encoder.layer.{i / 16}.attention.self.query.weight.{i % 16}",
                    [.. Enumerable.Range(0, i < 57 ? 45 : 44).Select(_ => random.Next(2_359_296)).Distinct().Order()],
                    [.. Enumerable.Range(0, 45).Select(_ => random.NextSingle())]
                )),
        ];
        var graft = new Graft
        {
            BaseFingerprint = new string('a', 64),
            Settings = Toy.Settings.ToJson(),
            ConsideredCount = 85_054_464,
            Parts = [.. parts.Select(part => part with { Values = part.Values[..part.Indices.Length] })],
        };
        Assert.InRange(graft.Count, 8_400, 8_505);
        using var transformer = new GraftTransformer(
            TextClassifier.Create(Oracles.PathOf("tiny-roberta"), Toy.Settings),
            new ScoringColumns(),
            graft,
            Oracles.PathOf("tiny-roberta")
        );
        string zip = Path.Join(_folder, "large.zip");
        _ml.Model.Save(transformer, Toy.Rows(_ml, 1).Schema, zip);
        Assert.InRange(new FileInfo(zip).Length, 50_000, 200_000);
    }

    [Fact]
    public void AGraftForAnotherBaseNamesBothFingerprints()
    {
        string other = new('a', 64);
        var graft = new Graft
        {
            BaseFingerprint = other,
            Settings = Toy.Settings.ToJson(),
            Parts = [],
        };
        InvalidDataException error = Assert.Throws<InvalidDataException>(() =>
            GraftTransformer.Create(graft, Oracles.PathOf("tiny-roberta"))
        );
        using TextScoringTransformer pre = Toy.Scorer();
        Assert.Contains(other, error.Message, StringComparison.Ordinal);
        Assert.Contains(pre.Classifier.Backbone.Fingerprint(), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LoadedModelsAndTransformersDisposeInAnyOrder()
    {
        IDataView rows = Toy.Rows(_ml, 3);
        string zip = Path.Join(_folder, "order.zip");
        TextScoringTransformer first = Toy.Scorer();
        first.SaveCheckpoint(Path.Join(_folder, "order"));
        _ml.Model.Save(first, rows.Schema, zip);
        ITransformer loaded = _ml.Model.Load(zip, out _);
        float[][] before = [.. loaded.Transform(rows).GetColumn<float[]>("Score")];
        TextScoringTransformer second = Toy.Scorer();
        first.Dispose();
        first.Dispose();
        Assert.Equal(before, [.. loaded.Transform(rows).GetColumn<float[]>("Score")]);
        ITransformer again = _ml.Model.Load(zip, out _);
        (loaded as IDisposable)?.Dispose();
        Assert.Equal(before, [.. again.Transform(rows).GetColumn<float[]>("Score")]);
        second.Dispose();
        Assert.Equal(before, [.. again.Transform(rows).GetColumn<float[]>("Score")]);
        (again as IDisposable)?.Dispose();
    }
}
