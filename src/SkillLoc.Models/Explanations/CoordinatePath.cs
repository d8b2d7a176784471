using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Explanations;

/// <summary>Scores a graft's coordinates by integrated gradients over their values, from the base model's to the graft's.</summary>
internal sealed class CoordinatePath
{
    private readonly TextClassifier _classifier;
    private readonly ExplainedOutput _output;
    private readonly IReadOnlyList<(double Place, double Weight)> _nodes;
    private readonly int _most;
    private readonly GraftPart[] _parts;
    private readonly float[][] _before;

    /// <param name="classifier">The classifier with the graft, whose weights at the graft's coordinates are its own.</param>
    /// <param name="output">What is explained.</param>
    /// <param name="settings">The graft, and the classifier without it.</param>
    /// <param name="nodes">The nodes of the integral.</param>
    /// <exception cref="ArgumentException">The classifiers do not have the graft and its base's values.</exception>
    public CoordinatePath(
        TextClassifier classifier,
        ExplainedOutput output,
        ExplanationSettings settings,
        IReadOnlyList<(double Place, double Weight)> nodes
    )
    {
        (_classifier, _output, _nodes, _most) = (classifier, output, nodes, settings.MostCoordinates);
        _parts = [.. settings.Graft!.Parts.Where(part => part.Indices.Length > 0)];
        using IDisposable noGradients = no_grad();
        IReadOnlyDictionary<string, Parameter> without = settings.WithoutGraft!.Backbone.Parameters;
        foreach (GraftPart part in _parts)
        {
            if (
                !classifier.Backbone.Parameters.TryGetValue(part.Name, out Parameter? weight)
                || !without.TryGetValue(part.Name, out Parameter? other)
                || !weight.shape.SequenceEqual(other.shape)
                || part.Indices[^1] >= weight.numel()
            )
            {
                throw new ArgumentException($"The graft changes '{part.Name}', which one of the classifiers does not have in its shape.");
            }
        }

        _before = [.. _parts.Select(part => At(without[part.Name], part.Indices))];
    }

    public PartAttributions Integrate(EncodedText row, int label, CancellationToken cancellation)
    {
        using Held held = new(this);
        using DisposeScope scope = NewDisposeScope();
        using TokenBatch batch = _classifier.Batch([row]);
        Parameter[] weights = Array.ConvertAll(_parts, part => _classifier.Backbone.Parameters[part.Name]);
        double[][] gradients = Array.ConvertAll(_parts, part => new double[part.Indices.Length]);
        double without;
        try
        {
            Move(weights, 0);
            without = Logit(batch, label);
            foreach ((double place, double weight) in _nodes)
            {
                cancellation.ThrowIfCancellationRequested();
                using DisposeScope node = NewDisposeScope();
                Move(weights, place);
                Array.ForEach(weights, each => each.requires_grad = true);
                _output.Of(batch, [label]).sum().backward();
                for (int i = 0; i < weights.Length; i++)
                {
                    using Tensor? own = weights[i].grad;
                    float[] slopes = own is null ? [] : At(own, _parts[i].Indices);
                    for (int j = 0; j < slopes.Length; j++)
                    {
                        gradients[i][j] += weight * slopes[j];
                    }

                    weights[i].grad = null;
                }
            }
        }
        finally
        {
            Array.ForEach(weights, each => each.requires_grad = false);
            Move(weights, 1);
        }

        double[] scores =
        [
            .. _parts.SelectMany((part, i) => part.Values.Select((value, j) => ((double)value - _before[i][j]) * gradients[i][j])),
        ];
        return PartAttributions.Of(Logit(batch, label), without, scores, NameOf, _most);
    }

    private double Logit(TokenBatch batch, int label)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = no_grad();
        return _output.Of(batch, [label]).to(ScalarType.Float64).cpu().data<double>()[0];
    }

    private string NameOf(int place)
    {
        int part = 0;
        while (place >= _parts[part].Indices.Length)
        {
            place -= _parts[part++].Indices.Length;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{_parts[part].Name}[{_parts[part].Indices[place]}]");
    }

    /// <summary>Sets the coordinates between the base's values, at 0, and the graft's, at 1.</summary>
    private void Move(Parameter[] weights, double place)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        for (int i = 0; i < weights.Length; i++)
        {
            float[] before = _before[i],
                after = _parts[i].Values;
            float[] values =
            [
                .. before.Select((value, j) => place == 1 ? after[j] : (float)(value + (place * ((double)after[j] - value)))),
            ];
            Tensor indices = tensor(Array.ConvertAll(_parts[i].Indices, index => (long)index), device: weights[i].device);
            weights[i].view(-1).index_copy_(0, indices, tensor(values).to(weights[i].dtype, weights[i].device));
        }
    }

    private static float[] At(Tensor weight, int[] indices)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor places = tensor(Array.ConvertAll(indices, index => (long)index), device: weight.device);
        return [.. weight.detach().reshape(-1).index_select(0, places).to(ScalarType.Float32).cpu().data<float>()];
    }
}
