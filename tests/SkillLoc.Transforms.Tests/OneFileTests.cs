using System.IO.Compression;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using TorchSharp;

namespace SkillLoc.Transforms.Tests;

/// <summary>A model in one file scores the same where nothing else of it is left.</summary>
public sealed class OneFileTests : IDisposable
{
    private const string Bias = "roberta.encoder.layer.1.output.dense.bias";

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly string _cache;
    private readonly string _file;

    public OneFileTests()
    {
        _cache = Path.Join(_folder, "cache");
        _file = Path.Join(_folder, "model.zip");
    }

    public static TheoryData<string> Tunings => ["none", "lora", "soft_prompt", "head"];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Tunings))]
    public void AModelThatLiesInNoFolderIsWholeInTheFile(string tuning)
    {
        ClassifierSettings settings = tuning switch
        {
            "lora" => Toy.Settings with
            {
                Tuning = new LoraOptions { Rank = 3, Mlp = true },
            },
            "soft_prompt" => new ClassifierSettings
            {
                Labels = ["neg", "pos"],
                Words = ["bad", "good"],
                Tuning = new SoftPromptOptions { Size = 4 },
                MaxLength = 32,
            },
            "head" => new ClassifierSettings
            {
                Labels = ["neg", "pos"],
                Head = HeadKind.FirstTokenLinear,
                MaxLength = 64,
            },
            _ => Toy.Settings,
        };
        IDataView rows = Toy.Rows(_ml, 20);
        float[][] expected;
        using (
            var scorer = new TextScoringTransformer(TextClassifier.Create(Oracles.PathOf("tiny-roberta"), settings), new ScoringColumns())
        )
        {
            // What no checkpoint of the repository holds.
            using (torch.no_grad())
            {
                using DisposeScope scope = torch.NewDisposeScope();
                using var generator = new torch.Generator(1);
                foreach (
                    torch.Tensor parameter in scorer.Classifier.TunedParameters.Values.Append(scorer.Classifier.Backbone.Parameters[Bias])
                )
                {
                    parameter.add_(torch.randn(parameter.shape, generator: generator) * 0.2);
                }
            }

            expected = Scores(scorer, rows);
            ITransformer chain = new TransformerChain<ITransformer>(
                _ml.Transforms.Conversion.MapValue("Twice", [KeyValuePair.Create("a", 1f)], "Text").Fit(rows),
                new TransformerChain<ITransformer>(scorer)
            );
            _ml.SkillLoc().SaveModel(chain, rows.Schema, _file);
            Assert.Null(scorer.CheckpointFolder);
        }

        Assert.Equal([_file], Directory.GetFileSystemEntries(_folder));
        ITransformer loaded = new MLContext().SkillLoc().LoadModel(_file, out DataViewSchema schema, _cache);
        Assert.NotNull(schema.GetColumnOrNull("Text"));
        Close(expected, Scores(loaded, rows));
        Assert.NotNull(loaded.Transform(rows).Schema.GetColumnOrNull("Twice"));

        // ML.NET's own call reads it too, by what was unpacked.
        Close(expected, Scores(new MLContext().Model.Load(_file, out _), rows));
        using PredictionEngine<Toy.Row, Toy.Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(loaded);
        Assert.Equal(expected[3][1], engine.Predict(new Toy.Row { Text = Toy.Texts[3] }).Score[1], 1e-5f);
    }

    [Fact]
    public void AGraftAndASetTakeTheirBaseAlong()
    {
        string checkpoint = Copy("base");
        using var whole = LanguageModel.Load(checkpoint);
        var graft = new Graft
        {
            BaseFingerprint = whole.Fingerprint(),
            Settings = Toy.Settings.ToJson(),
            Sparsity = 1e-2,
            ConsideredCount = 56880,
            Parts = [new(Bias, [0, 5, 47], [3, -4, 5])],
        };
        IDataView rows = _ml.Data.LoadFromEnumerable(Toy.Texts.Take(20).Select(text => new SkillRow { Text = text, Skill = "tone" }));
        string set = Path.Join(_folder, "set.zip");
        float[][] expected;
        using (var one = GraftTransformer.Create(graft, checkpoint))
        using (var all = GraftedModelSet.Create(checkpoint, new Dictionary<string, Graft> { ["tone"] = graft }))
        {
            expected = Scores(one, rows);
            _ml.SkillLoc().SaveModel(one, rows.Schema, _file);
            _ml.SkillLoc().SaveModel(all, rows.Schema, set);
        }

        Directory.Delete(checkpoint, recursive: true);
        Close(expected, Scores(_ml.SkillLoc().LoadModel(_file, out _, _cache), rows));
        Close(expected, Scores(_ml.SkillLoc().LoadModel(set, out _, _cache), rows));

        // One base, once, and nothing of it that a model does not read.
        string unpacked = Assert.Single(Directory.GetDirectories(_cache));
        Assert.Equal(
            ["config.json", "merges.txt", "model.safetensors", "vocab.json"],
            Directory.GetFiles(unpacked).Select(Path.GetFileName).Order()
        );
    }

    [Fact]
    public void AModelThatNamesAFolderBecomesOneFileAndGoesThroughStreamsThatCannotSeek()
    {
        IDataView rows = Toy.Rows(_ml, 5);
        string checkpoint = Path.Join(_folder, "checkpoint");
        float[][] expected;
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            scorer.SaveCheckpoint(checkpoint);
            expected = Scores(scorer, rows);
            _ml.Model.Save(scorer, rows.Schema, _file);
        }

        using var bytes = new MemoryStream();
        using (var pipe = new OneWay(bytes))
        {
            _ml.SkillLoc().SaveModel(_ml.Model.Load(_file, out DataViewSchema schema), schema, pipe);
        }

        Directory.Delete(checkpoint, recursive: true);
        using var back = new OneWay(new MemoryStream(bytes.ToArray()));
        ITransformer loaded = _ml.SkillLoc().LoadModel(back, out _, _cache);
        Close(expected, Scores(loaded, rows));

        // And again, from where it was unpacked.
        _ml.SkillLoc().SaveModel(loaded, rows.Schema, _file);
        string other = Path.Join(_folder, "other");
        Directory.Delete(_cache, recursive: true);
        Close(expected, Scores(_ml.SkillLoc().LoadModel(_file, out _, other), rows));
    }

    [Fact]
    public void DamagedFilesAndNamesThatLeadOutAreRefused()
    {
        Save();
        byte[] whole = File.ReadAllBytes(_file);
        foreach (int length in new[] { 0, 10, whole.Length / 2, whole.Length - 1 })
        {
            File.WriteAllBytes(_file, whole[..length]);
            Assert.Contains(_file, Assert.Throws<InvalidDataException>(() => Load()).Message, StringComparison.Ordinal);
        }

        Assert.Contains(
            "'vocab.json'",
            Refused(whole, (archive, folder) => archive.GetEntry($"{folder}vocab.json")!.Delete()),
            StringComparison.Ordinal
        );
        string changed = Refused(whole, (archive, folder) => Change(archive, $"{folder}config.json", text => text.Replace("gelu", "relu")));
        Assert.Contains("'config.json'", changed, StringComparison.Ordinal);
        foreach (string name in new[] { "../evil.json", "/tmp/evil.json", "..", "a/b.json", "a\\\\b.json", "c:evil.json", "" })
        {
            string message = Refused(
                whole,
                (archive, _) => Change(archive, "SkillLoc/checkpoints.json", text => text.Replace("vocab.json", name))
            );
            Assert.Contains("no plain file name", message, StringComparison.Ordinal);
        }

        foreach (
            string list in new[]
            {
                "",
                "null",
                "[null]",
                "[[null]]",
                "[[]]",
                "[[{}]]",
                "{}",
                "[[{\"name\":null,\"length\":1,\"sha256\":\"a\"}]]",
            }
        )
        {
            Refused(whole, (archive, _) => Change(archive, "SkillLoc/checkpoints.json", _ => list));
        }

        Assert.False(Directory.Exists(_cache) && Directory.EnumerateFileSystemEntries(_cache).Any());
        File.WriteAllBytes(_file, whole);
        Assert.Single(Scores(Load(), Toy.Rows(_ml, 1)));
    }

    [Fact]
    public void WhatWasUnpackedAndChangedIsUnpackedAgain()
    {
        Save();
        Load();
        string unpacked = Assert.Single(Directory.GetDirectories(_cache)),
            vocabulary = Path.Join(unpacked, "vocab.json");
        string before = File.ReadAllText(vocabulary);
        File.WriteAllText(vocabulary, before.Replace("\"good\"", "\"goog\"", StringComparison.Ordinal));
        File.WriteAllText(Path.Join(unpacked, "added_tokens.json"), "{}");
        Load();
        Assert.Equal(before, File.ReadAllText(vocabulary));
        Assert.False(File.Exists(Path.Join(unpacked, "added_tokens.json")));
        File.Delete(Path.Join(unpacked, "config.json"));
        Load();
        Assert.True(File.Exists(Path.Join(unpacked, "config.json")));
    }

    [Fact]
    public void WhereNothingCanBeWrittenTheMessageSaysSo()
    {
        Save();
        string inTheWay = Path.Join(_folder, "file");
        File.WriteAllText(inTheWay, "");
        string message = Assert.Throws<IOException>(() => _ml.SkillLoc().LoadModel(_file, out _, inTheWay)).Message;
        Assert.Contains(_file, message, StringComparison.Ordinal);
        Assert.Contains(CheckpointStore.CacheVariable, message, StringComparison.Ordinal);
        using TextScoringTransformer scorer = Toy.Scorer();
        Assert.Throws<IOException>(() => _ml.SkillLoc().SaveModel(scorer, null, Path.Join(inTheWay, "model.zip")));
        Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().LoadModel(Path.Join(_folder, "none.zip"), out _));

        // What stands for a full disk on Linux.
        if (File.Exists("/dev/full"))
        {
            using var full = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            Assert.ThrowsAny<IOException>(() => _ml.SkillLoc().SaveModel(scorer, null, full));
        }

        Assert.Equal([inTheWay, _file], Directory.GetFileSystemEntries(_folder).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void AServiceLearnsAtItsStartWhatIsMissing()
    {
        IDataView rows = Toy.Rows(_ml, 2);
        string checkpoint = Path.Join(_folder, "service"),
            moved = Path.Join(_folder, "moved");
        float[][] expected;
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            scorer.SaveCheckpoint(checkpoint);
            expected = Scores(scorer, rows);
            _ml.Model.Save(new TransformerChain<ITransformer>(scorer), rows.Schema, _file);
        }

        Directory.Move(checkpoint, moved);
        ITransformer loaded = _ml.Model.Load(_file, out _);
        using PredictionEngine<Toy.Row, Toy.Scored> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Toy.Scored>(loaded);
        string late = Assert.ThrowsAny<Exception>(() => engine.Predict(new Toy.Row { Text = "a" })).ToString();
        FileNotFoundException early = Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().CheckModel(loaded));
        Assert.Contains(early.Message, late, StringComparison.Ordinal);
        Assert.Contains(checkpoint, early.Message, StringComparison.Ordinal);
        Assert.Contains(CheckpointStore.SearchPathVariable, early.Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => _ml.SkillLoc().CheckModel(_file));

        // Another model under the name is no better.
        using (TextScoringTransformer other = Toy.Scorer())
        {
            using (torch.no_grad())
            {
                other.Classifier.Backbone.Parameters[Bias].add_(1);
            }

            other.SaveCheckpoint(checkpoint);
        }

        Assert.Contains(
            "fingerprint",
            Assert.Throws<InvalidDataException>(() => _ml.SkillLoc().CheckModel(loaded)).Message,
            StringComparison.Ordinal
        );
        Directory.Delete(checkpoint, recursive: true);

        // What was checked is loaded, and needs the folder no more.
        Directory.Move(moved, checkpoint);
        _ml.SkillLoc().CheckModel(loaded);
        Directory.Delete(checkpoint, recursive: true);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Close(expected, Scores(loaded, rows));
        Assert.Equal(expected[0][1], engine.Predict(new Toy.Row { Text = Toy.Texts[0] }).Score[1], 1e-5f);
        GC.KeepAlive(loaded);
    }

    [Fact]
    public void WhatIsNotOursOrNotLoadedNeedsNothing()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        IDataView rows = Toy.Rows(_ml, 1);
        ITransformer value = _ml.Transforms.Conversion.MapValue("Other", [KeyValuePair.Create(1, 1f)], "Id").Fit(rows);
        _ml.SkillLoc().CheckModel(new TransformerChain<ITransformer>(value, scorer));
        _ml.SkillLoc().SaveModel(value, rows.Schema, _file);
        Assert.NotNull(_ml.SkillLoc().LoadModel(_file, out _, _cache).Transform(rows).Schema.GetColumnOrNull("Other"));
        Assert.False(Directory.Exists(_cache));
    }

    private static float[][] Scores(ITransformer model, IDataView rows) => [.. model.Transform(rows).GetColumn<float[]>("Score")];

    private static void Close(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First[1], pair.Second[1], 1e-5f));
    }

    private static void Change(ZipArchive archive, string name, Func<string, string> change)
    {
        ZipArchiveEntry entry = archive.GetEntry(name)!;
        string text;
        using (var reader = new StreamReader(entry.Open(), Encoding.UTF8))
        {
            text = reader.ReadToEnd();
        }

        entry.Delete();
        string changed = change(text);
        Assert.NotEqual(text, changed);
        using var writer = new StreamWriter(archive.CreateEntry(name).Open());
        writer.Write(changed);
    }

    private void Save()
    {
        using TextScoringTransformer scorer = Toy.Scorer();
        _ml.SkillLoc().SaveModel(scorer, Toy.Rows(_ml, 1).Schema, _file);
    }

    private ITransformer Load() => _ml.SkillLoc().LoadModel(_file, out _, _cache);

    private string Refused(byte[] whole, Action<ZipArchive, string> change)
    {
        File.WriteAllBytes(_file, whole);
        using (ZipArchive archive = ZipFile.Open(_file, ZipArchiveMode.Update))
        {
            string config = archive.Entries.Single(entry => entry.FullName.EndsWith("/config.json", StringComparison.Ordinal)).FullName;
            change(archive, config[..^"config.json".Length]);
        }

        string message = Assert.Throws<InvalidDataException>(() => Load()).Message;
        Assert.Contains(_file, message, StringComparison.Ordinal);
        return message;
    }

    private string Copy(string name)
    {
        string folder = Path.Join(_folder, name);
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.GetFiles(Oracles.PathOf("tiny-roberta")))
        {
            File.Copy(file, Path.Join(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    private sealed class SkillRow
    {
        public string Text { get; set; } = "";

        public string Skill { get; set; } = "";
    }

    /// <summary>A stream that only goes on, as a network's.</summary>
    private sealed class OneWay(Stream inner) : Stream
    {
        public override bool CanRead => inner.CanRead;

        public override bool CanSeek => false;

        public override bool CanWrite => inner.CanWrite;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);
    }
}
