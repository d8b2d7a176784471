using System.Diagnostics;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Trainers;

/// <summary>The fine-tuning loop (grafting reference A.9, with decisions 8 and 9).</summary>
internal sealed class FineTuning : IDisposable
{
    private readonly PromptFineTuneTrainer.Options _options;
    private readonly TextClassifier _classifier;
    private readonly TextClassifier _passes;
    private readonly IHost _host;
    private readonly IChannel _channel;
    private readonly (string Name, Parameter Value)[] _trained;

    public FineTuning(PromptFineTuneTrainer.Options options, TextClassifier classifier, IHost host, IChannel channel)
    {
        _options = options;
        _classifier = classifier;
        _host = host;
        _channel = channel;
        LanguageModel backbone = classifier.Backbone;
        backbone.Dropout = options.Dropout;
        _trained =
        [
            .. options.Selection.Of(backbone).Select(name => (name, backbone.Parameters[name])),
            .. classifier.Head.Parameters.Select(pair => (pair.Key, pair.Value)),
        ];
        if (_trained.Length == 0)
        {
            throw new ArgumentException("Everything is fixed: no parameter is left to train.");
        }

        // The classifier's own weights are the float32 masters; a bfloat16 copy runs the passes.
        _passes = options.Precision == Precision.BFloat16 ? classifier.Clone(dtype: ScalarType.BFloat16) : classifier;
    }

    private bool HasMasters => !ReferenceEquals(_passes, _classifier);

    public void Dispose()
    {
        if (HasMasters)
        {
            _passes.Dispose();
        }
    }

    public void Run(LabeledTexts train, LabeledTexts? validation)
    {
        int microBatches = (train.Count + _options.BatchSize - 1) / _options.BatchSize;
        int updatesPerEpoch = Math.Max(1, microBatches / _options.GradientAccumulationSteps);
        int steps = _options.MaxSteps ?? (_options.Epochs * updatesPerEpoch);
        var shuffle = new Random(_options.Seed);
        manual_seed(_options.Seed);
        (string Name, Parameter Master)[] differentiated = _options.ClipOverAllParameters
            ? [.. _classifier.Backbone.Parameters.Concat(_classifier.Head.Parameters).Select(pair => (pair.Key, pair.Value))]
            : _trained;
        foreach ((string name, Parameter master) in differentiated)
        {
            master.requires_grad_(true);
            OfPasses(name).requires_grad_(true);
        }

        using var outer = NewDisposeScope();
        using optim.Optimizer optimizer = CreateOptimizer();
        using IProgressChannel progress = _host.StartProgressChannel("Fine-tuning");
        double loss = double.NaN;
        double? metric = null;
        double best = double.NegativeInfinity;
        Tensor[]? bestState = null;
        int step = 0;
        progress.SetHeader(new ProgressHeader(["loss", "metric"], ["updates"]), entry =>
        {
            entry.SetProgress(0, step, steps);
            entry.SetMetric(0, loss);
            entry.SetMetric(1, metric ?? double.NaN);
        });
        var clock = Stopwatch.StartNew();
        long rows = 0;
        try
        {
            while (step < steps && !_options.CancellationToken.IsCancellationRequested)
            {
                int[] order = [.. Enumerable.Range(0, train.Count)];
                shuffle.Shuffle(order);
                int[][] micro = [.. order.Chunk(_options.BatchSize)];
                for (int update = 0; update < updatesPerEpoch && step < steps; update++)
                {
                    if (_options.CancellationToken.IsCancellationRequested)
                    {
                        break;
                    }

                    int[][] group = [.. micro.Skip(update * _options.GradientAccumulationSteps).Take(_options.GradientAccumulationSteps)];
                    SetLearningRate(optimizer, step, steps);
                    loss = Update(optimizer, differentiated, train, group);
                    step++;
                    rows += group.Sum(part => part.Length);
                    if (!double.IsFinite(loss))
                    {
                        throw new InvalidOperationException(
                            $"Training diverged: the loss of update {step} is {loss}. Lower the learning rate ({_options.LearningRate}).");
                    }

                    if (validation is not null && (step % _options.EvaluationInterval == 0 || step == steps))
                    {
                        metric = validation.Judge(_classifier);
                        _channel.Info(MessageSensitivity.None, $"Update {step} of {steps}: loss {loss:F4}, validation {metric:F4}.");

                        // Ties go to the later state, as in the reference.
                        if (metric >= best)
                        {
                            best = metric.Value;
                            bestState = Keep(bestState);
                        }
                    }

                    _options.Progress?.Report(new(step, steps, loss, metric, rows / clock.Elapsed.TotalSeconds));
                    progress.Checkpoint(loss, metric, step);
                }
            }

            Restore(bestState);
        }
        finally
        {
            foreach ((_, Parameter master) in differentiated)
            {
                master.requires_grad_(false);
                master.grad = null!;
            }
        }
    }

    /// <summary>
    /// One update. The rows of all its micro-batches are regrouped by length and weighted 1 / (micro-batches x rows of their own
    /// micro-batch), which gives the same gradient as one pass per micro-batch with far less padding.
    /// </summary>
    private double Update(optim.Optimizer optimizer, (string Name, Parameter Master)[] differentiated, LabeledTexts train, int[][] group)
    {
        int[] rows = [.. group.SelectMany(part => part)];
        float[] weights = [.. group.SelectMany(part => Enumerable.Repeat(1f / (_options.GradientAccumulationSteps * part.Length), part.Length))];
        foreach ((_, Parameter master) in differentiated)
        {
            master.grad = null!;
        }

        double loss = Backward(_passes, train, rows, weights, _options.MaxTokensPerBatch, training: true);
        if (HasMasters)
        {
            TakeGradients(differentiated);
        }

        if (_options.MaxGradientNorm > 0)
        {
            nn.utils.clip_grad_norm_(differentiated.Select(pair => pair.Master), _options.MaxGradientNorm);
        }

        optimizer.step();
        if (HasMasters)
        {
            GiveWeights();
        }

        return loss;
    }

    private Parameter OfPasses(string name) => _passes.Backbone.Parameters.GetValueOrDefault(name) ?? _passes.Head.Parameters[name];

    /// <summary>Moves the gradients of the passes to the masters.</summary>
    private void TakeGradients((string Name, Parameter Master)[] differentiated)
    {
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter master) in differentiated)
        {
            Parameter pass = OfPasses(name);
            if (pass.grad is { } gradient)
            {
                master.grad = gradient.to(master.dtype);
                pass.grad = null!;
            }
        }
    }

    /// <summary>Copies the masters to the weights of the passes.</summary>
    private void GiveWeights()
    {
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter master) in _trained)
        {
            OfPasses(name).copy_(master);
        }
    }

    /// <summary>Adds the gradients of a weighted sum of cross-entropies to the parameters.</summary>
    /// <returns>The weighted sum, in nats.</returns>
    public static double Backward(TextClassifier classifier, LabeledTexts data, int[] rows, float[] weights, int? maxTokens, bool training)
    {
        double loss = 0;
        Device device = classifier.Backbone.Device;
        int tokens = maxTokens ?? LengthBatches.SuitableTokens(device);
        foreach (int[] part in LengthBatches.Split([.. rows.Select(i => classifier.TokensOf(data.Texts[i]))], tokens))
        {
            using var scope = NewDisposeScope();
            using TokenBatch batch = classifier.Batch([.. part.Select(i => data.Texts[rows[i]])]);
            Tensor labels = tensor(part.Select(i => (long)data.Labels[rows[i]]).ToArray(), device: device);
            Tensor weight = tensor(part.Select(i => weights[i]).ToArray(), device: device);
            Tensor losses = F.cross_entropy(classifier.Logits(batch, training), labels, reduction: nn.Reduction.None);
            Tensor sum = (losses * weight).sum();
            sum.backward();
            loss += sum.item<float>();
        }

        return loss;
    }

    private optim.Optimizer CreateOptimizer()
    {
        Parameter[] decayed = [.. _trained.Where(pair => Decays(pair.Name)).Select(pair => pair.Value)];
        Parameter[] others = [.. _trained.Where(pair => !Decays(pair.Name)).Select(pair => pair.Value)];
        if (_options.Optimizer == OptimizerKind.Sgd)
        {
            return optim.SGD(
                Groups((parameters, decay) => new SGD.ParamGroup(parameters, new SGD.Options { weight_decay = decay })), _options.LearningRate);
        }

        return optim.AdamW(
            Groups((parameters, decay) => new AdamW.ParamGroup(parameters, new AdamW.Options { weight_decay = decay })), _options.LearningRate);

        IEnumerable<T> Groups<T>(Func<Parameter[], double, T> group) =>
            new[] { (decayed, _options.WeightDecay), (others, 0.0) }.Where(pair => pair.Item1.Length > 0).Select(pair => group(pair.Item1, pair.Item2)).ToArray();

        static bool Decays(string name) =>
            !name.Contains("bias", StringComparison.Ordinal)
            && !name.EndsWith("LayerNorm.weight", StringComparison.Ordinal)
            && !name.EndsWith("layer_norm.weight", StringComparison.Ordinal)
            && !name.Contains(".ln_", StringComparison.Ordinal);
    }

    private void SetLearningRate(optim.Optimizer optimizer, int step, int steps)
    {
        double factor = 1;
        if (_options.Optimizer == OptimizerKind.AdamW)
        {
            factor = step < _options.WarmupSteps
                ? (double)step / _options.WarmupSteps
                : (double)(steps - step) / Math.Max(1, steps - _options.WarmupSteps);
        }

        foreach (optim.ILearningRateController group in optimizer.ParamGroups)
        {
            group.LearningRate = factor * _options.LearningRate;
        }
    }

    private Tensor[] Keep(Tensor[]? state)
    {
        using IDisposable noGradients = no_grad();
        if (state is null)
        {
            return [.. _trained.Select(pair =>
            {
                using Tensor detached = pair.Value.detach();
                return detached.clone();
            })];
        }

        for (int i = 0; i < state.Length; i++)
        {
            state[i].copy_(_trained[i].Value);
        }

        return state;
    }

    private void Restore(Tensor[]? state)
    {
        using IDisposable noGradients = no_grad();
        for (int i = 0; i < state?.Length; i++)
        {
            _trained[i].Value.copy_(state[i]);
        }
    }
}
