using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;
using Microsoft.ML.Transforms.Text;
using SkillLoc.Demo;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.NeuronFeatures;

/// <summary>
/// Gives ML.NET's tree trainers the neurons of a pre-trained model that predict the label, as many neurons drawn at random, and the words
/// of the text. Nothing of the language model is trained.
/// </summary>
public sealed class TreesOnNeurons(MLContext ml, DemoData data)
{
    private const string Features = "Features";

    /// <summary>The most frequent words of the whole text.</summary>
    private static readonly TextFeaturizingEstimator.Options Words = new()
    {
        WordFeatureExtractor = new WordBagEstimator.Options { NgramLength = 1, MaximumNgramsCount = [5000] },
        CharFeatureExtractor = null,
    };

    /// <param name="checkpoint">A Hugging Face checkpoint folder.</param>
    /// <param name="fraction">The share of each layer's neurons that become features.</param>
    /// <param name="maxLength">The longest row in tokens.</param>
    /// <returns>The measures, a row for each kind of features, trainer and test set.</returns>
    public IReadOnlyList<FeatureResult> Run(string checkpoint, double fraction, int maxLength)
    {
        ValueToKeyMappingTransformer keys = ml.Transforms.Conversion.MapValueToKey("Label").Fit(data.Train);
        IDataView train = keys.Transform(data.Train);

        // The head is there for the labels' sake alone: no epochs, no training.
        using TextScoringTransformer model = ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint,
                    Head = HeadKind.SequenceClassification,
                    Epochs = 0,
                    MaxLength = maxLength,
                }
            )
            .Fit(train);
        using SkillNeuronProbeTransformer skill = ml.SkillLoc()
            .ProbeSkillNeurons(
                model,
                NeuronProbeKind.TextMean,
                fraction,
                outputColumnName: Features,
                validationSet: keys.Transform(data.Validation)
            )
            .Fit(train);
        using var random = new SkillNeuronProbeTransformer(model, skill.Result, skill.Neurons.RandomControl(seed: 1), Features);
        return
        [
            .. Measure("skill neurons", skill),
            .. Measure("random neurons", random),
            .. Measure("words", ml.Transforms.Text.FeaturizeText(Features, Words, "Text").Fit(train)),
        ];

        IEnumerable<FeatureResult> Measure(string name, ITransformer features)
        {
            // The language model reads each row once, for both trainers.
            IDataView learnt = Read(features, train);
            (string Name, IDataView Rows)[] tests = [.. data.Tests.Select(test => (test.Name, Read(features, keys.Transform(test.Rows))))];
            int count = ((VectorDataViewType)learnt.Schema[Features].Type).Size;
            foreach ((string trainer, IEstimator<ITransformer> estimator) in Trainers())
            {
                ITransformer trees = estimator.Fit(learnt);
                foreach ((string test, IDataView rows) in tests)
                {
                    IDataView scored = ml.Data.Cache(trees.Transform(rows), "Label", "Score", "PredictedLabel");
                    yield return new(
                        name,
                        count,
                        trainer,
                        test,
                        ml.MulticlassClassification.Evaluate(scored).MicroAccuracy,
                        ml.SkillLoc().EvaluateCalibration(scored).ExpectedCalibrationError
                    );
                }
            }
        }
    }

    private IDataView Read(ITransformer features, IDataView rows) => ml.Data.Cache(features.Transform(rows), "Label", Features);

    private IEnumerable<(string Name, IEstimator<ITransformer> Estimator)> Trainers() =>
        [
            (
                "FastTree",
                ml.MulticlassClassification.Trainers.OneVersusAll(ml.BinaryClassification.Trainers.FastTree(featureColumnName: Features))
            ),
            ("LightGBM", ml.MulticlassClassification.Trainers.LightGbm(featureColumnName: Features)),
        ];
}
