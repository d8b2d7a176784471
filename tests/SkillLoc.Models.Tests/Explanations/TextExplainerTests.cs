using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Explanations;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Explanations;

/// <summary>Attributions sum to what they explain, and agree with finite differences along the path.</summary>
public sealed class TextExplainerTests
{
    private const string Text = "the movie was bad, and nobody liked it";
    private const string Query = "roberta.encoder.layer.1.attention.self.query.weight";
    private const string Up = "roberta.encoder.layer.2.intermediate.dense.bias";

    private static readonly string[] Texts = [Text, "bad", "a good film that nobody needs, and a long one at that, by any measure"];

    public static TheoryData<string> Kinds =>
        ["bert", "roberta", "roberta-prompt", "gpt2", "gpt2-options", "gpt2-head", "t5", "soft", "multi"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void ScoresSumToTheDifferenceOfTheLogits(string kind)
    {
        using TextClassifier classifier = Classifier(kind);
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var explainer = new TextExplainer(classifier))
        {
            TextExplanation[] all = [.. Texts.Select(text => explainer.Explain(text))];
            Assert.All(
                all,
                row =>
                {
                    double difference = row.Logit - row.BaselineLogit;
                    Assert.True(Math.Abs(difference) > 1e-4, $"{kind}: {difference}");

                    // Where T5's ReLU bends, the integral is not smooth.
                    double share = kind == "t5" ? 0.02 : 0.002;
                    Assert.Equal(difference, row.Tokens.Sum(token => token.Score), Math.Max(share * Math.Abs(difference), 2e-4));
                    Assert.Equal(row.Tokens.Sum(token => token.Score) - difference, row.ConvergenceDelta, 1e-9);
                    Assert.Equal(Math.Log(row.Probability / (1 - row.Probability)), row.Logit, 1e-3);
                }
            );

            // Rows of a batch are explained as alone.
            TextExplanation[] together = explainer.Explain([.. Texts.Select(text => explainer.Encode(text))], Texts, null);
            Assert.All(
                all.Zip(together),
                pair =>
                {
                    Assert.Equal(pair.First.Label, pair.Second.Label);
                    Assert.Equal(
                        pair.First.Tokens.Select(token => token.Score),
                        pair.Second.Tokens.Select(token => token.Score),
                        (a, b) => Math.Abs(a - b) < 1e-4
                    );
                }
            );
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>A token's score is the integral of the slope along its own embedding, measured without gradients.</summary>
    [Theory]
    [InlineData("bert")]
    [InlineData("roberta-prompt")]
    [InlineData("gpt2")]
    public void ScoresAgreeWithFiniteDifferences(string kind)
    {
        using TextClassifier classifier = Classifier(kind);
        using var explainer = new TextExplainer(classifier, new() { Label = "neg", Baseline = AttributionBaseline.Zero });
        TextExplanation row = explainer.Explain(Text);
        EncodedText encoded = explainer.Encode(Text);
        int[] places = [.. Enumerable.Range(0, encoded.Ids.Length).Where(i => encoded.Spans![i] is not null)];
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        foreach (int token in (int[])[3, places.Length - 1])
        {
            double integral = Simpson(place => Slope(place, places[token]), 20);
            Assert.Equal(integral, row.Tokens[token].Score, 0.02 * Math.Max(Math.Abs(integral), 0.05));
        }

        double Slope(double place, int token)
        {
            const double Step = 0.02;
            return (Output(place, token, Step) - Output(place, token, -Step)) / (2 * Step);
        }

        double Output(double place, int token, double step)
        {
            using IDisposable hook = classifier.Backbone.Hooks.Add(
                classifier.Backbone.HookPoints[0].Name,
                (embedded, _) =>
                {
                    Tensor moved = embedded.clone();
                    foreach (int each in places)
                    {
                        moved.select(1, each).mul_(place + (each == token ? step : 0));
                    }

                    return moved;
                }
            );
            return LogOdds(classifier, encoded, 0);
        }
    }

    [Fact]
    public void OcclusionIsTheFallWithoutTheToken()
    {
        using TextClassifier classifier = Classifier("bert");
        using var explainer = new TextExplainer(
            classifier,
            new()
            {
                Method = AttributionMethod.Occlusion,
                Baseline = AttributionBaseline.Mask,
                Label = "pos",
            }
        );
        foreach (string text in Texts)
        {
            TextExplanation row = explainer.Explain(text);
            EncodedText encoded = explainer.Encode(text);
            Assert.True(double.IsNaN(row.ConvergenceDelta));
            double whole = LogOdds(classifier, encoded, 2);
            Assert.Equal(whole, row.Logit, 1e-4);
            for (int token = 0, place = 0; place < encoded.Ids.Length; place++)
            {
                if (encoded.Spans![place] is not null)
                {
                    int[] ids = [.. encoded.Ids];
                    ids[place] = classifier.Tokenizer.MaskId;
                    Assert.Equal(whole - LogOdds(classifier, encoded with { Ids = ids }, 2), row.Tokens[token++].Score, 1e-4);
                }
            }

            int[] masked = [.. encoded.Ids.Select((id, i) => encoded.Spans![i] is null ? id : classifier.Tokenizer.MaskId)];
            Assert.Equal(LogOdds(classifier, encoded with { Ids = masked }, 2), row.BaselineLogit, 1e-4);
        }
    }

    [Fact]
    public void CoordinatesSumToTheGraftsDifferenceAndAgreeWithFiniteDifferences()
    {
        using TextClassifier plain = Classifier("roberta-prompt"),
            grafted = Classifier("roberta-prompt");
        Graft graft = Graft(plain);
        grafted.Apply(graft);
        string fingerprint = grafted.Fingerprint();
        using var explainer = new TextExplainer(
            grafted,
            new()
            {
                Graft = graft,
                WithoutGraft = plain,
                Label = "pos",
                MostCoordinates = 4,
            }
        );
        EncodedText encoded = explainer.Encode(Text);
        for (int round = 0; round < 2; round++)
        {
            PartAttributions coordinates = explainer.Explain(Text).Coordinates!;
            double with = LogOdds(grafted, encoded, 1),
                without = LogOdds(plain, encoded, 1);
            Assert.True(Math.Abs(with - without) > 1e-2);
            Assert.Equal(without, coordinates.WithoutLogit, 1e-5);
            Assert.Equal(with - without, coordinates.Sum, 1e-3 * Math.Max(1, Math.Abs(with - without)));
            Assert.Equal(5, coordinates.Count);
            Assert.Equal(4, coordinates.Largest.Count);
            Assert.Equal(
                coordinates.Largest.OrderByDescending(part => Math.Abs(part.Score)).Select(part => part.Name),
                coordinates.Largest.Select(part => part.Name)
            );
            Assert.All(
                coordinates.Largest,
                part => Assert.Equal(Integral(part.Name), part.Score, 0.02 * Math.Max(0.05, Math.Abs(part.Score)))
            );
        }

        Assert.Equal(fingerprint, grafted.Fingerprint());

        double Integral(string name)
        {
            using TextClassifier moved = plain.Clone();
            return Simpson(
                place =>
                {
                    const double Step = 0.02;
                    return (Output(moved, place, name, Step) - Output(moved, place, name, -Step)) / (2 * Step);
                },
                8
            );
        }

        double Output(TextClassifier moved, double place, string name, double step)
        {
            using IDisposable inference = no_grad();
            foreach (GraftPart part in graft.Parts)
            {
                using DisposeScope scope = NewDisposeScope();
                float[] before = [.. plain.Parameters[part.Name].view(-1).data<float>()];
                for (int i = 0; i < part.Indices.Length; i++)
                {
                    double at = place + ($"{part.Name}[{part.Indices[i]}]" == name ? step : 0);
                    double value = before[part.Indices[i]] + (at * (part.Values[i] - before[part.Indices[i]]));
                    moved.Parameters[part.Name].view(-1)[part.Indices[i]] = (float)value;
                }
            }

            return LogOdds(moved, encoded, 1);
        }
    }

    [Theory]
    [InlineData("roberta-prompt")]
    [InlineData("gpt2-options")]
    public void NeuronsSumToTheDifferenceFromTheirMeans(string kind)
    {
        using TextClassifier classifier = Classifier(kind);
        int layers = classifier.Backbone.Config.Layers,
            width = classifier.Backbone.Config.FeedForwardSizes[0];
        bool[] members = [.. Enumerable.Range(0, layers * width).Select(i => i % 5 == 0)];
        var set = new NeuronSet(members, layers, width);
        var means = new NeuronValues([.. members.Select((_, i) => (i % 7 / 7.0) - 0.3)], layers, width);
        using var explainer = new TextExplainer(classifier, new() { Neurons = set, NeuronMeans = means });
        EncodedText[] rows = [.. Texts.Select(text => explainer.Encode(text))];
        TextExplanation[] all = explainer.Explain(rows, Texts, null);
        using TextClassifier without = classifier.Clone();
        using var perturbation = NeuronPerturbation.Mean(without.Backbone, set, means);
        perturbation.AddTo(without.Backbone.Hooks);
        Assert.All(
            all,
            row =>
            {
                EncodedText encoded = explainer.Encode(row.Text);
                int label = classifier.Settings.Labels.ToList().IndexOf(row.Label);
                double difference = LogOdds(classifier, encoded, label) - LogOdds(without, encoded, label);
                Assert.True(Math.Abs(difference) > 1e-3);
                Assert.Equal(difference, row.Neurons!.Sum, Math.Max(1e-3, 5e-3 * Math.Abs(difference)));
                Assert.Equal(set.Count, row.Neurons.Count);
                Assert.Equal(10, row.Neurons.Largest.Count);
            }
        );
    }

    /// <summary>One neuron's score is its whole effect, since nothing else is moved.</summary>
    [Fact]
    public void ANeuronAloneHasItsWholeEffect()
    {
        using TextClassifier classifier = Classifier("roberta-prompt");
        bool[] members = new bool[3 * 96];
        members[(2 * 96) + 17] = true;
        var set = new NeuronSet(members, 3, 96);
        var means = new NeuronValues(Enumerable.Repeat(2.0, 3 * 96).ToArray(), 3, 96);
        using var explainer = new TextExplainer(classifier, new() { Neurons = set, NeuronMeans = means });
        PartAttributions neurons = explainer.Explain(Text).Neurons!;
        PartAttribution only = Assert.Single(neurons.Largest);
        Assert.Equal("2.17", only.Name);
        Assert.Equal(explainer.Explain(Text).Logit - neurons.WithoutLogit, only.Score, 1e-4);
        Assert.NotEqual(0, only.Score, 1e-4);
    }

    [Fact]
    public void TheModelIsAsItWasAndMayBeDisposed()
    {
        TextClassifier classifier = Classifier("bert");
        string fingerprint = classifier.Fingerprint();
        using var explainer = new TextExplainer(classifier);
        TextExplanation first = explainer.Explain(Text);
        Assert.Equal(fingerprint, classifier.Fingerprint());
        classifier.Dispose();
        Assert.Equal(first.Tokens, explainer.Explain(Text).Tokens);
        using var stopped = new CancellationTokenSource();
        stopped.Cancel();
        Assert.Throws<OperationCanceledException>(() => explainer.Explain(Text, cancellation: stopped.Token));
        explainer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => explainer.Explain(Text));
    }

    [Fact]
    public void ATextWithoutTokensHasNone()
    {
        using TextClassifier classifier = Classifier("roberta-prompt");
        using var explainer = new TextExplainer(classifier);
        TextExplanation row = explainer.Explain("");
        Assert.Empty(row.Tokens);
        Assert.Equal(row.BaselineLogit, row.Logit, 1e-6);
        Assert.Equal(0, row.ConvergenceDelta, 1e-6);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using TextClassifier roberta = Classifier("roberta-prompt"),
            gpt = Classifier("gpt2");
        Graft graft = Graft(roberta);
        Refuse(roberta, new() { Label = "perhaps" }, "perhaps");
        Refuse(gpt, new() { Baseline = AttributionBaseline.Mask }, "no mask token");
        Refuse(roberta, new() { Graft = graft }, "WithoutGraft");
        Refuse(roberta, new() { NeuronMeans = new NeuronValues(new double[288], 3, 96) }, "Neurons");
        Refuse(roberta, new() { Neurons = new NeuronSet(new bool[288], 3, 96) }, "No neuron");
        Refuse(roberta, new() { Neurons = new NeuronSet([true, .. new bool[9]], 2, 5) }, "[2, 5]");
        Refuse(
            roberta,
            new()
            {
                Graft = new Graft { BaseFingerprint = "x", Parts = [new("nothing", [0], [1])] },
                WithoutGraft = roberta,
            },
            "nothing"
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => new TextExplainer(roberta, new() { Steps = 0 }));
        using var open = TextClassifier.Create(
            Oracles.PathOf("tiny-t5"),
            new ClassifierSettings
            {
                Head = HeadKind.Generation,
                TextToText = new TextToTextTask("toy", TextMetric.Accuracy),
                Labels = [],
            }
        );
        Refuse(open, new(), "free text");
        using TextClassifier writer = Classifier("t5");
        Refuse(writer, new() { Baseline = AttributionBaseline.Zero }, "T5");

        static void Refuse(TextClassifier classifier, ExplanationSettings settings, string word) =>
            Assert.Contains(word, Assert.Throws<ArgumentException>(() => new TextExplainer(classifier, settings)).Message);
    }

    /// <summary>Exact for polynomials of a degree below twice the number of nodes.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(32)]
    public void NodesIntegratePolynomials(int count)
    {
        IReadOnlyList<(double Place, double Weight)> nodes = GaussLegendre.Nodes(count);
        Assert.Equal(nodes.Select(node => node.Place).Order(), nodes.Select(node => node.Place));
        for (int degree = 0; degree < 2 * count; degree++)
        {
            Assert.Equal(1.0 / (degree + 1), nodes.Sum(node => node.Weight * Math.Pow(node.Place, degree)), 1e-12);
        }
    }

    private static double Simpson(Func<double, double> slope, int parts)
    {
        double sum = 0;
        for (int i = 0; i <= parts; i++)
        {
            sum +=
                slope(i / (double)parts)
                * (
                    i == 0 || i == parts ? 1
                    : i % 2 == 1 ? 4
                    : 2
                )
                / (3.0 * parts);
        }

        return sum;
    }

    /// <summary>ln(p / (1 - p)) in double precision from the classifier's logits.</summary>
    private static double LogOdds(TextClassifier classifier, EncodedText row, int label)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using TokenBatch batch = classifier.Batch([row]);
        double[] logits = [.. classifier.Logits(batch).to(ScalarType.Float64).data<double>()];
        return logits[label] - Math.Log(logits.Where((_, i) => i != label).Sum(Math.Exp));
    }

    private static Graft Graft(TextClassifier plain) =>
        new()
        {
            BaseFingerprint = plain.Backbone.Fingerprint(),
            Settings = plain.Settings.ToJson(),
            ConsideredCount = 1000,
            Parts = [new(Query, [3, 100, 777], [2.5f, -2, 1.5f]), new(Up, [0, 9], [1.5f, -2.5f])],
        };

    private static TextClassifier Classifier(string kind)
    {
        string folder = Oracles.PathOf(
            kind switch
            {
                "bert" => "tiny-bert",
                "t5" => "tiny-t5",
                _ => kind.StartsWith("gpt2", StringComparison.Ordinal) ? "tiny-gpt2" : "tiny-roberta",
            }
        );
        ClassifierSettings settings = new()
        {
            Labels = ["neg", "pos"],
            Words = ["bad", "good"],
            Template = "*cls**sent_0*_It_was*mask*.*sep+*",
        };
        ClassifierSettings head = new() { Head = HeadKind.FirstTokenLinear, Labels = ["neg", "zero", "pos"] };
        return TextClassifier.Create(
            folder,
            kind switch
            {
                "bert" or "roberta" => head,
                "gpt2" => settings with { Template = null, Words = [" bad", " good"], AutoregressiveTemplate = "\"{0}\" was" },
                "gpt2-options" => settings with
                {
                    Template = null,
                    Labels = ["neg", "mid", "pos"],
                    Words = [" a description.", " a film", " an entity"],
                    AutoregressiveTemplate = "\"{0}\" was",
                },
                "gpt2-head" => head with { Head = HeadKind.SequenceClassification },
                "t5" => new()
                {
                    Head = HeadKind.Generation,
                    TextToText = new TextToTextTask("toy", TextMetric.Accuracy),
                    Labels = ["entailment", "neutral"],
                },
                "soft" => settings with
                {
                    Template = null,
                    Tuning = new SoftPromptOptions { Size = 4, MaskTokenId = 4 },
                },
                "multi" => settings with { Thresholds = [0.5f, 0.5f] },
                _ => settings,
            }
        );
    }
}
