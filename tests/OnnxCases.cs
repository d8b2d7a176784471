using SkillLoc.Models.Classification;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Tests;

/// <summary>Small classifiers of every architecture that is exported to ONNX.</summary>
internal static class OnnxCases
{
    /// <summary>The second text of pairs.</summary>
    public const string SecondText = "they were early";

    private const int Longest = 40;

    public static readonly ClassifierSettings Mask = new()
    {
        Head = HeadKind.LabelWords,
        Labels = ["no", "yes"],
        Words = ["bad", "good"],
        Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        MaxLength = Longest,
    };

    public static readonly ClassifierSettings Causal = Mask with
    {
        Template = null,
        AutoregressiveTemplate = "{0} It was",
        Words = [" bad", " good"],
    };

    private static readonly ClassifierSettings Written = new()
    {
        Head = HeadKind.Generation,
        TextToText = new("toy", TextMetric.Accuracy),
        Labels = ["entailment", "neutral", "a contradiction"],
        MaxLength = Longest,
    };

    private static readonly Dictionary<string, (string Checkpoint, ClassifierSettings Settings)> Cases = new(StringComparer.Ordinal)
    {
        ["BERT, label words"] = ("tiny-bert", Mask),
        ["BERT, mask first"] = ("tiny-bert", Mask with { Template = "*cls**mask*:*+sent_0**sep+*" }),
        ["BERT, two texts"] = ("tiny-bert", Mask with { Template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*", HasTextPair = true }),
        ["BERT, classifier"] = ("tiny-bert", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["BERT, mask linear"] = ("tiny-bert", Mask with { Head = HeadKind.MaskTokenLinear, Words = null }),
        ["BERT, regression"] = ("tiny-bert", Mask with { ScoreRange = new(0, 5) }),
        ["BERT, soft prompt"] = (
            "tiny-bert",
            Mask with
            {
                Template = null,
                Tuning = new SoftPromptOptions { Size = 5 },
            }
        ),
        ["RoBERTa, label words"] = ("tiny-roberta", Mask),
        ["RoBERTa, classifier"] = ("tiny-roberta", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["RoBERTa, several labels"] = (
            "tiny-roberta",
            Mask with
            {
                Head = HeadKind.FirstTokenLinear,
                Template = null,
                Words = null,
                Thresholds = [0.5f, 0.5f],
            }
        ),
        ["RoBERTa, LoRA"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new LoraOptions { Rank = 2, Bias = true },
            }
        ),
        ["RoBERTa, adapters"] = ("tiny-roberta", Mask with { Tuning = new AdapterOptions { BottleneckSize = 4 } }),
        ["RoBERTa, Houlsby"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new AdapterOptions { BottleneckSize = 4, Placement = AdapterPlacement.Houlsby },
            }
        ),
        ["RoBERTa, prefix"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new PrefixOptions { Length = 3, ProjectionSize = 8 },
            }
        ),
        ["RoBERTa, soft prompt"] = (
            "tiny-roberta",
            Mask with
            {
                Template = null,
                Tuning = new SoftPromptOptions { Size = 5 },
            }
        ),
        ["GPT-2, first tokens"] = ("tiny-gpt2", Causal),
        ["GPT-2, whole options"] = (
            "tiny-gpt2",
            Causal with
            {
                Words = [" not good", " so very bad"],
                OptionScoring = OptionScoring.WholeOption,
            }
        ),
        ["GPT-2, classifier"] = (
            "tiny-gpt2",
            Causal with
            {
                Head = HeadKind.SequenceClassification,
                AutoregressiveTemplate = null,
                Words = null,
            }
        ),
        ["GPT-2, prefix"] = (
            "tiny-gpt2",
            Causal with
            {
                Tuning = new PrefixOptions { Length = 3, ProjectionSize = null },
            }
        ),
        ["DistilBERT, label words"] = ("tiny-distilbert", Mask),
        ["DistilBERT, classifier"] = (
            "tiny-distilbert",
            Mask with
            {
                Head = HeadKind.SequenceClassification,
                Template = null,
                Words = null,
            }
        ),
        ["ELECTRA, classifier"] = ("tiny-electra", Mask with { Head = HeadKind.SequenceClassification, Template = null, Words = null }),
        ["MPNet, label words"] = ("tiny-mpnet", Mask),
        ["XLM-RoBERTa, classifier"] = (
            "tiny-xlm-roberta",
            Mask with
            {
                Head = HeadKind.SequenceClassification,
                Template = null,
                Words = null,
            }
        ),
        ["XLM-RoBERTa, label words"] = ("tiny-xlm-roberta", Mask with { Words = ["film", "good"] }),
        ["XLM-RoBERTa, two texts"] = (
            "tiny-xlm-roberta",
            Mask with
            {
                Words = ["film", "good"],
                Template = "*cls**sent_0*?*mask*,*+sent_1**sep+*",
                HasTextPair = true,
            }
        ),
        ["CamemBERT, label words"] = ("tiny-camembert", Mask with { Words = ["film", "good"] }),
        ["T5, answers"] = ("tiny-t5", Written),
        ["T5 1.1, answers"] = ("tiny-t5-v11", Written),
        ["T5, LoRA"] = ("tiny-t5", Written with { Tuning = new LoraOptions { Rank = 2 } }),
        ["T5, LoRA with biases"] = (
            "tiny-t5",
            Written with
            {
                Tuning = new LoraOptions { Rank = 2, Bias = true },
            }
        ),
        ["T5 1.1, low-rank biases"] = (
            "tiny-t5-v11",
            Written with
            {
                Tuning = new LowRankBiasOptions { Rank = 2, ShareR = true },
            }
        ),
        ["T5, soft prompt"] = ("tiny-t5", Written with { Tuning = new SoftPromptOptions { Size = 4 } }),
        ["T5, prefix"] = (
            "tiny-t5",
            Written with
            {
                Tuning = new PrefixOptions { Length = 3, ProjectionSize = 8 },
            }
        ),
        ["T5 1.1, adapters"] = ("tiny-t5-v11", Written with { Tuning = new AdapterOptions { BottleneckSize = 4 } }),
        ["T5, Houlsby"] = (
            "tiny-t5",
            Written with
            {
                Tuning = new AdapterOptions { BottleneckSize = 4, Placement = AdapterPlacement.Houlsby },
            }
        ),
        ["BERT, LoRA with tanh"] = (
            "tiny-bert",
            Mask with
            {
                Tuning = new LoraOptions { Rank = 2, Mlp = true },
            }
        ),
        ["RoBERTa, low-rank biases with tanh"] = (
            "tiny-roberta",
            Mask with
            {
                Tuning = new LowRankBiasOptions { Rank = 2, Mlp = true },
            }
        ),
        ["GPT-2, adapters"] = ("tiny-gpt2", Causal with { Tuning = new AdapterOptions { BottleneckSize = 4 } }),
    };

    /// <summary>The classifiers' names.</summary>
    public static IEnumerable<string> Names => Cases.Keys;

    /// <summary>Texts of every length up to the limit.</summary>
    public static IReadOnlyList<string> Texts { get; } =
    [.. Enumerable.Range(0, 30).Select(length => string.Join(' ', Enumerable.Range(0, length).Select(i => Word((i * 7) + length))))];

    /// <summary>What a tuning method adds is moved, so that leaving it out would show.</summary>
    public static TextClassifier Create(string name)
    {
        (string checkpoint, ClassifierSettings settings) = Cases[name];
        var classifier = TextClassifier.Create(Oracles.PathOf(checkpoint), settings);
        using IDisposable inference = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(7);
        foreach (Parameter parameter in classifier.TunedParameters.Values)
        {
            parameter.add_(randn(parameter.shape, generator: generator).mul_(0.2));
        }

        return classifier;
    }

    private static string Word(int place)
    {
        string[] words = ["a", "film", "that", "nobody", "needs", "Grüße", "1,000", "it", "was", "…", "good"];
        return words[place % words.Length];
    }
}
