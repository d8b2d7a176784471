using System.Text.Json;
using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Onnx;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.Serve;

/// <summary>Trains a skill, so that a service without models has something to show: a classification head on a checkpoint.</summary>
/// <param name="ml">The context.</param>
/// <param name="checkpoint">The checkpoint.</param>
/// <param name="tell">Receives lines on its progress.</param>
public sealed class FirstSkill(MLContext ml, string checkpoint, Action<string> tell)
{
    private const double TestShare = 0.25;
    private const int NumberOfBins = 10;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Trains on three quarters of the rows, measures the calibration on the others, and saves both; the skill twice, for
    /// TorchSharp and for ONNX Runtime.</summary>
    /// <param name="rows">A tab-separated file with a header and the columns label and text, from whose name the skill gets its
    /// own.</param>
    /// <param name="folder">The folder of the skills.</param>
    /// <param name="stop">Ends it; nothing is saved then.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public void Train(string rows, string folder, CancellationToken stop)
    {
        if (!File.Exists(rows))
        {
            throw new FileNotFoundException($"There is no file '{Path.GetFullPath(rows)}' to train a skill on.");
        }

        IDataView all = ml.Data.LoadFromTextFile(
            rows,
            [new("Label", Microsoft.ML.Data.DataKind.String, 0), new("Text", Microsoft.ML.Data.DataKind.String, 1)],
            hasHeader: true
        );
        IDataView keyed = ml.Transforms.Conversion.MapValueToKey("Label").Fit(all).Transform(all);
        DataOperationsCatalog.TrainTestData parts = ml.Data.TrainTestSplit(keyed, TestShare, seed: 1);
        using TextScoringTransformer tuned = ml.SkillLoc()
            .PromptFineTune(
                new PromptFineTuneTrainer.Options
                {
                    Checkpoint = checkpoint,
                    Head = HeadKind.SequenceClassification,
                    Optimizer = OptimizerKind.AdamW,
                    LearningRate = 1e-4,
                    Epochs = 2,
                    Seed = 1,
                    Progress = new Lines(tell),
                    CancellationToken = stop,
                }
            )
            .Fit(parts.TrainSet);
        stop.ThrowIfCancellationRequested();
        CalibrationMetrics quality = ml.SkillLoc().EvaluateCalibration(tuned.Transform(parts.TestSet), numberOfBins: NumberOfBins);
        tell(
            $"Right in {quality.Accuracy:P1} of {quality.Count} test rows; expected calibration error {quality.ExpectedCalibrationError:P1}."
        );
        string name = Path.GetFileNameWithoutExtension(rows);
        string onnx = name + "-onnx",
            calibration = JsonSerializer.Serialize(Calibration.Of(quality), Json);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Join(folder, name + Calibration.FileSuffix), calibration);
        File.WriteAllText(Path.Join(folder, onnx + Calibration.FileSuffix), calibration);
        tuned.SaveCheckpoint(Path.Join(folder, name));
        tuned.Classifier.SaveOnnx(Path.Join(folder, onnx + ".onnx"));
    }

    private sealed class Lines(Action<string> tell) : IProgress<TrainingProgress>
    {
        private const int Interval = 20;

        public void Report(TrainingProgress value)
        {
            if (value.Step % Interval == 0)
            {
                tell($"Update {value.Step} of {value.Steps}.");
            }
        }
    }
}
