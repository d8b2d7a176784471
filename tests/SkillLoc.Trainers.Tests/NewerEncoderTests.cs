using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using SkillLoc.Transforms;

namespace SkillLoc.Trainers.Tests;

/// <summary>DistilBERT, ELECTRA, XLM-RoBERTa, CamemBERT and MPNet from fine-tuning to a folder that Python reads, and to a graft.</summary>
public sealed class NewerEncoderTests : IDisposable
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    // Words that are one token in each of the vocabularies.
    private static PromptTask Task { get; } =
        new("toy", PromptTemplate.Parse("*cls**sent_0*_It_was*mask*.*sep+*"), new Verbalizer([new("neg", "no"), new("pos", "good")]));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("distilbert", HeadKind.LabelWords, "DistilBertForMaskedLM")]
    [InlineData("electra-discriminator", HeadKind.SequenceClassification, "ElectraForSequenceClassification")]
    [InlineData("xlm-roberta", HeadKind.LabelWords, "XLMRobertaForMaskedLM")]
    [InlineData("camembert", HeadKind.SequenceClassification, "CamembertForSequenceClassification")]
    [InlineData("mpnet", HeadKind.LabelWords, "MPNetForMaskedLM")]
    public void ATunedFolderIsReadBack(string name, HeadKind head, string architecture)
    {
        string saved = Path.Join(_folder, "saved");
        using TextScoringTransformer model = Fit(
            name,
            options =>
            {
                options.Head = head;
                options.Task = head == HeadKind.LabelWords ? Task : null;
                options.OutputFolder = saved;
            }
        );
        IDataView test = Toy.View(_ml, Toy.Examples(40, seed: 9));
        Assert.InRange(_ml.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy, 0.85, 1);

        using var read = TextClassifier.Load(saved);
        Assert.Equal([architecture], read.Backbone.Config.Architectures);
        EncodedText row = read.Encode("the film was");
        Assert.Equal(model.Classifier.Encode("the film was").Ids, row.Ids);
        Assert.Equal(model.Classifier.Score([row])[0], read.Score([row])[0]);

        // What lies beside the weights is the tokenizer that was there.
        string[] before = Files(Oracles.PathOf("tiny-" + name), "tokenizer.json", "tokenizer_config.json");
        Assert.Equal(before, Files(saved, "tokenizer.json", "tokenizer_config.json"));
    }

    [Fact]
    public void AGraftOfMpnetIsFewParameters()
    {
        string saved = Path.Join(_folder, "tuned");
        using TextScoringTransformer tuned = Fit("mpnet", options => options.OutputFolder = saved);
        IDataView data = Toy.View(_ml, Toy.Examples(48));
        using GraftTransformer graft = _ml.SkillLoc().GraftMask(tuned, sparsity: 0.05).Fit(data);
        Assert.InRange(_ml.MulticlassClassification.Evaluate(graft.Transform(data)).MicroAccuracy, 0.6, 1);
        Assert.All(
            graft.Graft.Parts.Select(part => part.Name),
            parameter => Assert.Equal(ParameterRegion.Layer, ParameterPlace.Of(parameter).Region)
        );
    }

    [Fact]
    public void ASoftPromptOfElectraIsAsWideAsItsEmbeddings()
    {
        using TextScoringTransformer model = Fit(
            "electra",
            options =>
            {
                options.Tuning = new SoftPromptOptions { Size = 4 };
                options.Epochs = 1;
            }
        );
        Assert.Equal([1, 3, 24], model.Classifier.Backbone.PeftModule!.Parameters["prompt"].shape);
    }

    private static string[] Files(string folder, params string[] names) =>
        [.. names.Select(name => File.ReadAllText(Path.Join(folder, name)))];

    private TextScoringTransformer Fit(string name, Action<PromptFineTuneTrainer.Options> change)
    {
        PromptFineTuneTrainer.Options options = Toy.Options(options =>
        {
            options.Checkpoint = Oracles.PathOf("tiny-" + name);
            options.Task = Task;
            options.LearningRate = 6e-3;
            options.Epochs = 5;
        });
        change(options);
        return _ml.SkillLoc().PromptFineTune(options).Fit(Toy.View(_ml, Toy.Examples(96)));
    }
}
