using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>The distance between two tensors, or two lists of tensors as one vector each (methods, C.7).</summary>
/// <param name="Count">Number of scalars.</param>
/// <param name="SquaredDifference">The sum of squared differences.</param>
/// <param name="Product">The sum of products.</param>
/// <param name="SquaredFirst">The sum of the first's squares.</param>
/// <param name="SquaredSecond">The sum of the second's squares.</param>
public sealed record CheckpointDistance(long Count, double SquaredDifference, double Product, double SquaredFirst, double SquaredSecond)
{
    // The least product of norms, as in the paper's code.
    private const double Epsilon = 1e-6;

    // Scalars that are widened to double at a time.
    private const long ChunkLength = 1 << 20;

    /// <summary>The Euclidean norm of the difference.</summary>
    public double L2 => Math.Sqrt(SquaredDifference);

    /// <summary>The root of the mean squared difference, sqrt(L2^2 / n); NaN without scalars.</summary>
    public double MeanL2 => Math.Sqrt(SquaredDifference / Count);

    /// <summary>The cosine similarity; 0 if a norm is about 0.</summary>
    public double Cosine => Product / Math.Max(Math.Sqrt(SquaredFirst) * Math.Sqrt(SquaredSecond), Epsilon);

    /// <summary>Compares two tensors; sums have double precision.</summary>
    /// <param name="first">A tensor.</param>
    /// <param name="second">Another tensor of the same shape.</param>
    /// <returns>The distance.</returns>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    public static CheckpointDistance Between(Tensor first, Tensor second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        if (!first.shape.SequenceEqual(second.shape))
        {
            throw new ArgumentException(
                $"The tensors have the shapes [{string.Join(", ", first.shape)}] and [{string.Join(", ", second.shape)}].",
                nameof(second)
            );
        }

        using Held held = new(first, second);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor one = first.detach().flatten(),
            other = second.detach().to(first.device).flatten();
        long count = one.numel();
        var sum = new CheckpointDistance(count, 0, 0, 0, 0);
        for (long start = 0; start < count; start += ChunkLength)
        {
            using DisposeScope chunk = NewDisposeScope();
            long length = Math.Min(ChunkLength, count - start);
            Tensor a = one.narrow(0, start, length).to(ScalarType.Float64),
                b = other.narrow(0, start, length).to(ScalarType.Float64);
            Tensor difference = a - b;
            sum = sum with
            {
                SquaredDifference = sum.SquaredDifference + Dot(difference, difference),
                Product = sum.Product + Dot(a, b),
                SquaredFirst = sum.SquaredFirst + Dot(a, a),
                SquaredSecond = sum.SquaredSecond + Dot(b, b),
            };
        }

        return sum;

        static double Dot(Tensor a, Tensor b) => a.dot(b).item<double>();
    }

    /// <summary>Compares two lists of tensors.</summary>
    /// <param name="first">Tensors by name.</param>
    /// <param name="second">Others of the same names and shapes.</param>
    /// <returns>The distances by name, in the order of the first.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ; the first five differences are named.</exception>
    public static IReadOnlyDictionary<string, CheckpointDistance> Between(
        IReadOnlyDictionary<string, Tensor> first,
        IReadOnlyDictionary<string, Tensor> second
    )
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        CheckpointDifferences.Check(Shapes(first), Shapes(second));
        return Ordered(first.Keys, name => Between(first[name], second[name]));

        static Dictionary<string, long[]> Shapes(IReadOnlyDictionary<string, Tensor> tensors) =>
            tensors.ToDictionary(pair => pair.Key, pair => pair.Value.shape, StringComparer.Ordinal);
    }

    /// <summary>Compares two models' parameters; where their heads have the same labels in another order, rows are matched by
    /// name.</summary>
    /// <param name="first">A model.</param>
    /// <param name="second">Another with the same parameters.</param>
    /// <param name="tunedOnly">True compares only the tuned parameters and the head.</param>
    /// <returns>The distances by name, in the order of the first.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ; the first five differences are named.</exception>
    public static IReadOnlyDictionary<string, CheckpointDistance> Between(
        TextClassifier first,
        TextClassifier second,
        bool tunedOnly = false
    )
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        HeadMatch? match = Reordered(first.Settings.Labels, second.Settings.Labels);
        return Between(Parameters(first, null), Parameters(second, match));

        OrderedDictionary<string, Tensor> Parameters(TextClassifier model, HeadMatch? match) =>
            new(
                (tunedOnly ? model.TunedParameters : model.Parameters).Select(pair =>
                    KeyValuePair.Create(
                        pair.Key,
                        match is not null && model.Head.IsOutput(pair.Key) ? match.Take(pair.Value.detach()) : pair.Value
                    )
                ),
                StringComparer.Ordinal
            );
    }

    /// <summary>Compares two checkpoint folders, loading one tensor of each at a time; rows of classifiers with the same labels in another
    /// order are matched by name. Integer tensors, such as position ids, are ignored.</summary>
    /// <param name="first">An opened folder.</param>
    /// <param name="second">Another with the same tensors.</param>
    /// <returns>The distances by name, in the order of the first.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or holds NaN or infinity.</exception>
    public static IReadOnlyDictionary<string, CheckpointDistance> Between(CheckpointFolder first, CheckpointFolder second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        var one = ClassifierSettings.Find(first.Path, first.Config);
        var other = ClassifierSettings.Find(second.Path, second.Config);
        HeadMatch? match = one is not null && one.Head == other?.Head ? Reordered(one.Labels, other.Labels) : null;
        string output = match is null ? "" : ClassificationHead.OutputName(one!.Head, first.Config);
        return Between(
            first.Weights,
            second.Weights,
            match is null || output.Length == 0
                ? null
                : (name, rows) => name.StartsWith(output + ".", StringComparison.Ordinal) ? match.Take(rows) : rows
        );
    }

    /// <summary>Compares two files of tensors, loading one tensor of each at a time. Integer tensors, such as position ids, are
    /// ignored.</summary>
    /// <param name="first">A file, for example <see cref="CheckpointFolder.Weights"/>.</param>
    /// <param name="second">Another with the same names and shapes.</param>
    /// <returns>The distances by name, in the order of the first.</returns>
    /// <exception cref="ArgumentException">Names or shapes differ; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or holds NaN or infinity.</exception>
    public static IReadOnlyDictionary<string, CheckpointDistance> Between(ITensorStore first, ITensorStore second) =>
        Between(first, second, null);

    private static OrderedDictionary<string, CheckpointDistance> Between(
        ITensorStore first,
        ITensorStore second,
        Func<string, Tensor, Tensor>? align
    )
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        OrderedDictionary<string, long[]> shapes = Shapes(first);
        CheckpointDifferences.Check(shapes, Shapes(second));
        return Ordered(
            shapes.Keys,
            name =>
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor one = first.ReadFinite(name),
                    other = second.ReadFinite(name);
                return Between(one, align is null ? other : align(name, other));
            }
        );

        static OrderedDictionary<string, long[]> Shapes(ITensorStore store) =>
            new(
                store
                    .Tensors.Where(info => ElementTypes.IsFloatingPoint(info.Dtype))
                    .Select(info => KeyValuePair.Create(info.Name, info.Shape)),
                StringComparer.Ordinal
            );
    }

    /// <summary>Returns the distance of several tensors as one vector.</summary>
    /// <param name="parts">Their distances.</param>
    /// <returns>The distance.</returns>
    public static CheckpointDistance Of(IEnumerable<CheckpointDistance> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        return parts.Aggregate(
            new CheckpointDistance(0, 0, 0, 0, 0),
            (sum, part) =>
                new(
                    sum.Count + part.Count,
                    sum.SquaredDifference + part.SquaredDifference,
                    sum.Product + part.Product,
                    sum.SquaredFirst + part.SquaredFirst,
                    sum.SquaredSecond + part.SquaredSecond
                )
        );
    }

    /// <summary>Matches the labels if they are the same in another order; else null.</summary>
    private static HeadMatch? Reordered(IReadOnlyList<string> first, IReadOnlyList<string> second) =>
        !first.SequenceEqual(second, StringComparer.Ordinal) && HeadMatch.Between(first, second) is { IsWhole: true } match ? match : null;

    private static OrderedDictionary<string, CheckpointDistance> Ordered(
        IEnumerable<string> names,
        Func<string, CheckpointDistance> distance
    ) => new(names.Select(name => KeyValuePair.Create(name, distance(name))), StringComparer.Ordinal);
}
