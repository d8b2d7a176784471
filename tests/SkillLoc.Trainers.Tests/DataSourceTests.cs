using System.Data;
using System.Text;
using Microsoft.Data.Analysis;
using Microsoft.Data.Sqlite;
using Microsoft.ML;
using Microsoft.ML.Data;
using Parquet;
using Parquet.Schema;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>Rows from Parquet files, data frames and a database train and score the same model as rows in memory, bit for bit.</summary>
public sealed class DataSourceTests : IDisposable
{
    private static readonly Toy.Row[] Rows = Toy.Examples(24);

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly MLContext _ml = new(seed: 1);

    private static string[] Texts { get; } = Array.ConvertAll(Rows, row => row.Text);

    private static string[] Labels { get; } = Array.ConvertAll(Rows, row => row.Label);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task ParquetTrainsAsRowsInMemoryDo()
    {
        for (int part = 0; part < 2; part++)
        {
            await WriteParquet(Path.Join(_folder, $"train-0000{part}-of-00002.parquet"), Rows[(part * 12)..((part + 1) * 12)]);
        }

        IDataView data = _ml.SkillLoc()
            .Data.LoadTaskFile(
                Path.Join(_folder, "train-*.parquet"),
                new()
                {
                    Layout = TaskFileLayout.Parquet,
                    Text = "sentence",
                    Label = "label",
                }
            );
        Assert.Equal(Labels, data.GetColumn<string>("Label"));
        AreTheSame(data, "neg", "pos");
    }

    [Fact]
    public void ADataFrameTrainsAsRowsInMemoryDo()
    {
        var frame = new DataFrame(new StringDataFrameColumn("Text", Texts), new StringDataFrameColumn("Label", Labels));
        AreTheSame(frame, "neg", "pos");

        // What the catalog makes of views.
        (IDataView few, IDataView others) = _ml.SkillLoc().Data.SampleKShot(frame, 4, 1);
        Assert.Equal((8, 8), (few.GetColumn<string>("Label").Count(), others.GetColumn<string>("Label").Count()));
        Assert.Equal(
            24,
            _ml.SkillLoc().Data.Split([frame]) is var (train, dev, test)
                ? new[] { train, dev, test }.Sum(part => part.GetColumn<string>("Text").Count())
                : 0
        );
    }

    [Fact]
    public void LabelsOfADataFrameMayBeNumbersOrFlags()
    {
        var text = new StringDataFrameColumn("Text", Texts);
        IEnumerable<bool> flags = Labels.Select(label => label == "pos");
        DataFrameColumn[] columns =
        [
            new Int32DataFrameColumn("Label", flags.Select(flag => flag ? 1 : 0)),
            new Int64DataFrameColumn("Label", flags.Select(flag => (long?)(flag ? 1 : 0))),
            new UInt64DataFrameColumn("Label", flags.Select(flag => flag ? 1ul : 0)),
            new ByteDataFrameColumn("Label", flags.Select(flag => (byte)(flag ? 1 : 0))),
            new Int16DataFrameColumn("Label", flags.Select(flag => (short)(flag ? 1 : 0))),
            new DoubleDataFrameColumn("Label", flags.Select(flag => flag ? 1.0 : 0)),
            new SingleDataFrameColumn("Label", flags.Select(flag => flag ? 1f : 0)),
            new BooleanDataFrameColumn("Label", flags),
        ];
        foreach (DataFrameColumn label in columns)
        {
            string[] names = label is BooleanDataFrameColumn ? ["False", "True"] : ["0", "1"];
            AreTheSame(new DataFrame(text, label), names);
        }
    }

    [Fact]
    public void RowsOfADataFrameWithoutALabelAreLeftOut()
    {
        var frame = new DataFrame(
            new StringDataFrameColumn("Text", [.. Texts, "the film", "the man"]),
            new StringDataFrameColumn("Label", [.. Labels, null!, null!])
        );
        AreTheSame(frame, "neg", "pos");
    }

    [Fact]
    public void WhatAModelWritesIsADataFrameAgain()
    {
        byte[] texts = Encoding.UTF8.GetBytes(string.Concat(Texts));
        byte[] offsets =
        [
            .. Enumerable.Range(0, Texts.Length + 1).SelectMany(i => BitConverter.GetBytes(Texts[..i].Sum(text => text.Length))),
        ];
        byte[] valid = [.. Enumerable.Repeat((byte)0xFF, 3)];
        var frame = new DataFrame(
            new ArrowStringDataFrameColumn("Text", texts, offsets, valid, Texts.Length, 0),
            new StringDataFrameColumn("Label", Labels)
        );
        TransformerChain<TextScoringTransformer> model = Fit(frame, "neg", "pos");
        using TextScoringTransformer tuned = model.LastTransformer;
        IDataView scored = model.Transform(frame);
        // A data frame has no keys.
        var written = _ml
            .Transforms.Conversion.MapKeyToValue("PredictedLabel")
            .Fit(scored)
            .Transform(scored)
            .ToDataFrame("Text", "PredictedLabel", "Score");
        Assert.Equal(Texts, written["Text"].Cast<object>().Select(text => $"{text}"));
        Assert.Equal(Texts.Length, written["PredictedLabel"].Cast<object>().Count(label => label.ToString() is "neg" or "pos"));
        Assert.Equal(
            scored.GetColumn<float[]>("Score"),
            written["Score"].Cast<VBuffer<float>>().Select(score => score.DenseValues().ToArray())
        );
        AreTheSame(frame, "neg", "pos");
    }

    [Fact]
    public void ADatabaseTrainsAsRowsInMemoryDo()
    {
        string connection = new SqliteConnectionStringBuilder
        {
            DataSource = Path.Join(_folder, "rows.db"),
            Pooling = false,
        }.ConnectionString;
        Fill(connection);
        AreTheSame(
            Load(
                "SELECT sentence AS Text, name AS Label FROM rows ORDER BY id",
                new DatabaseLoader.Column("Text", DbType.String, 0),
                new DatabaseLoader.Column("Label", DbType.String, 1)
            ),
            "neg",
            "pos"
        );
        AreTheSame(
            Load(
                "SELECT sentence AS Text, class AS Label FROM rows ORDER BY id",
                new DatabaseLoader.Column("Text", DbType.String, 0),
                new DatabaseLoader.Column("Label", DbType.Int64, 1)
            ),
            "0",
            "1"
        );
        AreTheSame(
            Load(
                "SELECT sentence AS Text, class = 1 AS Label FROM rows ORDER BY id",
                new DatabaseLoader.Column("Text", DbType.String, 0),
                new DatabaseLoader.Column("Label", DbType.Boolean, 1)
            ),
            "False",
            "True"
        );

        IDataView Load(string query, params DatabaseLoader.Column[] columns) =>
            _ml.Data.CreateDatabaseLoader(columns).Load(new DatabaseSource(SqliteFactory.Instance, connection, query));
    }

    private static void Fill(string connection)
    {
        using var database = new SqliteConnection(connection);
        database.Open();
        using (SqliteCommand create = database.CreateCommand())
        {
            create.CommandText = "CREATE TABLE rows (id INTEGER PRIMARY KEY, sentence TEXT, name TEXT, class INTEGER)";
            create.ExecuteNonQuery();
        }

        using SqliteTransaction transaction = database.BeginTransaction();
        foreach (Toy.Row row in Rows)
        {
            using SqliteCommand insert = database.CreateCommand();
            insert.CommandText = "INSERT INTO rows (sentence, name, class) VALUES ($sentence, $name, $class)";
            insert.Parameters.AddWithValue("$sentence", row.Text);
            insert.Parameters.AddWithValue("$name", row.Label);
            insert.Parameters.AddWithValue("$class", row.Label == "pos" ? 1 : 0);
            insert.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    private static async Task WriteParquet(string path, Toy.Row[] rows)
    {
        var text = new DataField<string>("sentence");
        var label = new DataField<long>("label");
        CancellationToken cancelled = TestContext.Current.CancellationToken;
        await using FileStream file = File.Create(path);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new(text, label), file, cancellationToken: cancelled);
        writer.CustomMetadata = new Dictionary<string, string>
        {
            ["huggingface"] = """{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["neg", "pos"]}}}}""",
        };
        using ParquetRowGroupWriter group = writer.CreateRowGroup();
        await group.WriteAsync(text, Array.ConvertAll(rows, row => row.Text));
        long[] numbers = Array.ConvertAll(rows, row => row.Label == "pos" ? 1L : 0);
        await group.WriteAsync<long>(label, numbers.AsMemory(), cancellationToken: cancelled);
    }

    /// <summary>Trains on the rows, and on the same rows in memory, whose labels are called <c>neg</c> and <c>pos</c>.</summary>
    private void AreTheSame(IDataView data, params string[] labels)
    {
        float[][] expected = Scores(_ml.Data.LoadFromEnumerable(Rows), "neg", "pos");
        float[][] scores = Scores(data, labels);

        // Rows without labels are scored too, and who is in a batch moves last digits.
        float tolerance = scores.Length == Rows.Length ? 0 : 1e-6f;
        Assert.All(
            expected.SelectMany(row => row).Zip(scores[..Rows.Length].SelectMany(row => row)),
            pair => Assert.Equal(pair.First, pair.Second, tolerance)
        );
    }

    private float[][] Scores(IDataView data, params string[] labels)
    {
        TransformerChain<TextScoringTransformer> model = Fit(data, labels);
        using TextScoringTransformer tuned = model.LastTransformer;
        return [.. model.Transform(data).GetColumn<float[]>("Score")];
    }

    private TransformerChain<TextScoringTransformer> Fit(IDataView data, params string[] labels)
    {
        PromptFineTuneTrainer.Options options = Toy.Options(options =>
        {
            options.Checkpoint = Oracles.PathOf("tiny-bert");
            options.Task = new PromptTask(
                "toy",
                PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
                new Verbalizer([new(labels[0], "bad"), new(labels[1], "good")])
            );
            options.Epochs = 1;
        });
        return _ml.Transforms.Conversion.MapValueToKey("Label").Append(_ml.SkillLoc().PromptFineTune(options)).Fit(data);
    }
}
