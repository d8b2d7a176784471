using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers.Tests;

/// <summary>Updates against the formulas (methods, A.1, A.9), written out on doubles.</summary>
public sealed class UpdateTests
{
    private const int Steps = 5;
    private static readonly Toy.Row[] Rows = Toy.Examples(6);

    [Theory]
    [InlineData(OptimizerKind.Sgd, 0, 0)]
    [InlineData(OptimizerKind.Sgd, 0.5, 0)]
    [InlineData(OptimizerKind.AdamW, 0, 0)]
    [InlineData(OptimizerKind.AdamW, 0, 2)]
    [InlineData(OptimizerKind.AdamW, 0.5, 2)]
    public void UpdatesAreThoseOfTheReference(OptimizerKind kind, double clip, int warmup)
    {
        double rate = kind == OptimizerKind.Sgd ? 0.1 : 2e-3;
        const double decay = 0.05;
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Optimizer = kind;
                options.LearningRate = rate;
                options.WeightDecay = decay;
                options.MaxGradientNorm = clip;
                options.WarmupSteps = warmup;
                options.FixHead = false;
                options.MaxSteps = Steps;
                options.BatchSize = 2;

                // All rows make one update, so that their order does not matter.
                options.GradientAccumulationSteps = 3;
            }
        );
        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        Dictionary<string, float[]> start = Trainings.Start();
        string[] trained = [.. start.Keys.Where(name => !name.Contains("embeddings", StringComparison.Ordinal))];
        Dictionary<string, double[]> theta = trained.ToDictionary(name => name, name => Array.ConvertAll(start[name], x => (double)x));
        Dictionary<string, double[]> first = trained.ToDictionary(name => name, name => new double[start[name].Length]);
        Dictionary<string, double[]> second = trained.ToDictionary(name => name, name => new double[start[name].Length]);
        Dictionary<string, double[]> smallest = trained.ToDictionary(
            name => name,
            name => Enumerable.Repeat(double.MaxValue, start[name].Length).ToArray()
        );
        int clipped = 0;
        for (int step = 0; step < Steps; step++)
        {
            foreach (string name in trained)
            {
                start[name] = Array.ConvertAll(theta[name], x => (float)x);
            }

            Trainings.Set(plain, start);
            Dictionary<string, float[]> gradients = Trainings.Gradients(plain, Rows).Gradients;
            double norm = Math.Sqrt(trained.Sum(name => gradients[name].Sum(g => (double)g * g)));
            double scale = clip > 0 && norm > clip ? clip / norm : 1;
            clipped += scale < 1 ? 1 : 0;
            double now =
                kind == OptimizerKind.Sgd ? rate
                : step < warmup ? rate * step / warmup
                : rate * (Steps - step) / (Steps - warmup);
            foreach (string name in trained)
            {
                bool decays = !name.Contains("bias", StringComparison.Ordinal) && !name.Contains("orm.weight", StringComparison.Ordinal);
                for (int i = 0; i < theta[name].Length; i++)
                {
                    double g = scale * gradients[name][i];
                    smallest[name][i] = Math.Min(smallest[name][i], Math.Abs(g));
                    if (kind == OptimizerKind.Sgd)
                    {
                        theta[name][i] -= now * (g + (decays ? decay * theta[name][i] : 0));
                        continue;
                    }

                    theta[name][i] *= 1 - (decays ? now * decay : 0);
                    first[name][i] = (0.9 * first[name][i]) + (0.1 * g);
                    second[name][i] = (0.999 * second[name][i]) + (0.001 * g * g);
                    double mean = first[name][i] / (1 - Math.Pow(0.9, step + 1)),
                        square = second[name][i] / (1 - Math.Pow(0.999, step + 1));
                    theta[name][i] -= now * mean / (Math.Sqrt(square) + 1e-8);
                }
            }
        }

        Assert.Equal(clip > 0, clipped > 0);
        Dictionary<string, float[]> actual = Trainings.Weights(model.Classifier);
        int compared = 0;
        foreach (string name in trained)
        {
            for (int i = 0; i < theta[name].Length; i++)
            {
                // AdamW blows rounding in gradients that should be 0, such as the key biases', up to whole steps.
                if (kind == OptimizerKind.Sgd || smallest[name][i] > 1e-5)
                {
                    compared++;
                    double tolerance = 2e-6 + (kind == OptimizerKind.Sgd ? 0 : 2e-2 * rate);
                    Assert.True(
                        Math.Abs(theta[name][i] - actual[name][i]) < tolerance,
                        $"{name}[{i}]: {theta[name][i]} and {actual[name][i]}"
                    );
                }
            }
        }

        Assert.True(compared > trained.Sum(name => start[name].Length) / 10, $"{compared}");
    }

    [Fact]
    public void AdafactorsUpdatesAreThoseOfTransformers()
    {
        const double rate = 2e-3,
            decay = 0.05;
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Optimizer = OptimizerKind.Adafactor;
                options.LearningRate = rate;
                options.WeightDecay = decay;
                options.MaxGradientNorm = 0;
                options.MaxSteps = Steps;
            }
        );
        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        Dictionary<string, float[]> weights = Trainings.Start();
        string[] trained = [.. weights.Keys.Where(name => name.Contains("encoder.layer", StringComparison.Ordinal))];
        Dictionary<string, double[]> theta = trained.ToDictionary(name => name, name => Array.ConvertAll(weights[name], x => (double)x));
        var rows = new Dictionary<string, double[]>(StringComparer.Ordinal);
        var columns = new Dictionary<string, double[]>(StringComparer.Ordinal);
        Dictionary<string, double> smallest = trained.ToDictionary(name => name, _ => double.MaxValue);
        int clipped = 0,
            free = 0;
        for (int step = 1; step <= Steps; step++)
        {
            foreach (string name in trained)
            {
                weights[name] = Array.ConvertAll(theta[name], x => (float)x);
            }

            Trainings.Set(plain, weights);
            Dictionary<string, float[]> gradients = Trainings.Gradients(plain, Rows).Gradients;
            double beta = 1 - Math.Pow(step, -0.8);
            foreach (string name in trained)
            {
                double[] gradient = Array.ConvertAll(gradients[name], g => (double)g),
                    square = Array.ConvertAll(gradient, g => (g * g) + 1e-30);
                long[] shape = plain.Backbone.Parameters[name].shape;
                int width = (int)shape[^1],
                    height = gradient.Length / width;
                smallest[name] = Math.Min(smallest[name], gradient.Max(Math.Abs));
                double[] update;
                if (shape.Length == 1)
                {
                    double[] mean = rows[name] = Mean(rows, name, square, beta);
                    update = [.. gradient.Select((g, i) => g / Math.Sqrt(mean[i]))];
                }
                else
                {
                    double[] byRow = rows[name] = Mean(
                        rows,
                        name,
                        [.. Enumerable.Range(0, height).Select(row => square.Skip(row * width).Take(width).Average())],
                        beta
                    );
                    double[] byColumn = columns[name] = Mean(
                        columns,
                        name,
                        [.. Enumerable.Range(0, width).Select(column => square.Where((_, i) => i % width == column).Average())],
                        beta
                    );
                    double whole = byRow.Average();
                    update = [.. gradient.Select((g, i) => g / Math.Sqrt(byRow[i / width] * byColumn[i % width] / whole))];
                }

                double size = Math.Sqrt(update.Average(u => u * u)),
                    pace = rate / Math.Max(1, size);
                clipped += size > 1.02 ? 1 : 0;
                free += size < 0.98 ? 1 : 0;
                bool decays = !name.Contains("bias", StringComparison.Ordinal) && !name.Contains("orm.weight", StringComparison.Ordinal);
                for (int i = 0; i < update.Length; i++)
                {
                    theta[name][i] -= (decays ? rate * decay * theta[name][i] : 0) + (pace * update[i]);
                }
            }
        }

        Assert.True(clipped > 10 && free > 10, $"{clipped} updates were clipped, and {free} were not.");
        Dictionary<string, float[]> actual = Trainings.Weights(model.Classifier);
        Assert.True(trained.Count(name => smallest[name] > 1e-5) > 0.8 * trained.Length);
        foreach (string name in trained.Where(name => smallest[name] > 1e-5))
        {
            // The keys' biases, whose gradients should be 0, are left out: what trains them is rounding.
            Assert.All(theta[name].Zip(actual[name]), pair => Assert.Equal(pair.First, pair.Second, 2e-2 * rate));
        }

        static double[] Mean(Dictionary<string, double[]> means, string name, double[] now, double beta) =>
            means.TryGetValue(name, out double[]? before) ? [.. now.Zip(before, (a, b) => (beta * b) + ((1 - beta) * a))] : now;
    }

    [Theory]
    [InlineData(OptimizerKind.Sgd)]
    [InlineData(OptimizerKind.AdamW)]
    public void UpdatesAreTorchSharps(OptimizerKind kind)
    {
        double rate = kind == OptimizerKind.Sgd ? 0.1 : 2e-3;
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Optimizer = kind;
                options.LearningRate = rate;
                options.WeightDecay = 0.05;
                options.BiasOnly = true;
                options.MaxSteps = Steps;
            }
        );
        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        (string Name, Parameter Value)[] biases =
        [
            .. plain
                .Backbone.Parameters.Where(pair =>
                    pair.Key.Contains("encoder.layer", StringComparison.Ordinal) && pair.Key.EndsWith("bias", StringComparison.Ordinal)
                )
                .Select(pair => (pair.Key, pair.Value)),
        ];
        using optim.Optimizer optimizer =
            kind == OptimizerKind.Sgd
                ? optim.SGD(biases.Select(pair => pair.Value), rate)
                : optim.AdamW(biases.Select(pair => pair.Value), rate);
        for (int step = 0; step < Steps; step++)
        {
            Trainings.Gradients(plain, Rows);
            nn.utils.clip_grad_norm_(biases.Select(pair => pair.Value), 1);
            foreach (optim.ILearningRateController group in optimizer.ParamGroups)
            {
                group.LearningRate = kind == OptimizerKind.Sgd ? rate : rate * (Steps - step) / Steps;
            }

            optimizer.step();
        }

        Dictionary<string, float[]> expected = Trainings.Weights(plain),
            actual = Trainings.Weights(model.Classifier);
        foreach ((string name, _) in biases)
        {
            // The keys' biases have no gradient but rounding, which AdamW blows up to whole steps.
            if (!name.EndsWith("key.bias", StringComparison.Ordinal))
            {
                Assert.All(expected[name].Zip(actual[name]), pair => Assert.Equal(pair.First, pair.Second, 5e-2 * rate));
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheNormCountsWhatIsSaid(bool all)
    {
        const double rate = 0.5,
            clip = 1e-3;
        using TextScoringTransformer model = Trainings.Fit(
            Rows,
            options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = rate;
                options.WeightDecay = 0;
                options.MaxGradientNorm = clip;
                options.ClipOverAllParameters = all;
                options.MaxSteps = 1;
            }
        );
        using var plain = TextClassifier.Create(Toy.Checkpoint, model.Classifier.Settings);
        Dictionary<string, float[]> gradients = Trainings.Gradients(plain, Rows).Gradients;
        double trained = Norm(name => name.Contains("encoder.layer", StringComparison.Ordinal)),
            whole = Norm(_ => true);
        Assert.True(whole > 1.1 * trained, "The test needs fixed parameters with gradients.");
        Dictionary<string, float[]> start = Trainings.Start(),
            end = Trainings.Weights(model.Classifier);
        double length = Math.Sqrt(start.Sum(pair => pair.Value.Zip(end[pair.Key], (a, b) => Math.Pow(a - (double)b, 2)).Sum()));
        double expected = rate * clip * (all ? trained / whole : 1);
        Assert.Equal(expected, length, 0.01 * expected);

        double Norm(Func<string, bool> counts) =>
            Math.Sqrt(gradients.Where(pair => counts(pair.Key)).Sum(pair => pair.Value.Sum(g => (double)g * g)));
    }

    [Fact]
    public void TheAnchorIsInLossAndGradient()
    {
        const double rate = 0.05,
            strength = 0.01;
        double reported = 0;
        using TextScoringTransformer once = Trainings.Fit(Rows, Change(1)),
            twice = Trainings.Fit(Rows, Change(2));
        Dictionary<string, float[]> start = Trainings.Start(),
            one = Trainings.Weights(once.Classifier),
            two = Trainings.Weights(twice.Classifier);
        using var plain = TextClassifier.Create(Toy.Checkpoint, once.Classifier.Settings);
        Trainings.Set(plain, one);
        using var origin = LanguageModel.Load(Toy.Checkpoint);
        (double loss, Dictionary<string, float[]> gradients) = Trainings.Gradients(
            plain,
            Rows,
            classifier =>
                strength
                * classifier
                    .Backbone.Parameters.Where(pair => !pair.Key.StartsWith("lm_head", StringComparison.Ordinal))
                    .Select(pair => (pair.Value - origin.Parameters[pair.Key]).abs().sum())
                    .Aggregate((left, right) => left + right)
        );
        Assert.Equal(loss, reported, 1e-4);
        foreach (string name in start.Keys.Where(name => !name.Contains("embeddings", StringComparison.Ordinal)))
        {
            for (int i = 0; i < start[name].Length; i++)
            {
                Assert.True(Math.Abs(one[name][i] - (rate * gradients[name][i]) - two[name][i]) < 2e-6, $"{name}[{i}]");
            }
        }

        Action<PromptFineTuneTrainer.Options> Change(int steps) =>
            options =>
            {
                options.Optimizer = OptimizerKind.Sgd;
                options.LearningRate = rate;
                options.WeightDecay = 0;
                options.MaxGradientNorm = 0;
                options.FixHead = false;
                options.L1 = strength;
                options.MaxSteps = steps;
                options.Progress = new Trainings.Immediate(report => reported = report.Loss);
            };
    }
}
