using SkillLoc.Models.Classification;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Interpolation;

/// <summary>
/// A path in the space of parameters from one checkpoint to another: a straight line, or a Bezier curve with control points between the
/// fixed ends (mode connectivity, C.4 and C.8). It covers the parameters that differ at the ends, of the backbone, of the head and of a
/// tuning method; all others are the same everywhere on it.
/// </summary>
/// <remarks>
/// Where the ends have different labels, their last projections are not mixed: labels, last projection, template and words are those of
/// the end whose task is evaluated (C.9). The path reads the ends whenever it moves, and does not own them.
/// </remarks>
public sealed class ParameterPath : IDisposable
{
    private readonly OrderedDictionary<string, (Parameter First, Tensor[] Controls, Parameter Second)> _places;

    /// <summary>Makes a straight line, or a curve that is the same line until its control points move.</summary>
    /// <param name="first">Where t is 0; it must outlive the path.</param>
    /// <param name="second">Where t is 1; it must outlive the path.</param>
    /// <param name="task">The end whose labels, prompt and last projection hold on the whole path, where those of the ends differ.</param>
    /// <param name="bends">The number of control points, 0 for a line. All start at the midpoint, as C.8 starts a full model's.</param>
    /// <exception cref="ArgumentException">The ends differ in architecture, vocabulary, tuning method, or names or shapes of parameters;
    /// the first five differences are named.</exception>
    public ParameterPath(TextClassifier first, TextClassifier second, PathEnd task = PathEnd.First, int bends = 0)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        ArgumentOutOfRangeException.ThrowIfNegative(bends);
        bool oneTask = first.Settings.Labels.SequenceEqual(second.Settings.Labels, StringComparer.Ordinal);
        CheckpointDifferences.Check(first, second, Mixed);
        First = first;
        Second = second;
        Task = task;
        Bends = bends;
        IReadOnlyDictionary<string, Parameter> ends = second.Parameters;
        _places = new(
            first.Parameters.Where(pair => Mixed(pair.Key) && !Same(pair.Value, ends[pair.Key]))
                .Select(pair => KeyValuePair.Create(pair.Key, (pair.Value, Midpoints(pair.Value, ends[pair.Key], bends), ends[pair.Key]))),
            StringComparer.Ordinal);

        bool Mixed(string name) => oneTask || !(first.Head.IsOutput(name) || second.Head.IsOutput(name));
    }

    /// <summary>Where t is 0.</summary>
    public TextClassifier First { get; }

    /// <summary>Where t is 1.</summary>
    public TextClassifier Second { get; }

    /// <summary>The end whose task it is.</summary>
    public PathEnd Task { get; }

    /// <summary>The number of control points between the ends; 0 for a line.</summary>
    public int Bends { get; }

    /// <summary>The names of the parameters that change along the path, in the order of the checkpoints.</summary>
    public IReadOnlyList<string> Names => _places.Keys;

    /// <summary>The weights of the ends and of the control points between them at some place: with n control points
    /// C(n + 1, i) t^i (1 - t)^(n + 1 - i) for i = 0 ... n + 1. They sum to 1; at 0 and 1 all but one are 0.</summary>
    /// <param name="bends">n, the number of control points.</param>
    /// <param name="t">The place, from 0 to 1.</param>
    /// <returns>n + 2 weights.</returns>
    public static double[] Weights(int bends, double t)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bends);
        CheckPlace(t);
        int degree = bends + 1;
        var weights = new double[degree + 1];
        double choose = 1;
        for (int i = 0; i <= degree; i++)
        {
            weights[i] = choose * Math.Pow(t, i) * Math.Pow(1 - t, degree - i);
            choose = choose * (degree - i) / (i + 1);
        }

        return weights;
    }

    /// <summary>The control points' values of a parameter, which may be changed in place.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <returns>One tensor a control point, float32 and of the parameter's shape; they stay the path's.</returns>
    /// <exception cref="KeyNotFoundException">The parameter is none of them.</exception>
    public IReadOnlyList<Tensor> Controls(string name) => _places[name].Controls;

    /// <summary>Makes the model that walks along the path: the evaluated task's end, which shares the backbone's parameters that the path
    /// leaves alone.</summary>
    /// <returns>A classifier for <see cref="MoveTo"/>; the caller disposes it.</returns>
    public TextClassifier CreateWalker() => (Task == PathEnd.First ? First : Second).Clone(name => !_places.ContainsKey(name));

    /// <summary>Puts the path's parameters at some place into a model, in place, one by one. At 0 and 1 they are the ends' bit for bit.</summary>
    /// <param name="walker">What <see cref="CreateWalker"/> made.</param>
    /// <param name="t">The place, from 0 to 1.</param>
    /// <exception cref="ArgumentException">It is no walker of this path.</exception>
    public void MoveTo(TextClassifier walker, double t)
    {
        ArgumentNullException.ThrowIfNull(walker);
        double[] weights = Weights(Bends, t);
        IReadOnlyDictionary<string, Parameter> targets = walker.Parameters;
        if (ReferenceEquals(walker, First) || ReferenceEquals(walker, Second) || _places.Keys.Any(name => !targets.ContainsKey(name)))
        {
            throw new ArgumentException($"Only a model that {nameof(CreateWalker)} made can walk along the path.", nameof(walker));
        }

        using IDisposable noGradients = no_grad();
        foreach ((string name, (Parameter first, Tensor[] controls, Parameter second)) in _places)
        {
            using var scope = NewDisposeScope();
            Parameter target = targets[name];
            if (t is 0 or 1)
            {
                target.copy_(t == 0 ? first : second);
                continue;
            }

            // Sums are float32: one tensor at a time where the weights are of a narrower type, else in place.
            Tensor sum = target.dtype == ScalarType.Float32 ? target : target.to(ScalarType.Float32);
            sum.copy_(first);
            sum.mul_(weights[0]);
            for (int i = 0; i < controls.Length; i++)
            {
                sum.add_(controls[i], weights[i + 1]);
            }

            sum.add_(second, weights[^1]);
            if (target.dtype != ScalarType.Float32)
            {
                target.copy_(sum);
            }
        }
    }

    /// <summary>Releases the control points.</summary>
    public void Dispose()
    {
        foreach (Tensor control in _places.Values.SelectMany(place => place.Controls))
        {
            control.Dispose();
        }
    }

    private static void CheckPlace(double t)
    {
        if (!(t >= 0 && t <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(t), t, "A place on a path is from 0 to 1.");
        }
    }

    private static bool Same(Tensor first, Tensor second) => first.dtype == second.dtype && first.Equals(second);

    private static Tensor[] Midpoints(Tensor first, Tensor second, int bends)
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        return [.. Enumerable.Range(0, bends).Select(_ =>
            ((first.to(ScalarType.Float32) * 0.5) + (second.to(ScalarType.Float32) * 0.5)).DetachFromDisposeScope())];
    }
}
