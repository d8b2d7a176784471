using Microsoft.ML;
using SkillLoc;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

// `fine-tuning|masks|curves FOLDER CHECKPOINT` says "ready" when the training begins that has its state in FOLDER/state, and writes
// FOLDER/result.
(string what, string folder, string checkpoint) = (args[0], args[1], args[2]);
var ml = new MLContext();
string state = Path.Join(folder, "state"),
    result = Path.Join(folder, "result");
string[] fillers = ["the", "was", "and", "it"];
LabeledText[] rows =
[
    .. Enumerable
        .Range(0, 32)
        .Select(i => new LabeledText(
            $"{fillers[i % 4]} {(i % 2 == 1 ? "film" : "man")} {fillers[i / 4 % 4]}",
            null,
            i % 2 == 1 ? "good" : "bad",
            i
        )),
];
IDataView data = ml.SkillLoc().Data.LoadRows(rows);
data = ml.Data.Cache(ml.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data));
var options = new PromptFineTuneTrainer.Options
{
    Checkpoint = checkpoint,
    Task = new PromptTask(
        "toy",
        PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"),
        new Verbalizer([new("bad", "bad"), new("good", "good")])
    ),
    Optimizer = OptimizerKind.AdamW,
    LearningRate = 2e-3,
    BatchSize = 4,
    MaxSteps = what == "fine-tuning" ? 120 : 6,
    ValidationSet = data,
    EvaluationInterval = 30,
    Seed = 1,
};
switch (what)
{
    case "fine-tuning":
        options.StateFile = state;
        options.StateInterval = 2;
        Begin();
        using (TextScoringTransformer model = ml.SkillLoc().PromptFineTune(options).Fit(data))
        {
            model.SaveCheckpoint(result);
        }

        break;
    case "masks":
        using (TextScoringTransformer tuned = ml.SkillLoc().PromptFineTune(options).Fit(data))
        {
            var masks = new GraftMaskEstimator.Options
            {
                FineTuned = tuned,
                BaseCheckpoint = checkpoint,
                ValidationSet = data,
                Epochs = 40,
                LearningRate = 1e9,
                MaxBatchesPerEpoch = 2,
                Seed = 1,
                StateFolder = state,
            };
            Begin();
            using GraftTransformer grafted = ml.SkillLoc().GraftMask(masks).Fit(data);
            grafted.Graft.Save(result);
        }

        break;
    default:
        options.Tuning = new LoraOptions { Rank = 2 };
        using (TextScoringTransformer first = ml.SkillLoc().PromptFineTune(options).Fit(data))
        {
            options.Seed = 2;
            using TextScoringTransformer second = ml.SkillLoc().PromptFineTune(options).Fit(data);
            var curve = new CurveTrainer.Options
            {
                First = first,
                Second = second,
                MaxSteps = 100,
                BatchSize = 4,
                ValidationSet = data,
                EvaluationInterval = 25,
                Seed = 1,
                StateFile = state,
                StateInterval = 2,
            };
            Begin();
            using ParameterPath found = ml.SkillLoc().Connectivity.FindCurve(curve).Train(data);
            found.Save(result);
        }

        break;
}

void Begin() => Console.WriteLine("ready");
