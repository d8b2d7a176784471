using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx.Tests;

/// <summary>Compares the token ids of a graph with a tokenizer in it with ours.</summary>
internal static class EmbeddedIds
{
    /// <summary>The texts whose ids are others in the graph.</summary>
    /// <param name="path">Where the graph is written.</param>
    /// <param name="settings">The task.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="rows">The texts.</param>
    /// <param name="second">The second text of pairs.</param>
    public static List<string> Differences(
        string path,
        ClassifierSettings settings,
        CheckpointTokenizer tokenizer,
        IReadOnlyList<string> rows,
        string second = OnnxCases.SecondText
    )
    {
        var graph = new OnnxModelBuilder();
        OnnxInputs inputs = new OnnxTextInputs(graph, settings, tokenizer).Add(hasTypes: true);
        foreach ((string output, string value) in new[] { ("ids", inputs.Ids), ("mask", inputs.Mask), ("types", inputs.Types!) })
        {
            graph.AddNamed("Identity", [value], [output]);
            graph.Output(output, OnnxType.Int64, "1", "length");
        }

        using (FileStream file = File.Create(path))
        {
            graph.Write(file);
        }

        using var options = new SessionOptions();
        options.RegisterOrtExtensions();
        using var session = new InferenceSession(path, options);
        ITextEncoder encoder = settings.CreateEncoder(tokenizer);
        var differences = new List<string>();
        foreach (string text in rows)
        {
            EncodedText wanted = encoder.Encode(text, settings.HasTextPair ? second : null);
            List<NamedOnnxValue> texts = [Text("Text", text)];
            if (settings.HasTextPair)
            {
                texts.Add(Text("TextPair", second));
            }

            using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> outputs = session.Run(texts);
            int[] ids = [.. outputs.Single(output => output.Name == "ids").AsEnumerable<long>().Select(id => (int)id)];
            if (!ids.SequenceEqual(wanted.Ids))
            {
                differences.Add(text);
                continue;
            }

            Assert.All(outputs.Single(output => output.Name == "mask").AsEnumerable<long>(), one => Assert.Equal(1, one));
            Assert.Equal(
                wanted.TokenTypes ?? new int[ids.Length],
                outputs.Single(output => output.Name == "types").AsEnumerable<long>().Select(type => (int)type)
            );
        }

        return differences;
    }

    private static NamedOnnxValue Text(string name, string text) =>
        NamedOnnxValue.CreateFromTensor(name, new DenseTensor<string>(new[] { text }, [1, 1]));
}
