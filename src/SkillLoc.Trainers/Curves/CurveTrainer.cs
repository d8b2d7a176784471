using Microsoft.ML;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Interpolation;
using SkillLoc.Transforms;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// Finds a curve of low loss between two checkpoints: the ends stay, and the control points of a Bezier curve train so that models at
/// random places of it do well (Garipov et al. 2018; mode connectivity, C.8).
/// </summary>
public sealed partial class CurveTrainer
{
    private readonly Options _options;

    /// <summary>Makes a trainer.</summary>
    /// <param name="options">The ends, and how the curve is trained.</param>
    /// <exception cref="ArgumentException">An option is missing or out of its range.</exception>
    public CurveTrainer(Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        _options = options;
    }

    /// <summary>Trains a curve.</summary>
    /// <param name="trainData">Rows with the label column and the text columns of the evaluated task's model.</param>
    /// <returns>The curve, which <c>EvaluateInterpolation</c> walks along; the caller disposes it, before the ends.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights (the first five differences are named) or do not differ
    /// at all, a column is missing or of another type, or a label is none of the task's.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, a row cannot be encoded, or training diverged.</exception>
    public ParameterPath Fit(IDataView trainData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        using var scope = NewDisposeScope();
        TextScoringTransformer task = _options.Task == PathEnd.First ? _options.First! : _options.Second!;
        LabeledTexts train = Read(trainData, "training data");
        LabeledTexts? validation = _options.ValidationSet is null ? null : Read(_options.ValidationSet, "validation data");
        var path = new ParameterPath(_options.First!.Classifier, _options.Second!.Classifier, _options.Task, _options.Bends);
        try
        {
            if (path.Names.Count == 0)
            {
                throw new ArgumentException("The two ends have the same weights, so there is no curve between them.");
            }

            Start(path);
            Train(path, train, validation);
            return path;
        }
        catch
        {
            path.Dispose();
            throw;
        }

        LabeledTexts Read(IDataView data, string role) =>
            LabeledTexts.Read(data, task.Columns, _options.LabelColumnName, task.Classifier, role);
    }

    private void Start(ParameterPath path)
    {
        if (_options.InitialDeviation is not { } deviation || path.First.Backbone.Adaptation is not { } adaptation)
        {
            return;
        }

        using IDisposable noGradients = no_grad();
        using var generator = new Generator((ulong)(uint)_options.Seed);
        foreach (string name in path.Names.Where(adaptation.Parameters.ContainsKey))
        {
            foreach (Tensor control in path.Controls(name))
            {
                using Tensor drawn = randn(control.shape, generator: generator);
                drawn.mul_(deviation);
                control.copy_(drawn);
            }
        }
    }

    private void Train(ParameterPath path, LabeledTexts train, LabeledTexts? validation)
    {
        using TextClassifier walker = path.CreateWalker();
        walker.Backbone.Dropout = _options.Dropout ?? walker.Backbone.Dropout;
        IReadOnlyDictionary<string, Parameter> weights = walker.Parameters;

        // By parameter of the walker its control points, as what an update changes; they share the path's storage.
        (Parameter Weight, TrainedParameter[] Controls)[] trained =
            [.. path.Names.Select(name => (weights[name], path.Controls(name).Select((control, i) => Control($"{name}.{i}", control)).ToArray()))];
        TrainedParameter[] controls = [.. trained.SelectMany(each => each.Controls)];
        try
        {
            foreach ((Parameter weight, _) in trained)
            {
                weight.requires_grad_(true);
            }

            Run();
        }
        finally
        {
            foreach (TrainedParameter control in controls)
            {
                control.Weight.Dispose();
                control.Dispose();
            }
        }

        void Run()
        {
            var random = new Random(_options.Seed);
            manual_seed(_options.Seed);
            double? metric = null, best = null;
            using IEnumerator<int[]> batches = Batches(train.Count, random).GetEnumerator();
            for (int step = 1; step <= _options.MaxSteps && !_options.CancellationToken.IsCancellationRequested; step++)
            {
                double place = 0, loss = 0;
                for (int i = 0; i < _options.GradientAccumulationSteps; i++)
                {
                    batches.MoveNext();
                    place = random.NextDouble();
                    path.MoveTo(walker, place);
                    float share = 1f / (batches.Current.Length * _options.GradientAccumulationSteps);
                    loss = FineTuning.Backward(
                        walker, train, batches.Current, [.. Enumerable.Repeat(share, batches.Current.Length)], _options.MaxTokensPerBatch, training: true)
                        * _options.GradientAccumulationSteps;
                    TakeGradients(trained, ParameterPath.Weights(_options.Bends, place));
                }

                if (!double.IsFinite(loss))
                {
                    throw new InvalidOperationException(
                        $"Training diverged: the loss of update {step} is {loss}. Lower the learning rate ({_options.LearningRate}).");
                }

                ParameterUpdate.AdamW(controls, _options.LearningRate, decay: 0, step);
                foreach (TrainedParameter control in controls)
                {
                    control.Value.grad = null!;
                }

                if (validation is not null && (step % _options.EvaluationInterval == 0 || step == _options.MaxSteps))
                {
                    metric = _options.ValidationPlaces.Average(fixedPlace =>
                    {
                        path.MoveTo(walker, fixedPlace);
                        return validation.Judge(walker);
                    });

                    // Ties go to the later state, as in the reference.
                    if (best is null || metric >= best)
                    {
                        best = metric;
                        Array.ForEach(controls, control => control.KeepAsBest());
                    }
                }

                _options.Progress?.Report(new(step, _options.MaxSteps, place, loss, metric));
            }

            Array.ForEach(controls, control => control.RestoreBest());
        }
    }

    /// <summary>By the chain rule a control point's gradient is the walker's times the point's weight.</summary>
    private static void TakeGradients((Parameter Weight, TrainedParameter[] Controls)[] trained, double[] weights)
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        foreach ((Parameter weight, TrainedParameter[] controls) in trained)
        {
            if (weight.grad is not { } gradient)
            {
                continue;
            }

            for (int i = 0; i < controls.Length; i++)
            {
                Tensor part = gradient.to(ScalarType.Float32) * weights[i + 1];
                controls[i].Value.grad = controls[i].Value.grad is { } sum ? sum + part : part;
            }

            weight.grad = null!;
        }
    }

    private static TrainedParameter Control(string name, Tensor control)
    {
        var parameter = new Parameter(control.alias(), requires_grad: false);
        parameter.DetachFromDisposeScope();
        var trained = new TrainedParameter(name, parameter, null, null, decays: false);
        trained.AddMoments(OptimizerKind.AdamW);
        return trained;
    }

    /// <summary>Micro-batches without end, shuffled anew for each pass; an incomplete one is used where a pass has no other.</summary>
    private IEnumerable<int[]> Batches(int rows, Random random)
    {
        int[] order = [.. Enumerable.Range(0, rows)];
        while (true)
        {
            random.Shuffle(order);
            foreach (int[] batch in order.Chunk(_options.BatchSize).Where(batch => batch.Length == _options.BatchSize || rows < _options.BatchSize))
            {
                yield return [.. batch];
            }
        }
    }
}
