using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Connectivity;
using SkillLoc.Models.Generation;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tests.Checkpoints;
using SkillLoc.Models.Tests.Tuning;
using SkillLoc.Models.Tokenization;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Interpolation;

/// <summary>Lines and curves between tiny-roberta and tiny-roberta-finetuned, against tests/oracles/interpolation.safetensors.</summary>
public sealed class ParameterPathTests
{
    private const int MaskId = 4;

    private static readonly ClassifierSettings Words = new() { Labels = ["neg", "pos"], Words = ["bad", "good"] };

    public static TheoryData<string> Methods => Toy.Methods;

    [Fact]
    public void TheLineIsTheOracles()
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = SafetensorsFile.Open(Oracles.PathOf("interpolation.safetensors"));
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using var path = new ParameterPath(first, second);
        using TextClassifier interpolated = path.CreateWalker();
        float[] points = oracle.Read("points").data<float>().ToArray();
        float[] losses = oracle.Read("loss").data<float>().ToArray(),
            accuracies = oracle.Read("accuracy").data<float>().ToArray();
        Assert.Equal(26, points.Length);
        for (int i = 0; i < points.Length; i++)
        {
            path.MoveTo(interpolated, i / 25.0);
            Assert.Equal(points[i], i / 25f, 1e-6f);
            (double loss, double accuracy) = Measure(interpolated.Backbone);
            Assert.Equal(losses[i], loss, 1e-5 * losses[i]);
            Assert.Equal(accuracies[i], accuracy, 1e-6);
        }
    }

    [Fact]
    public void TheCurveIsTheOracles()
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = SafetensorsFile.Open(Oracles.PathOf("interpolation.safetensors"));
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using var path = new ParameterPath(first, second, bends: 1);

        // The ends differ in the layers alone, in the order of the oracle.
        Assert.Equal(new ParameterSelection().Of(first.Backbone), path.Names);
        Tensor offset = oracle.Read("bezier.control_offset");
        long start = 0;
        foreach (string name in path.Names)
        {
            Tensor control = path.Controls(name)[0];
            control.add_(offset.narrow(0, start, control.numel()).view(control.shape));
            start += control.numel();
        }

        Assert.Equal(offset.numel(), start);
        using TextClassifier interpolated = path.CreateWalker();
        float[] places = oracle.Read("bezier.t").data<float>().ToArray(),
            losses = oracle.Read("bezier.loss").data<float>().ToArray();
        for (int i = 0; i < places.Length; i++)
        {
            path.MoveTo(interpolated, places[i]);
            Assert.Equal(losses[i], Measure(interpolated.Backbone).Loss, 1e-5 * losses[i]);
        }
    }

    [Fact]
    public void DistancesAreTheOracles()
    {
        using DisposeScope scope = NewDisposeScope();
        using var oracle = SafetensorsFile.Open(Oracles.PathOf("interpolation.safetensors"));
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using CheckpointFolder one = CheckpointFolder.Open(Oracles.PathOf("tiny-roberta")),
            other = CheckpointFolder.Open(Oracles.PathOf("tiny-roberta-finetuned"));
        foreach (
            IReadOnlyDictionary<string, CheckpointDistance> distances in new[]
            {
                CheckpointDistance.Between(Tensors(first), Tensors(second)),
                CheckpointDistance.Between(one.Weights, other.Weights),
            }
        )
        {
            var whole = CheckpointDistance.Of(distances.Values);
            Assert.Equal(LanguageModel.ParameterCount(first.Backbone.Config), whole.Count);
            Assert.Equal(oracle.Read("l2").item<double>(), whole.L2, 1e-6 * whole.L2);
            Assert.Equal(oracle.Read("mean_l2").item<double>(), whole.MeanL2, 1e-6 * whole.MeanL2);
            Assert.Equal(oracle.Read("cosine").item<double>(), whole.Cosine, 1e-6);
        }

        static Dictionary<string, Tensor> Tensors(TextClassifier classifier) =>
            classifier.Parameters.ToDictionary(pair => pair.Key, pair => (Tensor)pair.Value);
    }

    [Fact]
    public void DistancesAreTheWorkedValues()
    {
        using DisposeScope scope = NewDisposeScope();
        var distance = CheckpointDistance.Between(tensor(new float[] { 3, 4 }), tensor(new float[] { 0, 0 }));
        Assert.Equal((2, 5), (distance.Count, distance.L2));
        Assert.Equal(Math.Sqrt(12.5), distance.MeanL2, 1e-12);
        Assert.Equal(0, distance.Cosine);

        // More scalars than are taken at once, and a vector against its negative.
        using Tensor many = ones(3, 1 << 19);
        distance = CheckpointDistance.Between(many, -many);
        Assert.Equal((3 << 19, -1), (distance.Count, Math.Round(distance.Cosine, 12)));
        Assert.Equal(2, distance.MeanL2, 1e-12);
        Assert.Throws<ArgumentException>(() => CheckpointDistance.Between(many, ones(2)));
    }

    [Fact]
    public void WeightsAreTheWorkedValues()
    {
        Assert.Equal([0.75, 0.25], ParameterPath.Weights(0, 0.25));
        Assert.Equal([0.5625, 0.375, 0.0625], ParameterPath.Weights(1, 0.25));
        Assert.Equal([0.0625, 0.25, 0.375, 0.25, 0.0625], ParameterPath.Weights(3, 0.5));
        for (int bends = 0; bends < 6; bends++)
        {
            Assert.Equal(1, ParameterPath.Weights(bends, 0.3).Sum(), 1e-12);
            Assert.Equal([1, .. new double[bends + 1]], ParameterPath.Weights(bends, 0));
            Assert.Equal([.. new double[bends + 1], 1], ParameterPath.Weights(bends, 1));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => ParameterPath.Weights(0, 1.01));
        Assert.Throws<ArgumentOutOfRangeException>(() => ParameterPath.Weights(0, double.NaN));
    }

    [Fact]
    public void EndsAreExactAndUntouchedAndNothingIsLeft()
    {
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        string[] ends = [first.Fingerprint(), second.Fingerprint()];
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var path = new ParameterPath(first, second, bends: 2))
        using (TextClassifier interpolated = path.CreateWalker())
        {
            foreach (double t in new[] { 0.3, 1, 0.7, 0 })
            {
                path.MoveTo(interpolated, t);
                Assert.Equal(t is 0 or 1, ends.Contains(interpolated.Fingerprint()));
                Assert.True(t is not (0 or 1) || interpolated.Fingerprint() == ends[(int)t]);
            }

            Assert.Throws<ArgumentException>(() => path.MoveTo(first, 0.5));
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(ends, new[] { first.Fingerprint(), second.Fingerprint() });
    }

    [Fact]
    public void AWalkerHoldsOnlyWhatChanges()
    {
        using DisposeScope scope = NewDisposeScope();
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using var path = new ParameterPath(first, second);
        using TextClassifier interpolated = path.CreateWalker();
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        path.MoveTo(interpolated, 0.5);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in first.Backbone.Parameters)
        {
            // What is written into one is seen in the other where they share it.
            using Tensor before = parameter.detach().clone();
            parameter.fill_(7);
            bool shared = interpolated.Parameters[name].Equals(parameter);
            Assert.Equal(!path.Names.Contains(name), shared);
            parameter.copy_(before);
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void TuningMethodsAreMixed(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        ClassifierSettings settings = Words with { Tuning = Toy.Options(method) };
        using TextClassifier first = Classifier(settings: settings, seed: 1),
            second = Classifier(settings: settings, seed: 2);
        Toy.Shake(first.TunedParameters.Values, 3);
        Toy.Shake(second.TunedParameters.Values, 4);
        using var path = new ParameterPath(first, second);
        Assert.Equal(first.TunedParameters.Keys, path.Names);
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, 0.25);
        foreach ((string name, Parameter parameter) in interpolated.TunedParameters)
        {
            Toy.AssertClose((first.Parameters[name] * 0.75) + (second.Parameters[name] * 0.25), parameter, 1e-6, name);
        }
    }

    /// <summary>The study of initialisations: near and far ones differ in options that no pass reads.</summary>
    [Fact]
    public void AdaptersDrawnOtherwiseAreMixed()
    {
        using DisposeScope scope = NewDisposeScope();
        var near = new AdapterOptions { Bias = false, InitialUpDeviation = 0.02 };
        using TextClassifier first = Classifier(settings: Words with { Tuning = near }, seed: 1);
        using TextClassifier second = Classifier(
            settings: Words with
            {
                Tuning = near with { InitialDeviation = 0.08, InitialUpDeviation = 0.08, InitialMean = 0.1 },
            },
            seed: 2
        );
        using var path = new ParameterPath(first, second);
        Assert.Equal(first.TunedParameters.Keys, path.Names);
    }

    [Fact]
    public void OfOtherLabelsTheHeadIsChosen()
    {
        using DisposeScope scope = NewDisposeScope();
        var three = new ClassifierSettings { Head = HeadKind.SequenceClassification, Labels = ["a", "b", "c"] };
        var two = new ClassifierSettings { Head = HeadKind.SequenceClassification, Labels = ["x", "y"] };
        using TextClassifier first = Classifier(settings: three, seed: 1),
            second = Classifier("tiny-roberta-finetuned", two, seed: 2);
        foreach (Endpoint task in Enum.GetValues<Endpoint>())
        {
            using var path = new ParameterPath(first, second, task);
            using TextClassifier interpolated = path.CreateWalker();
            TextClassifier end = task == Endpoint.First ? first : second;
            path.MoveTo(interpolated, 0.5);
            Assert.Equal(end.Settings.Labels, interpolated.Settings.Labels);
            Toy.AssertClose(end.Parameters["classifier.out_proj.weight"], interpolated.Parameters["classifier.out_proj.weight"], 0);
            Toy.AssertClose(
                (first.Parameters["classifier.dense.weight"] + second.Parameters["classifier.dense.weight"]) / 2,
                interpolated.Parameters["classifier.dense.weight"],
                1e-7
            );
        }
    }

    [Fact]
    public void BFloat16IsSummedInFloat32()
    {
        using DisposeScope scope = NewDisposeScope();
        using TextClassifier one = Classifier(),
            other = Classifier("tiny-roberta-finetuned");
        using TextClassifier first = one.Clone(dtype: ScalarType.BFloat16),
            second = other.Clone(dtype: ScalarType.BFloat16);
        using var path = new ParameterPath(first, second);
        using TextClassifier interpolated = path.CreateWalker();
        path.MoveTo(interpolated, 0.4);
        foreach (string name in path.Names)
        {
            // Rounded once, to 8 significant bits; sums in bfloat16 would be rounded at each step.
            Tensor exact = (first.Parameters[name].to(ScalarType.Float64) * 0.6) + (second.Parameters[name].to(ScalarType.Float64) * 0.4);
            Tensor error = (interpolated.Parameters[name].to(ScalarType.Float64) - exact).abs() - (exact.abs() * 1.001 / 256);
            Assert.True(error.max().item<double>() <= 1e-7, name);
        }
    }

    [Fact]
    public void DifferencesAreNamed()
    {
        using TextClassifier roberta = Classifier(),
            bert = Classifier("tiny-bert", Words with { Template = "*cls**sent_0**mask**sep+*" });
        using TextClassifier lora = Classifier(settings: Words with { Tuning = new LoraOptions { Rank = 3 } });
        using TextClassifier otherLora = Classifier(
            settings: Words with
            {
                Tuning = new LoraOptions { Rank = 3, Alpha = 4 },
            }
        );
        using TextClassifier head = Classifier(settings: new() { Head = HeadKind.SequenceClassification, Labels = ["neg", "pos"] });
        string message = Refused(roberta, bert);
        Assert.Contains("architecture is roberta and bert", message, StringComparison.Ordinal);
        Assert.Contains("'roberta.embeddings.word_embeddings.weight' is in the first only", message, StringComparison.Ordinal);
        Assert.Equal(5, message.Split("; ").Length - 1);
        Assert.Contains("lora_A", Refused(roberta, lora), StringComparison.Ordinal);
        Assert.Contains("the tuning is", Refused(lora, otherLora), StringComparison.Ordinal);
        Assert.Contains("the head is", Refused(roberta, head), StringComparison.Ordinal);

        static string Refused(TextClassifier first, TextClassifier second) =>
            Assert.Throws<ArgumentException>(() => new ParameterPath(first, second)).Message;
    }

    [Theory]
    [InlineData("scale_decoder_outputs", "false", "the scaling of the decoder's output is True and False")]
    [InlineData("eos_token_id", "3", "the end id is 1 and 3")]
    public void WhatAnAnsweringModelReadsBesideWeightsIsCompared(string key, string value, string named)
    {
        using var folder = new TemporaryFolder();
        ModelConfig config = ModelConfig.Load(Oracles.PathOf("tiny-t5", "config.json")).With(key, JsonNode.Parse(value));
        using (var model = LanguageModel.Load(Oracles.PathOf("tiny-t5")))
        {
            CheckpointFolder.Save(
                folder.Path,
                config,
                model.Parameters.Select(pair => (pair.Key, (Tensor)pair.Value)),
                CheckpointTokenizer.Load(Oracles.PathOf("tiny-t5")).Files
            );
        }

        var settings = new ClassifierSettings
        {
            Head = HeadKind.Generation,
            Labels = [],
            TextToText = new("toy", TextMetric.Accuracy),
        };
        using TextClassifier first = TextClassifier.Create(Oracles.PathOf("tiny-t5"), settings),
            second = TextClassifier.Create(folder.Path, settings);
        Assert.Contains(named, Assert.Throws<ArgumentException>(() => new ParameterPath(first, second)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsSavedIsLoaded()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Join(folder.Path, "curve.safetensors");
        ClassifierSettings settings = Words with { Tuning = Toy.Options("lora") };
        using TextClassifier first = Classifier(settings: settings, seed: 1),
            second = Classifier(settings: settings, seed: 2);
        Toy.Shake(first.TunedParameters.Values, 3);
        Toy.Shake(second.TunedParameters.Values, 4);
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var path = new ParameterPath(first, second, Endpoint.Second, bends: 2))
        {
            Toy.Shake(path.Names.SelectMany(path.Controls), 5);
            path.Save(file);
            using var loaded = ParameterPath.Load(file, first, second);
            Assert.Equal((2, Endpoint.Second), (loaded.ControlPoints, loaded.Task));
            Assert.Equal(path.Names, loaded.Names);
            using TextClassifier one = path.CreateWalker(),
                other = loaded.CreateWalker();
            path.MoveTo(one, 0.3);
            loaded.MoveTo(other, 0.3);
            Assert.Equal(one.Fingerprint(), other.Fingerprint());
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void ALineIsSavedToo()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Join(folder.Path, "line.safetensors");
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using var path = new ParameterPath(first, second);
        path.Save(file);
        using var loaded = ParameterPath.Load(file, first, second);
        Assert.Equal(0, loaded.ControlPoints);
    }

    [Fact]
    public void AFileThatDoesNotFitIsNamed()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Join(folder.Path, "curve.safetensors");
        const string Bias = "roberta.encoder.layer.1.output.dense.bias.0";
        using TextClassifier first = Classifier(),
            second = Classifier("tiny-roberta-finetuned");
        using TextClassifier bert = Classifier("tiny-bert", Words with { Template = "*cls**sent_0**mask**sep+*" });
        using var path = new ParameterPath(first, second, bends: 1);
        path.Save(file);
        Assert.Throws<ArgumentException>(() => ParameterPath.Load(file, first, bert));
        string swapped = Refused(second, first);
        Assert.Contains(
            $"'first_fingerprint' is {first.Fingerprint()}, and theirs is {second.Fingerprint()}",
            swapped,
            StringComparison.Ordinal
        );
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Says($"lacks the control point '{Bias}'", (_, tensors) => tensors.Remove(Bias));
        Says($"'{Bias}' has the shape [48, 1], and its parameter [48]", (_, tensors) => tensors[Bias] = tensors[Bias].view(48, 1));
        Says("holds 'other.0', which is no control point", (_, tensors) => tensors["other.0"] = ones(3));
        Says("NaN", (_, tensors) => tensors[Bias] = tensors[Bias] * float.NaN);
        Says("'bends' is '-1'", (metadata, _) => metadata["bends"] = "-1");
        Says("lacks the control point 'roberta.encoder.layer.0", (metadata, _) => metadata["bends"] = "2");
        Says("is no control point", (metadata, _) => metadata["bends"] = "0");
        Says("version 7", (metadata, _) => metadata["version"] = "7");
        Says("no curve", (metadata, _) => metadata["format"] = "skillloc-mixture");
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        path.Save(file);
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^5]);
        Refused(first, second);

        string Refused(TextClassifier one, TextClassifier other) =>
            Assert.Throws<InvalidDataException>(() => ParameterPath.Load(file, one, other)).Message;

        void Says(string what, Action<Dictionary<string, string>, Dictionary<string, Tensor>> change)
        {
            using (DisposeScope scope = NewDisposeScope())
            {
                path.Save(file);
                Dictionary<string, string> metadata;
                Dictionary<string, Tensor> tensors;
                using (var stored = SafetensorsFile.Open(file))
                {
                    metadata = new(stored.Metadata, StringComparer.Ordinal);
                    tensors = stored.ReadAll().ToDictionary(pair => pair.Name, pair => pair.Value, StringComparer.Ordinal);
                }

                change(metadata, tensors);
                SafetensorsWriter.Write(file, tensors.Select(pair => (pair.Key, pair.Value)), metadata);
            }

            Assert.Contains(what, Refused(first, second), StringComparison.Ordinal);
        }
    }

    private static TextClassifier Classifier(string folder = "tiny-roberta", ClassifierSettings? settings = null, int seed = 0)
    {
        if (folder != "tiny-roberta-finetuned")
        {
            return TextClassifier.Create(Oracles.PathOf(folder), settings ?? Words, seed: seed);
        }

        // That folder has weights alone.
        var classifier = TextClassifier.Create(Oracles.PathOf("tiny-roberta"), settings ?? Words, seed: seed);
        using var tuned = LanguageModel.Load(Oracles.PathOf(folder));
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in classifier.Backbone.Parameters)
        {
            parameter.copy_(tuned.Parameters[name]);
        }

        return classifier;
    }

    /// <summary>Loss and accuracy on the rows of grafting.safetensors.</summary>
    private static (double Loss, double Accuracy) Measure(LanguageModel model)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        using var oracle = SafetensorsFile.Open(Oracles.PathOf("grafting.safetensors"));
        long[] ids = oracle.Read("rows").data<long>().ToArray(),
            lengths = oracle.Read("row_lengths").data<long>().ToArray();
        int start = 0;
        EncodedText[] rows =
        [
            .. lengths.Select(length =>
            {
                int[] row = [.. ids.Skip(start).Take((int)length).Select(id => (int)id)];
                start += (int)length;
                return new EncodedText(row, null, Array.IndexOf(row, MaskId));
            }),
        ];
        using var batch = TokenBatch.Create(rows, 1);
        Tensor logits = model.WordScores(model.EncodeAt(batch), oracle.Read("label_words")),
            labels = oracle.Read("labels");
        return (
            nn.functional.cross_entropy(logits, labels).item<float>(),
            logits.argmax(1).eq(labels).to(ScalarType.Float32).mean().item<float>()
        );
    }
}
