using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Transforms.Onnx;

// Arguments: the model, a JSON array of texts, "pair" for a second text. Writes JSON lines.
var ml = new MLContext();
try
{
    ml.SetOnnxSessionOption(
        new OnnxSessionOptions
        {
            CreateSessionOptions = () =>
            {
                var options = new SessionOptions();
                options.RegisterOrtExtensions();
                return options;
            },
        }
    );
}
catch (ArgumentException)
{
    // ML.NET 5.0.1 sets the options, and then throws.
    Console.Error.WriteLine("SetOnnxSessionOption threw");
}

ITransformer model = ml.Model.Load(args[0], out _);
string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllText(args[1]))!;
IDataView rows = ml.Data.LoadFromEnumerable(texts.Select(text => new Row { Text = text, TextPair = "they were early" }));
IDataView scored = model.Transform(rows);
VBuffer<ReadOnlyMemory<char>> names = default;
if (scored.Schema["Score"].HasSlotNames())
{
    scored.Schema["Score"].GetSlotNames(ref names);
}

foreach (DataViewSchema.Column column in scored.Schema)
{
    Console.Error.WriteLine(column);
}

string[][] labels = scored.Schema.GetColumnOrNull("PredictedLabel") is null
    ? [.. texts.Select(_ => Array.Empty<string>())]
    : [.. scored.GetColumn<ReadOnlyMemory<char>[]>("PredictedLabel").Select(row => Array.ConvertAll(row, label => label.ToString()))];
float[][] scores = [.. scored.GetColumn<float[]>("Score")];
Console.WriteLine(JsonSerializer.Serialize(names.DenseValues().Select(name => name.ToString())));
Console.WriteLine(JsonSerializer.Serialize(labels));
Console.WriteLine(JsonSerializer.Serialize(scores));
Console.WriteLine(
    JsonSerializer.Serialize(
        AppDomain
            .CurrentDomain.GetAssemblies()
            .Select(assembly => assembly.GetName().Name)
            .Where(name => name!.StartsWith("SkillLoc", StringComparison.Ordinal))
    )
);

internal sealed class Row
{
    public string Text { get; set; } = "";

    public string TextPair { get; set; } = "";
}
