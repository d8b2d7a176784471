// Predict MODEL.zip [TEXT ...]: scores texts (or the lines of standard input) with a model that ML.NET saved.
// Nothing here knows of SkillLoc: it is what any ML.NET program does.
using Microsoft.ML;
using Microsoft.ML.Data;

if (args.Length == 0)
{
    Console.Error.WriteLine("usage: Predict MODEL.zip [TEXT ...]");
    return 2;
}

var ml = new MLContext();
try
{
    ITransformer model = ml.Model.Load(args[0], out _);
    using PredictionEngine<Input, Output> engine = ml.Model.CreatePredictionEngine<Input, Output>(model);
    foreach (string text in args.Length > 1 ? args[1..] : Lines())
    {
        Output output = engine.Predict(new Input { Text = text });
        Console.WriteLine($"{output.PredictedLabel}\t{string.Join(' ', output.Score.Select(score => score.ToString("F6")))}\t{text}");
    }

    return 0;
}
catch (Exception error) when (error is IOException or InvalidDataException or InvalidOperationException or DllNotFoundException)
{
    Console.Error.WriteLine(error.GetBaseException().Message);
    return 1;
}

static IEnumerable<string> Lines()
{
    while (Console.ReadLine() is { } line)
    {
        yield return line;
    }
}

internal sealed class Input
{
    /// <summary>Unknown when predicting; the saved pipeline may still ask for the column.</summary>
    public string Label { get; set; } = "";

    public string Text { get; set; } = "";
}

internal sealed class Output
{
    [ColumnName("PredictedLabel")]
    public string PredictedLabel { get; set; } = "";

    public float[] Score { get; set; } = [];
}
