// Nothing but the packages: loads what Train saved, scores the rows one by one.
using Microsoft.ML;

var ml = new MLContext();
ITransformer model = ml.Model.Load("sst-2.zip", out _);
using var engine = ml.Model.CreatePredictionEngine<Review, Prediction>(model);
IDataView test = ml.Data.LoadFromTextFile<Review>("test.tsv", hasHeader: true);
File.WriteAllLines(
    "loaded.tsv",
    ml.Data.CreateEnumerable<Review>(test, reuseRowObject: false)
        .Select(review => string.Join('\t', engine.Predict(new Review { Text = review.Text }).Score))
);

internal sealed class Prediction
{
    public float[] Score { get; set; } = [];
}
