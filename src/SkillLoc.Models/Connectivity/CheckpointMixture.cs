using System.Text.Json;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>
/// A mixture of two checkpoints with one mixing weight per group of parameters (methods, C.8, "weight find"): s W1 + (1 - s) W2 with s =
/// sigmoid(w), so that s is the share of the <b>first</b> end. It covers the parameters that differ between the endpoints.
/// </summary>
/// <remarks>
/// Where the ends have different labels, their last projections are not mixed: labels, last projection, template and words are those of one
/// end (methods, C.9), as is the vocabulary where those of the ends differ: see <see cref="ParameterPath"/>. The mixture reads the ends
/// whenever it is applied, does not own them, and holds no tensors of its own.
/// </remarks>
public sealed class CheckpointMixture
{
    private const string Format = "skillloc-mixture";
    private const string WeightsName = "weights";

    private readonly CheckpointEnds _ends;
    private readonly MixtureGroup[] _groups;

    /// <summary>Creates a mixture with equal shares: all weights are 0.</summary>
    /// <param name="first">The end whose share is s; it must outlive the mixture.</param>
    /// <param name="second">The end whose share is 1 - s; it must outlive the mixture.</param>
    /// <param name="granularity">The parameters that share a weight.</param>
    /// <param name="task">The endpoint whose labels, prompt and last projection are used if they differ.</param>
    /// <exception cref="ArgumentException">The ends differ in architecture, kind of tokenizer, tuning method, or names or shapes of
    /// parameters; the first five differences are named.</exception>
    public CheckpointMixture(
        TextClassifier first,
        TextClassifier second,
        MixtureGranularity granularity = MixtureGranularity.Block,
        Endpoint task = Endpoint.First
    )
        : this(new(first, second, task), granularity) { }

    private CheckpointMixture(CheckpointEnds ends, MixtureGranularity granularity)
    {
        _ends = ends;
        Granularity = granularity;
        _groups = [.. ends.Names.GroupBy(name => GroupOf(name, granularity), (group, names) => new MixtureGroup(group, [.. names], 0))];
    }

    /// <summary>The end whose share is s.</summary>
    public TextClassifier First => _ends.First;

    /// <summary>The end whose share is 1 - s.</summary>
    public TextClassifier Second => _ends.Second;

    /// <summary>The endpoint whose task is evaluated.</summary>
    public Endpoint Task => _ends.Task;

    /// <summary>The parameters that share a weight.</summary>
    public MixtureGranularity Granularity { get; }

    /// <summary>The groups with their current weights, in the order of the checkpoints. Parameters that are equal at both endpoints are in
    /// no group.</summary>
    public IReadOnlyList<MixtureGroup> Groups => [.. _groups];

    /// <summary>Returns the group of a parameter.</summary>
    /// <param name="parameter">Its Hugging Face name.</param>
    /// <param name="granularity">The parameters that share a weight.</param>
    /// <returns>The group's name: the block's, such as <c>transformer.h.0</c>, with <c>.attention</c>, <c>.cross_attention</c> or
    /// <c>.feed_forward</c> for a sublayer; the parameter's own name outside the blocks.</returns>
    public static string GroupOf(string parameter, MixtureGranularity granularity)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        var place = ParameterPlace.Of(parameter);
        if (granularity == MixtureGranularity.Weight || place.Region != ParameterRegion.Layer)
        {
            return parameter;
        }

        return granularity == MixtureGranularity.Block ? place.BlockIn(parameter) : $"{place.BlockIn(parameter)}.{place.Sublayer}";
    }

    /// <summary>Reads a file that <see cref="Save"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <param name="first">The first model that the mixture was saved with; it must outlive the mixture.</param>
    /// <param name="second">The second model that the mixture was saved with; it must outlive the mixture.</param>
    /// <returns>The mixture.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, holds something else, or belongs to other endpoints; the message says
    /// what differs.</exception>
    public static CheckpointMixture Load(string path, TextClassifier first, TextClassifier second)
    {
        using var file = SafetensorsFile.Open(path);
        var ends = CheckpointEnds.Read(file, Format, "mixture", first, second);
        var mixture = new CheckpointMixture(ends, CheckpointEnds.Choice<MixtureGranularity>(file, "granularity"));
        string groups = mixture.GroupNames();
        if (CheckpointEnds.Text(file, "groups") is var stored && stored != groups)
        {
            throw new InvalidDataException($"{path} holds weights of the groups {stored}, and the groups of these models are {groups}.");
        }

        using DisposeScope scope = NewDisposeScope();
        if (!file.Contains(WeightsName))
        {
            throw new InvalidDataException($"{path} lacks the tensor '{WeightsName}'.");
        }

        float[] weights = file.Read(WeightsName, ScalarType.Float32).view(-1).data<float>().ToArray();
        if (weights.Length != mixture._groups.Length || weights.Any(float.IsNaN))
        {
            throw new InvalidDataException($"{path}: the tensor '{WeightsName}' must hold {mixture._groups.Length} numbers.");
        }

        mixture.SetWeights(weights);
        return mixture;
    }

    /// <summary>Writes weights and groups as one safetensors file, with the fingerprints of the endpoints, but not their weights.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        Dictionary<string, string> metadata = _ends.Metadata(Format);
        metadata["granularity"] = $"{Granularity}";
        metadata["groups"] = GroupNames();
        using Tensor weights = tensor(_groups.Select(group => group.Weight).ToArray());
        SafetensorsWriter.Write(path, [(WeightsName, weights)], metadata);
    }

    /// <summary>Changes the weights.</summary>
    /// <param name="weights">One weight w per group, in the order of <see cref="Groups"/>; infinities are allowed.</param>
    /// <exception cref="ArgumentException">There are more or fewer weights than groups, or one is NaN.</exception>
    public void SetWeights(IReadOnlyList<float> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (weights.Count != _groups.Length)
        {
            throw new ArgumentException($"There are {weights.Count} weights for {_groups.Length} groups.", nameof(weights));
        }

        if (weights.Any(float.IsNaN))
        {
            throw new ArgumentException("A weight is NaN.", nameof(weights));
        }

        for (int i = 0; i < _groups.Length; i++)
        {
            _groups[i] = _groups[i] with { Weight = weights[i] };
        }
    }

    /// <summary>Creates a model to which the mixture can be applied repeatedly: a copy of the evaluated endpoint that shares the backbone
    /// parameters that are equal at both endpoints.</summary>
    /// <returns>A classifier for <see cref="ApplyTo"/>; the caller disposes it.</returns>
    public TextClassifier CreateWalker() => _ends.CreateWalker();

    /// <summary>Creates a model with the current mixture, which shares nothing with the endpoints.</summary>
    /// <returns>The classifier; the caller disposes it.</returns>
    public TextClassifier CreateModel()
    {
        TextClassifier model = _ends.TaskEnd.Clone();
        ApplyTo(model);
        return model;
    }

    /// <summary>Applies the mixture to a model, in place, tensor by tensor. A share of 1 copies the endpoint bit for bit.</summary>
    /// <param name="interpolated">The result of <see cref="CreateWalker"/>.</param>
    /// <exception cref="ArgumentException">The model was not created for these endpoints.</exception>
    public void ApplyTo(TextClassifier interpolated)
    {
        IReadOnlyDictionary<string, Parameter> targets = _ends.Targets(interpolated);
        foreach (MixtureGroup group in _groups)
        {
            foreach (string name in group.Parameters)
            {
                using DisposeScope scope = NewDisposeScope();
                (Tensor first, Tensor second) = _ends.At(name);
                CheckpointEnds.SetToSum(targets[name], [first, second], [group.FirstShare, group.SecondShare]);
            }
        }
    }

    /// <summary>
    /// Returns the gradient of a loss by the weights w, from the gradients of the model's parameters W: s (1 - s) times the sum of dL/dW
    /// (W1 - W2) over a group's parameters. The mixture itself needs no gradients.
    /// </summary>
    /// <param name="interpolated">The model that the mixture was applied to; parameters without gradient count as 0.</param>
    /// <returns>One number per group, in the order of <see cref="Groups"/>.</returns>
    /// <exception cref="ArgumentException">The model was not created for these endpoints.</exception>
    public double[] Gradients(TextClassifier interpolated)
    {
        IReadOnlyDictionary<string, Parameter> targets = _ends.Targets(interpolated);
        if (_groups.Length == 0)
        {
            return [];
        }

        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor slopes = stack([.. _groups.SelectMany(group => group.Parameters).Select(Slope)]).cpu();
        double[] values = slopes.data<double>().ToArray();
        double[] gradients = new double[_groups.Length];
        int start = 0;
        for (int i = 0; i < gradients.Length; i++)
        {
            int end = start + _groups[i].Parameters.Count;
            gradients[i] = values[start..end].Sum() * _groups[i].FirstShare * _groups[i].SecondShare;
            start = end;
        }

        return gradients;

        // One tensor at a time.
        Tensor Slope(string name)
        {
            using DisposeScope own = NewDisposeScope();
            (Tensor first, Tensor second) = _ends.At(name);
            return (
                targets[name].grad is { } gradient
                    ? ((first.to(ScalarType.Float32) - second) * gradient).sum().to(ScalarType.Float64)
                    : zeros([], ScalarType.Float64, first.device)
            ).MoveToOuterDisposeScope();
        }
    }

    private string GroupNames() => JsonSerializer.Serialize(_groups.Select(group => group.Name));
}

/// <summary>The groups of parameters in a <see cref="CheckpointMixture"/> that share a mixing weight (methods, C.8). Tensors outside the
/// transformer blocks, such as embeddings, final norms and heads, always have their own.</summary>
public enum MixtureGranularity
{
    /// <summary>One weight per transformer block.</summary>
    Block,

    /// <summary>One weight per sublayer: attention, cross-attention or feed-forward, each with its layer norm.</summary>
    Layer,

    /// <summary>One weight per tensor.</summary>
    Weight,
}

/// <summary>A group of parameters with one mixing weight.</summary>
/// <param name="Name">The name of the group, such as <c>roberta.encoder.layer.0</c> or <c>decoder.block.1.cross_attention</c>.</param>
/// <param name="Parameters">Their names, in the order of the checkpoints.</param>
/// <param name="Weight">w; positive infinity uses only the first endpoint, negative infinity only the second.</param>
public sealed record MixtureGroup(string Name, IReadOnlyList<string> Parameters, float Weight)
{
    /// <summary>s = sigmoid(w), the share of the first end, from 0 to 1.</summary>
    public double FirstShare => 1 / (1 + Math.Exp(-Weight));

    /// <summary>1 - s = sigmoid(-w), the share of the second end.</summary>
    public double SecondShare => 1 / (1 + Math.Exp(Weight));
}

/// <summary>Weighted means of checkpoints: the points of the line, triangle or simplex that they span. If their labels or vocabularies
/// differ, those of the first are used, as by a <see cref="ParameterPath"/>.</summary>
public static class CheckpointMean
{
    // What sums of doubles that are meant to be 1 may be off.
    private const double Tolerance = 1e-6;

    /// <summary>Creates the mean, which shares nothing with the ends.</summary>
    /// <param name="ends">Two models or more; they stay as they are.</param>
    /// <param name="weights">One weight per model, 0 or more; their sum is 1.</param>
    /// <returns>The classifier; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are fewer than two models or not as many weights, or the ends differ in architecture, kind
    /// of tokenizer, tuning method, or names or shapes of parameters; the first five differences are named.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A weight is negative, or the sum is not 1.</exception>
    public static TextClassifier Of(IReadOnlyList<TextClassifier> ends, IReadOnlyList<double> weights)
    {
        ArgumentNullException.ThrowIfNull(ends);
        Check(ends.Count, weights);
        TextClassifier first = ends[0];
        CheckpointEnds[] pairs = [.. ends.Skip(1).Select(end => new CheckpointEnds(first, end, Endpoint.First))];
        TextClassifier mean = first.Clone();
        try
        {
            IReadOnlyDictionary<string, Parameter> own = first.Parameters,
                targets = mean.Parameters;
            foreach (string name in pairs.SelectMany(pair => pair.Names).Distinct(StringComparer.Ordinal))
            {
                // The first stands for an end whose last projection is of other labels.
                using DisposeScope scope = NewDisposeScope();
                CheckpointEnds.SetToSum(
                    targets[name],
                    [own[name], .. pairs.Select(pair => pair.Has(name) ? pair.At(name).Second : own[name])],
                    [.. weights]
                );
            }

            return mean;
        }
        catch
        {
            mean.Dispose();
            throw;
        }
    }

    /// <summary>Throws unless there are two models or more, and a weight for each.</summary>
    /// <param name="ends">The number of models.</param>
    /// <param name="weights">The weights.</param>
    /// <exception cref="ArgumentException">There are fewer than two models, or not as many weights.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A weight is negative, or the sum is not 1.</exception>
    public static void Check(int ends, IReadOnlyList<double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (ends < 2 || ends != weights.Count)
        {
            throw new ArgumentException(
                $"There are {ends} models and {weights.Count} weights; right would be two models or more, and a weight for each.",
                nameof(weights)
            );
        }

        if (!weights.All(weight => weight >= 0) || !(Math.Abs(weights.Sum() - 1) <= Tolerance))
        {
            throw new ArgumentOutOfRangeException(
                nameof(weights),
                string.Join(", ", weights),
                "Weights must be 0 or more, and their sum 1."
            );
        }
    }
}
