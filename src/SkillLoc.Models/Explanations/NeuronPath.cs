using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Hooks;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Explanations;

/// <summary>
/// Scores feed-forward neurons by integrated gradients over their activations at all positions, from their means to those of the row. On
/// the way the neurons have these values in every layer, and everything else follows from them.
/// </summary>
internal sealed class NeuronPath : IDisposable
{
    private readonly TextClassifier _classifier;
    private readonly ExplainedOutput _output;
    private readonly IReadOnlyList<(double Place, double Weight)> _nodes;
    private readonly int _most;
    private readonly Layer[] _layers;

    public NeuronPath(
        TextClassifier classifier,
        ExplainedOutput output,
        ExplanationSettings settings,
        IReadOnlyList<(double Place, double Weight)> nodes
    )
    {
        (_classifier, _output, _nodes, _most) = (classifier, output, nodes, settings.MostNeurons);
        LanguageModel model = classifier.Backbone;
        float[]? means = settings.NeuronMeans is { } given
            ? [.. given.MeanOverSlots().Values.ToArray().Select(value => (float)value)]
            : null;
        int width = settings.Neurons!.Width;
        using DisposeScope scope = NewDisposeScope();
        _layers =
        [
            .. Enumerable
                .Range(0, settings.Neurons.Layers)
                .Where(layer => settings.Neurons.Indices(layer).Length > 0)
                .Select(layer => new Layer(
                    layer,
                    model.Points.Blocks[layer].Post,
                    settings.Neurons.Indices(layer),
                    tensor(settings.Neurons.Of(layer).ToArray(), device: model.Device).DetachFromDisposeScope(),
                    tensor(means?[(layer * width)..((layer + 1) * width)] ?? new float[width])
                        .to(model.Dtype, model.Device)
                        .DetachFromDisposeScope()
                )),
        ];
    }

    public PartAttributions[] Integrate(EncodedText[] rows, int[] labels, CancellationToken cancellation)
    {
        using Held held = new(this);
        using DisposeScope scope = NewDisposeScope();
        using TokenBatch batch = _classifier.Batch(rows);
        double[] logits = Run(batch, labels, (_, activation) => activation, out Tensor[] seen);
        Tensor[] differences = [.. _layers.Select((layer, i) => where(layer.Mask, seen[i] - layer.Means, zeros_like(seen[i])))];
        Tensor[] gradients = Array.ConvertAll(seen, each => zeros_like(each));
        double[] without = Run(batch, labels, (i, activation) => At(i, 0, activation), out _);
        foreach ((double place, double weight) in _nodes)
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope node = NewDisposeScope();
            var forced = new Tensor[_layers.Length];
            using (
                Hooked(
                    (i, activation) =>
                    {
                        forced[i] = At(i, place, zeros_like(activation)).detach().requires_grad_(true).MoveToOtherDisposeScope(node);
                        return where(_layers[i].Mask, forced[i], activation);
                    }
                )
            )
            {
                _output.Of(batch, labels).sum().backward();
            }

            for (int i = 0; i < forced.Length; i++)
            {
                using Tensor? own = forced[i].grad;
                if (own is not null)
                {
                    gradients[i].Add_(own, weight);
                }
            }
        }

        double[][] scores = ByRow(
            [.. differences.Zip(gradients, (difference, gradient) => (difference * gradient).sum(dim: 1))],
            rows.Length
        );
        string[] names =
        [
            .. _layers.SelectMany(layer =>
                layer.Neurons.Select(neuron => string.Create(CultureInfo.InvariantCulture, $"{layer.Index}.{neuron}"))
            ),
        ];
        return [.. rows.Select((_, i) => PartAttributions.Of(logits[i], without[i], scores[i], part => names[part], _most))];

        Tensor At(int layer, double place, Tensor activation) =>
            where(_layers[layer].Mask, _layers[layer].Means.Add(differences[layer].Mul(place)), activation);
    }

    public void Dispose()
    {
        foreach (Layer layer in _layers)
        {
            layer.Mask.Dispose();
            layer.Means.Dispose();
        }
    }

    private double[] Run(TokenBatch batch, int[] labels, Func<int, Tensor, Tensor> edit, out Tensor[] seen)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        var kept = new Tensor[_layers.Length];
        using IDisposable hooks = Hooked(
            (i, activation) =>
            {
                Tensor edited = edit(i, activation);
                kept[i] = edited.clone().MoveToOtherDisposeScope(scope);
                return edited;
            }
        );
        double[] logits = [.. _output.Of(batch, labels).to(ScalarType.Float64).cpu().data<double>()];
        Array.ForEach(kept, each => each.MoveToOuterDisposeScope());
        seen = kept;
        return logits;
    }

    private IDisposable Hooked(Func<int, Tensor, Tensor> edit)
    {
        var places = _layers.Index().ToDictionary(layer => layer.Item.Point, layer => layer.Index);
        return _classifier.Backbone.Hooks.Add([.. places.Keys], (activation, context) => edit(places[context.Point], activation));
    }

    /// <summary>The scores of the selected neurons of each row; where whole options are scored, a row has a sequence for each.</summary>
    private double[][] ByRow(Tensor[] scores, int rows)
    {
        using DisposeScope scope = NewDisposeScope();
        List<double>[] byRow = [.. Enumerable.Range(0, rows).Select(_ => new List<double>())];
        for (int i = 0; i < scores.Length; i++)
        {
            int width = (int)scores[i].size(1),
                copies = (int)scores[i].size(0) / rows;
            double[] all = [.. scores[i].to(ScalarType.Float64).cpu().data<double>()];
            for (int row = 0; row < rows; row++)
            {
                byRow[row]
                    .AddRange(
                        _layers[i]
                            .Neurons.Select(neuron => Enumerable.Range(row * copies, copies).Sum(each => all[(each * width) + neuron]))
                    );
            }
        }

        return Array.ConvertAll(byRow, row => row.ToArray());
    }

    /// <summary>The chosen neurons of a layer, their mask and the values that they are compared with, <c>[width]</c>.</summary>
    private sealed record Layer(int Index, HookPoint Point, int[] Neurons, Tensor Mask, Tensor Means);
}
