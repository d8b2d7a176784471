using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Peft;
using SkillLoc.Models.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>
/// A plane in parameter space: through three models, with u = theta_1 - theta_0 and v = theta_2 - theta_0 without its part along u (Garipov
/// et al. 2018, appendix A.1), on axes in units of length; or around one model along two random directions (Li et al. 2018, section 4).
/// The models are read whenever it moves, and are not owned.
/// </summary>
internal sealed class ParameterPlane : IDisposable
{
    // Of the third model's distance from the first: below it rounding would be the second axis.
    private const double LeastHeight = 1e-4;

    private const string Weight = ".weight";

    private readonly CheckpointEnds? _second;
    private readonly CheckpointEnds? _third;
    private readonly Dictionary<string, Tensor[]> _directions;

    private ParameterPlane(
        TextClassifier origin,
        IReadOnlyList<string> names,
        CheckpointEnds? second,
        CheckpointEnds? third,
        Dictionary<string, Tensor[]> directions
    )
    {
        (Origin, Names, _second, _third, _directions) = (origin, names, second, third, directions);
    }

    /// <summary>The model at (0, 0), whose labels, prompt and vocabulary all points have.</summary>
    public TextClassifier Origin { get; }

    /// <summary>The names of the parameters that change on the plane.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The distance of the second model, which lies at (Length, 0); NaN without one.</summary>
    public double Length { get; private init; } = double.NaN;

    /// <summary>The place of the third model along u; NaN without one.</summary>
    public double ThirdX { get; private init; } = double.NaN;

    /// <summary>The place of the third model along v; NaN without one.</summary>
    public double ThirdY { get; private init; } = double.NaN;

    /// <summary>Number of models that it was made of, 3 or 1.</summary>
    public int Models => _third is null ? 1 : 3;

    /// <summary>The plane through three models; what another vocabulary or other labels of the second and third mean is as for
    /// <see cref="ParameterPath"/>.</summary>
    /// <exception cref="ArgumentException">The models differ in more than weights (the first five differences are named), or lie on a
    /// line.</exception>
    public static ParameterPlane Through(TextClassifier first, TextClassifier second, TextClassifier third)
    {
        var u = new CheckpointEnds(first, second, Endpoint.First);
        var v = new CheckpointEnds(first, third, Endpoint.First);
        var differ = u.Names.Union(v.Names, StringComparer.Ordinal).ToHashSet(StringComparer.Ordinal);
        IReadOnlyDictionary<string, Parameter> parameters = first.Parameters;
        string[] names = [.. parameters.Keys.Where(differ.Contains)];
        var sums = CheckpointDistance.Of(names.Select(name => Moved(name, u, v, parameters[name])));
        double length = Math.Sqrt(sums.SquaredFirst),
            along = sums.Product / length,
            height = Math.Sqrt(Math.Max(sums.SquaredSecond - (along * along), 0));
        if (length == 0 || !(height > LeastHeight * Math.Sqrt(sums.SquaredSecond)))
        {
            throw new ArgumentException(
                length == 0
                    ? "The first and the second model have the same weights, so that there is no plane through the three."
                    : "The three models lie on a line, so that there is no plane through them.",
                nameof(third)
            );
        }

        return new(first, names, u, v, [])
        {
            Length = length,
            ThirdX = along,
            ThirdY = height,
        };
    }

    /// <summary>The plane around a model along two random directions d ~ N(0, 1), filter-normalised: each row of each matrix has the length
    /// of the model's row, d * ||w|| / ||d||, and vectors (biases and norms) do not move. Of a model with a tuning method, its parameters
    /// and the head move.</summary>
    /// <param name="model">The model; it must outlive the plane.</param>
    /// <param name="seed">The seed of the directions.</param>
    public static ParameterPlane Around(TextClassifier model, int seed)
    {
        ArgumentNullException.ThrowIfNull(model);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        IReadOnlyDictionary<string, Parameter> parameters = model.Settings.Tuning is null ? model.Parameters : model.TunedParameters;
        var directions = new Dictionary<string, Tensor[]>(StringComparer.Ordinal);
        foreach ((string name, Parameter parameter) in parameters.Where(pair => pair.Value.dim() > 1))
        {
            // GPT-2's projections are stored as [in, out].
            bool isTransposed =
                name.EndsWith(Weight, StringComparison.Ordinal) && PeftNames.IsConv1D(model.Backbone.Config, name[..^Weight.Length]);
            directions.Add(name, [Draw(parameter, isTransposed), Draw(parameter, isTransposed)]);
        }

        if (directions.Count == 0)
        {
            throw new ArgumentException("The model has no matrix that could move.", nameof(model));
        }

        foreach (Tensor direction in directions.Values.SelectMany(each => each))
        {
            direction.DetachFromDisposeScope();
        }

        return new(model, [.. directions.Keys], null, null, directions);

        Tensor Draw(Parameter parameter, bool isTransposed)
        {
            using DisposeScope drawing = NewDisposeScope();
            Tensor direction = randn(parameter.shape, generator: generator).to(parameter.device),
                rows = Rows(direction),
                own = Rows(parameter.detach().to(ScalarType.Float32));
            rows.mul_(Lengths(own).div_(Lengths(rows)));
            return direction.MoveToOuterDisposeScope();

            Tensor Rows(Tensor tensor) => isTransposed ? tensor.t() : tensor.flatten(1);
        }

        static Tensor Lengths(Tensor rows) => rows.mul(rows).sum(1, keepdim: true).sqrt();
    }

    /// <summary>Creates a model that <see cref="MoveTo"/> and <see cref="MoveToModel"/> move: a copy of the origin that shares what does
    /// not change.</summary>
    /// <param name="precision">The arithmetic of its passes, as for <see cref="ParameterPath.CreateWalker"/>.</param>
    public TextClassifier CreateWalker(Precision precision)
    {
        if (precision != Precision.Float32)
        {
            return Origin.Clone(dtype: precision.ToScalarType());
        }

        HashSet<string> differ = [.. Names];
        return Origin.Clone(name => !differ.Contains(name));
    }

    /// <summary>Sets a model's parameters to a point of the plane, in place, one by one; at (0, 0) they are the origin's bit for
    /// bit.</summary>
    /// <param name="walker">The result of <see cref="CreateWalker"/>.</param>
    /// <param name="x">The place along the first axis.</param>
    /// <param name="y">The place along the second.</param>
    public void MoveTo(TextClassifier walker, double x, double y)
    {
        if (_third is null)
        {
            SetTo(walker, [1, x, y]);
            return;
        }

        // theta_0 + x u / |u| + y v / |v|, with v = (theta_2 - theta_0) - ThirdX u / |u|.
        double third = y / ThirdY,
            second = (x - (third * ThirdX)) / Length;
        SetTo(walker, [1 - second - third, second, third]);
    }

    /// <summary>Sets a model's parameters to those of one that the plane was made of, bit for bit.</summary>
    /// <param name="walker">The result of <see cref="CreateWalker"/>.</param>
    /// <param name="index">Which, from 0.</param>
    public void MoveToModel(TextClassifier walker, int index) =>
        SetTo(walker, [index == 0 ? 1 : 0, index == 1 ? 1 : 0, index == 2 ? 1 : 0]);

    /// <summary>Releases the directions.</summary>
    public void Dispose()
    {
        foreach (Tensor direction in _directions.Values.SelectMany(each => each))
        {
            direction.Dispose();
        }
    }

    private void SetTo(TextClassifier walker, double[] weights)
    {
        IReadOnlyDictionary<string, Parameter> targets = walker.Parameters,
            origin = Origin.Parameters;
        foreach (string name in Names)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor start = origin[name];
            CheckpointEnds.SetToSum(
                targets[name],
                _third is null ? [start, .. _directions[name]] : [start, Other(_second!, name, start), Other(_third, name, start)],
                weights
            );
        }
    }

    /// <summary>How far both other models are from the first.</summary>
    private static CheckpointDistance Moved(string name, CheckpointEnds u, CheckpointEnds v, Parameter first)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor start = first.to(ScalarType.Float32);
        return CheckpointDistance.Between(
            Other(u, name, start).to(ScalarType.Float32).sub(start),
            Other(v, name, start).to(ScalarType.Float32).sub(start)
        );
    }

    /// <summary>The other model's value, or the first's where the other has another task's.</summary>
    private static Tensor Other(CheckpointEnds ends, string name, Tensor start) => ends.Has(name) ? ends.At(name).Second : start;
}
