using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Transforms.Tests.Activations;

/// <summary>Any activation by its name as a column.</summary>
public sealed class ReadActivationsTests
{
    private const string Point = "blocks.1.mlp.hook_post";
    private static readonly string Checkpoint = Oracles.PathOf("tiny-roberta");
    private readonly MLContext _ml = new(seed: 1);

    [Theory]
    [InlineData("tiny-roberta", "blocks.0.mlp.hook_post", "ffn.0", TextPooling.Mean)]
    [InlineData("tiny-roberta", "blocks.2.mlp.hook_post", "ffn.2", TextPooling.Max)]
    [InlineData("tiny-roberta", "blocks.2.mlp.hook_post", "ffn.2", TextPooling.ScoredPosition)]
    [InlineData("tiny-roberta", "blocks.1.hook_resid_pre", "hidden.1", TextPooling.ScoredPosition)]
    [InlineData("tiny-bert", "hook_full_embed", "hidden.0", TextPooling.Max)]
    [InlineData("tiny-bert", "blocks.1.mlp.hook_post", "ffn.1", TextPooling.FirstToken)]
    [InlineData("tiny-bert", "blocks.2.hook_normalized_resid_post", "hidden.3", TextPooling.Mean)]
    [InlineData("tiny-distilbert", "blocks.1.mlp.hook_post", "ffn.1", TextPooling.Max)]
    [InlineData("tiny-electra", "blocks.0.hook_resid_pre", "hidden.0", TextPooling.Mean)]
    [InlineData("tiny-mpnet", "blocks.1.hook_normalized_resid_post", "hidden.2", TextPooling.ScoredPosition)]
    [InlineData("tiny-gpt2", "blocks.1.mlp.hook_post", "ffn.1", TextPooling.Mean)]
    [InlineData("tiny-gpt2", "blocks.2.hook_resid_pre", "hidden.2", TextPooling.Max)]
    [InlineData("tiny-gpt2", "ln_final.hook_normalized", "hidden.3", TextPooling.ScoredPosition)]
    [InlineData("tiny-t5", "encoder_final_ln.hook_normalized", "encoder_last", TextPooling.Max)]
    public void ValuesArePooledFromWhatTransformersComputes(string name, string point, string tensorName, TextPooling pooling)
    {
        using DisposeScope scope = NewDisposeScope();
        string folder = Oracles.PathOf(name);
        using var oracle = SafetensorsFile.Open(Path.Join(folder, "expected.safetensors"));
        Tensor expected = oracle.Read(tensorName);
        long[] lengths = oracle.Read("attention_mask").sum(dim: 1).data<long>().ToArray();
        string position = name == "tiny-gpt2" ? "last_pos" : "mask_pos";
        long[] places = oracle.Contains(position) ? oracle.Read(position).data<long>().ToArray() : new long[lengths.Length];
        int[][] ids = Rows("input_ids");
        int[][]? types = oracle.Contains("token_type_ids") ? Rows("token_type_ids") : null;
        using var reader = new ActivationReader(folder, point, pooling);
        float[][] vectors = reader.Read([.. ids.Select((row, i) => new EncodedText(row, types?[i], (int)places[i]))]);
        Assert.Equal(reader.Point.Size, vectors[0].Length);
        for (int i = 0; i < vectors.Length; i++)
        {
            Tensor own = expected[i].narrow(0, 0, lengths[i]);
            Tensor wanted = pooling switch
            {
                TextPooling.Mean => own.mean([0]),
                TextPooling.Max => own.amax(0),
                TextPooling.FirstToken => own[0],
                _ => own[places[i]],
            };
            Assert.True(allclose(wanted, tensor(vectors[i]), 1e-4, 1e-4), $"row {i}");
        }

        int[][] Rows(string tensorName) =>
            [
                .. lengths.Select(
                    (length, i) =>
                        oracle.Read(tensorName)[i].narrow(0, 0, length).clone().data<long>().ToArray().Select(id => (int)id).ToArray()
                ),
            ];
    }

    [Fact]
    public void TheColumnNamesItsSlotsAfterThePoint()
    {
        EstimatorChain<ColumnCopyingTransformer> pipeline = _ml.SkillLoc()
            .ReadActivations(Checkpoint, Point, TextPooling.Max)
            .Append(_ml.Transforms.CopyColumns("Copy", "Activations"));
        using TransformerChain<ColumnCopyingTransformer> fitted = pipeline.Fit(Toy.Rows(_ml));
        IDataView read = fitted.Transform(Toy.Rows(_ml));
        VBuffer<ReadOnlyMemory<char>> slots = default;
        read.Schema["Activations"].GetSlotNames(ref slots);
        Assert.Equal(96, slots.Length);
        Assert.Equal("blocks.1.mlp.hook_post.17", slots.GetItemOrDefault(17).ToString());
        float[][] vectors = [.. read.GetColumn<float[]>("Copy")];
        Assert.Equal(100, vectors.Length);

        using ReadActivationsTransformer transformer = _ml.SkillLoc()
            .ReadActivations(Checkpoint, Point, TextPooling.Max)
            .Fit(Toy.Rows(_ml));
        Assert.Equal((Point, TextPooling.Max), (transformer.Point.Name, transformer.Pooling));
        using PredictionEngine<Toy.Row, Read> engine = _ml.Model.CreatePredictionEngine<Toy.Row, Read>(transformer);
        Assert.Equal(vectors[7], engine.Predict(new Toy.Row { Text = Toy.Texts[7] }).Activations, (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.Throws<NotSupportedException>(() => _ml.Model.Save(transformer, Toy.Rows(_ml).Schema, Stream.Null));
    }

    /// <summary>A fitted model is read as it scores: with its template, at its mask.</summary>
    [Fact]
    public void AModelIsReadWithItsPromptAndMayBeDisposed()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        float[][] wanted;
        ReadActivationsTransformer transformer;
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            wanted =
            [
                .. Toy
                    .Texts.Take(5)
                    .Select(text =>
                    {
                        using TokenBatch batch = scorer.Classifier.Batch([scorer.Classifier.Encode(text)]);
                        float[] seen = [];
                        var hooks = new ActivationHooks(scorer.Classifier.Backbone);
                        hooks.Add(
                            "blocks.2.mlp.hook_post",
                            (x, _) =>
                            {
                                seen = x.data<float>().ToArray();
                                return null;
                            }
                        );
                        scorer.Classifier.Backbone.EncodeAt(batch, hooks: hooks);
                        return seen;
                    }),
            ];
            transformer = _ml.SkillLoc()
                .ReadActivations(scorer, "blocks.2.mlp.hook_post", TextPooling.ScoredPosition)
                .Fit(Toy.Rows(_ml, 5));
        }

        float[][] read = [.. transformer.Transform(Toy.Rows(_ml, 5)).GetColumn<float[]>("Activations")];
        Assert.All(wanted.Zip(read), pair => Assert.Equal(pair.First, pair.Second, (a, b) => Math.Abs(a - b) < 1e-4));
        transformer.Dispose();
    }

    /// <summary>The slots of a soft prompt are no tokens of the text, wherever they stand.</summary>
    [Theory]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-gpt2")]
    public void ASoftPromptIsNotPooledAsText(string checkpoint)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var classifier = TextClassifier.Create(
            Oracles.PathOf(checkpoint),
            new ClassifierSettings
            {
                Labels = ["no", "yes"],
                Words = checkpoint == "tiny-gpt2" ? [" bad", " good"] : ["bad", "good"],
                AutoregressiveTemplate = checkpoint == "tiny-gpt2" ? "{0}" : null,
                Tuning = new SoftPromptOptions { Size = 5 },
                MaxLength = 40,
            }
        );
        EncodedText[] rows = [.. Toy.Texts.Take(6).Select(text => classifier.Encode(text))];
        int first = checkpoint == "tiny-gpt2" ? 0 : 5;
        foreach (TextPooling pooling in Enum.GetValues<TextPooling>())
        {
            using var reader = new ActivationReader(classifier, Point, pooling);
            float[][] read = reader.Read(rows);
            for (int i = 0; i < rows.Length; i++)
            {
                using TokenBatch batch = classifier.Batch([rows[i]]);
                Tensor? seen = null;
                var hooks = new ActivationHooks(classifier.Backbone);
                hooks.Add(
                    Point,
                    (x, _) =>
                    {
                        seen = x[0].clone().MoveToOtherDisposeScope(scope);
                        return null;
                    }
                );
                classifier.Backbone.Encode(batch, hooks: hooks);
                Tensor text = seen!.narrow(0, first, rows[i].Ids.Length);
                Tensor wanted = pooling switch
                {
                    TextPooling.Mean => text.mean([0]),
                    TextPooling.Max => text.amax(0),
                    TextPooling.FirstToken => text[0],
                    _ => seen![first == 0 ? rows[i].Ids.Length + 4 : 0],
                };
                Assert.True(allclose(wanted, tensor(read[i]), 1e-4, 1e-5), $"{pooling}, row {i}");
            }
        }
    }

    [Fact]
    public void T5sDecoderIsReadAtItsFirstStep()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        string folder = Oracles.PathOf("tiny-t5");
        using var last = new ActivationReader(folder, "decoder_final_ln.hook_normalized", TextPooling.ScoredPosition);
        using var keys = new ActivationReader(folder, "decoder.1.cross_attn.hook_k", TextPooling.Mean);
        using var model = LanguageModel.Load(folder);
        EncodedText[] rows = [last.Encode("a fine film"), last.Encode("bad")];
        float[][] read = last.Read(rows),
            means = keys.Read(rows);
        for (int i = 0; i < rows.Length; i++)
        {
            using var batch = TokenBatch.Create([rows[i]], 0);
            Assert.True(allclose(model.EncodeAt(batch)[0], tensor(read[i]), 1e-4, 1e-5));
            Tensor mapped = model
                .Encode(batch)[0]
                .matmul(model.Parameters["decoder.block.1.layer.1.EncDecAttention.k.weight"].transpose(0, 1));
            Assert.True(allclose(mapped.mean([0]), tensor(means[i]), 1e-4, 1e-5));
        }

        string message = Assert
            .Throws<ArgumentException>(() => new ActivationReader(folder, "decoder.0.mlp.hook_post", TextPooling.Mean))
            .Message;
        Assert.Contains("ScoredPosition", message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsWrongIsSaidWithWhatIsRight()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (TextScoringTransformer scorer = Toy.Scorer())
        {
            SkillLocCatalog catalog = _ml.SkillLoc();
            foreach (
                ReadActivationsEstimator? estimator in new[]
                {
                    catalog.ReadActivations(Checkpoint, "blocks.3.mlp.hook_post"),
                    catalog.ReadActivations(scorer, "blocks.3.mlp.hook_post"),
                }
            )
            {
                string message = Assert.Throws<ArgumentException>(() => estimator.Fit(Toy.Rows(_ml))).Message;
                Assert.Contains("'blocks.3.mlp.hook_post'", message, StringComparison.Ordinal);
                Assert.Contains("blocks.{i}.mlp.hook_post (i from 0 to 2)", message, StringComparison.Ordinal);
            }

            Assert.Throws<ArgumentOutOfRangeException>(() =>
                catalog.ReadActivations(Checkpoint, Point, textColumnName: "Body").Fit(Toy.Rows(_ml))
            );
            foreach (
                ReadActivationsEstimator.Options options in new ReadActivationsEstimator.Options[]
                {
                    new() { Point = Point },
                    new()
                    {
                        Point = Point,
                        Checkpoint = Checkpoint,
                        Model = scorer,
                    },
                    new() { Checkpoint = Checkpoint },
                    new()
                    {
                        Point = Point,
                        Model = scorer,
                        Template = "*cls**sent_0**mask**sep+*",
                    },
                }
            )
            {
                Assert.ThrowsAny<ArgumentException>(() => catalog.ReadActivations(options));
            }
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void SeveralThreadsReadOneTransformerAndNothingIsLeft()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (ReadActivationsTransformer transformer = _ml.SkillLoc().ReadActivations(Checkpoint, Point).Fit(Toy.Rows(_ml)))
        {
            IDataView view = transformer.Transform(Toy.Rows(_ml, 40));
            float[][] alone = [.. view.GetColumn<float[]>("Activations")];
            float[][][] together =
            [
                .. Enumerable
                    .Range(0, 4)
                    .AsParallel()
                    .WithDegreeOfParallelism(4)
                    .Select(_ => view.GetColumn<float[]>("Activations").ToArray()),
            ];
            Assert.All(together, vectors => Assert.Equal(alone, vectors));
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private sealed class Read
    {
        public float[] Activations { get; set; } = [];
    }
}
