using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx.Tests;

/// <summary>The prompts of a sentence-transformers folder stand before texts, on both runtimes and in what is saved.</summary>
public sealed class PromptTests : IDisposable
{
    private const string Query = "a film that: ",
        Document = "it was ";

    private static readonly string[] Texts = ["nobody needs", "", "good", "they were early and it was a very long film that nobody needs"];

    private readonly DirectoryInfo _temporary = Directory.CreateTempSubdirectory("skillloc-onnx-");

    private string Folder => Path.Combine(_temporary.FullName, "sentence");

    private string Model => Path.Combine(_temporary.FullName, "model.onnx");

    public void Dispose() => _temporary.Delete(recursive: true);

    [Theory]
    [InlineData("tiny-bert")]
    [InlineData("tiny-roberta")]
    [InlineData("tiny-xlm-roberta")]
    public void TheNamedPromptIsBeforeTexts(string checkpoint)
    {
        Write(checkpoint, """{"pooling_mode": "mean"}""");
        using var plain = new TextEmbedder(Folder, promptName: "");
        using var byDefault = new TextEmbedder(Folder);
        using var named = new TextEmbedder(Folder, promptName: "document");
        using var empty = new TextEmbedder(Folder, promptName: "nothing");
        Assert.Equal([null, Query, Document, null], new[] { plain, byDefault, named, empty }.Select(embedder => embedder.Prompt));
        foreach (TextEmbedder embedder in new[] { byDefault, named, empty })
        {
            EncodedText[] expected = [.. Texts.Select(text => plain.Encode(embedder.Prompt + text))];
            Assert.Equal(expected.Select(row => row.Ids), Texts.Select(text => embedder.Encode(text).Ids));
            Assert.Equal(plain.Embed(expected), embedder.Embed([.. Texts.Select(text => embedder.Encode(text))]));
        }

        // Before the first text of a pair only, as sentence-transformers has it.
        Assert.Equal(plain.Encode(Query + "good", "film").Ids, byDefault.Encode("good", "film").Ids);
    }

    [Theory]
    [InlineData("tiny-bert", "mean")]
    [InlineData("tiny-bert", "max")]
    [InlineData("tiny-bert", "cls")]
    [InlineData("tiny-roberta", "mean")]
    [InlineData("tiny-xlm-roberta", "max")]
    public void ThePromptIsNotPooledWhereTheFolderSaysSo(string checkpoint, string mode)
    {
        Write(checkpoint, $$"""{"pooling_mode": "{{mode}}", "include_prompt": false}""");
        using var plain = new TextEmbedder(Folder, promptName: "");
        using var embedder = new TextEmbedder(Folder);
        plain.SaveOnnx(Model);
        int skipped = mode == "cls" ? 0 : plain.Encode(Query).Ids.Length - 1;
        Assert.True(mode == "cls" || skipped > 3);
        using (var session = new InferenceSession(Model))
        {
            float[][] expected = [.. Texts.Select(text => Pooled(session, plain.Encode(Query + text).Ids, skipped, mode))];
            Close(expected, embedder.Embed([.. Texts.Select(text => embedder.Encode(text))]));

            // Without a prompt the first token is pooled.
            Close([Pooled(session, plain.Encode("good").Ids, 0, mode)], plain.Embed([plain.Encode("good")]));
        }

        embedder.SaveOnnx(Model);
        using var onnx = OnnxTextEmbedder.Load(Model);
        Assert.Equal(Query, onnx.Prompt);
        Close(embedder.Embed([.. Texts.Select(text => embedder.Encode(text))]), onnx.Embed(Texts));
    }

    [Fact]
    public void ARowOfNothingButThePromptIsZero()
    {
        // Without a token at the end of rows, an empty text leaves nothing to pool.
        Write("tiny-gpt2", """{"pooling_mode": "mean", "include_prompt": false}""");
        using var embedder = new TextEmbedder(Folder);
        Assert.All(embedder.Embed([embedder.Encode("")])[0], value => Assert.Equal(0, value));
        Assert.Contains(embedder.Embed([embedder.Encode(Texts[0])])[0], value => value != 0);
        embedder.SaveOnnx(Model);
        using var onnx = OnnxTextEmbedder.Load(Model);
        Close(embedder.Embed([.. Texts.Select(text => embedder.Encode(text))]), onnx.Embed(Texts));
    }

    [Fact]
    public void FoldersAndModelsKeepThePrompts()
    {
        Write("tiny-bert", """{"pooling_mode": "mean", "include_prompt": false}""");
        using var embedder = new TextEmbedder(Folder, promptName: "document");
        float[][] expected = embedder.Embed([.. Texts.Select(text => embedder.Encode(text))]);
        string written = Path.Combine(_temporary.FullName, "written"),
            imported = Path.Combine(_temporary.FullName, "imported");
        embedder.SaveOnnxFolder(written);
        OnnxCheckpoint.Import(written, imported);
        using var again = new TextEmbedder(imported);
        using var other = new TextEmbedder(imported, promptName: "query");
        Assert.Equal((Document, Query), (again.Prompt, other.Prompt));
        Close(expected, again.Embed([.. Texts.Select(text => again.Encode(text))]));

        // An embedder without prompts leaves none of another's in its folder.
        using var plain = new TextEmbedder(Oracles.PathOf("tiny-bert"));
        plain.SaveOnnxFolder(written);
        Assert.DoesNotContain(
            "query",
            File.ReadAllText(Path.Combine(written, "config_sentence_transformers.json")),
            StringComparison.Ordinal
        );

        var ml = new MLContext(seed: 1);
        IDataView rows = ml.Data.LoadFromEnumerable(Texts.Select(text => new Row { Text = text }));
        var options = new EmbedTextEstimator.Options { Checkpoint = Folder, PromptName = "document" };
        using EmbedTextTransformer torch = ml.SkillLoc().EmbedText(options).Fit(rows);
        Close(expected, Features(torch.Transform(rows)));
        embedder.SaveOnnx(Model);
        using OnnxEmbeddingTransformer onnx = ml.SkillLoc().LoadOnnxEmbedder(Model);
        Close(expected, Features(onnx.Transform(rows)));
        string zip = Path.Combine(_temporary.FullName, "model.zip");
        ml.Model.Save(onnx, rows.Schema, zip);
        ITransformer loaded = ml.Model.Load(zip, out _);
        Close(expected, Features(loaded.Transform(rows)));
        (loaded as IDisposable)?.Dispose();
    }

    [Fact]
    public void OtherNamesAreRefused()
    {
        Write("tiny-bert", """{"pooling_mode": "mean"}""");
        string message = Assert.Throws<ArgumentException>(() => new TextEmbedder(Folder, promptName: "passage")).Message;
        Assert.Contains("'passage'", message, StringComparison.Ordinal);
        Assert.Contains("'query', 'document', 'nothing'", message, StringComparison.Ordinal);
        Assert.Contains(
            "modules.json",
            Assert.Throws<ArgumentException>(() => new TextEmbedder(Folder, layer: 1, promptName: "query")).Message,
            StringComparison.Ordinal
        );
        File.Delete(Path.Combine(Folder, "config_sentence_transformers.json"));
        using var none = new TextEmbedder(Folder);
        Assert.Null(none.Prompt);
        message = Assert.Throws<ArgumentException>(() => new TextEmbedder(Folder, promptName: "query")).Message;
        Assert.Contains("the folder has none", message, StringComparison.Ordinal);
    }

    private static float[] Pooled(InferenceSession session, int[] ids, int skipped, string mode)
    {
        var inputs = new List<NamedOnnxValue>
        {
            Input("input_ids", id => ids[id]),
            Input("attention_mask", _ => 1),
            Input("token_type_ids", _ => 0),
        };
        inputs.RemoveAll(input => !session.InputMetadata.ContainsKey(input.Name));
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> outputs = session.Run(inputs);
        Tensor<float> hidden = outputs.Single(output => output.Name == "last_hidden_state").AsTensor<float>();
        float[] vector = new float[hidden.Dimensions[2]];
        for (int i = 0; i < vector.Length; i++)
        {
            float[] tokens = [.. Enumerable.Range(skipped, ids.Length - skipped).Select(place => hidden[0, place, i])];
            vector[i] =
                mode == "max" ? tokens.Max()
                : mode == "cls" ? tokens[0]
                : tokens.Average();
        }

        return vector;

        NamedOnnxValue Input(string name, Func<int, long> value) =>
            NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<long>(Enumerable.Range(0, ids.Length).Select(value).ToArray(), [1, ids.Length])
            );
    }

    private static float[][] Features(IDataView rows) => [.. rows.GetColumn<float[]>("Features")];

    private static void Close(float[][] expected, float[][] found)
    {
        Assert.Equal(expected.Length, found.Length);
        Assert.All(
            expected.Zip(found),
            pair => Assert.All(pair.First.Zip(pair.Second), value => Assert.Equal(value.First, value.Second, 1e-5f))
        );
    }

    private void Write(string checkpoint, string pooling)
    {
        Directory.CreateDirectory(Path.Combine(Folder, "1_Pooling"));
        foreach (string file in Directory.EnumerateFiles(Oracles.PathOf(checkpoint)))
        {
            File.Copy(file, Path.Combine(Folder, Path.GetFileName(file)));
        }

        File.WriteAllText(
            Path.Combine(Folder, "modules.json"),
            """[{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}]"""
        );
        File.WriteAllText(Path.Combine(Folder, "1_Pooling", "config.json"), pooling);
        File.WriteAllText(
            Path.Combine(Folder, "config_sentence_transformers.json"),
            $$"""
            {"__version__": {"pytorch": "2.10"}, "prompts": {"query": "{{Query}}", "document": "{{Document}}", "nothing": ""},
             "default_prompt_name": "query", "similarity_fn_name": "cosine"}
            """
        );
    }

    private sealed class Row
    {
        public string Text { get; set; } = "";
    }
}
