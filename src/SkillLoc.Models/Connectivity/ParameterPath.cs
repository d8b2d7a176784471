using System.Globalization;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>
/// A path between two checkpoints in parameter space: a straight line, or a Bezier curve with control points between fixed endpoints
/// (methods, C.4, C.8). It covers the parameters of backbone, head and tuning method that differ between the endpoints; all others are
/// constant.
/// </summary>
/// <remarks>
/// Where the ends have different labels, their last projections are not mixed: labels, last projection, template and words are those of the
/// end whose task is evaluated (methods, C.9). The same labels in another order are matched by name. Where the ends have different
/// vocabularies, the vocabulary and its tokenizer are that end's too: rows of word embeddings and of the language-model head are matched by
/// the texts of their tokens, a token that the other end lacks has that end's row on the whole path, and one that only the other end has is
/// on none of it. The path reads the ends whenever it moves, and does not own them.
/// </remarks>
public sealed class ParameterPath : IDisposable
{
    private const string Format = "skillloc-curve";

    private readonly CheckpointEnds _ends;
    private readonly Dictionary<string, Tensor[]> _controls;

    /// <summary>Creates a straight line, or a curve that initially equals it.</summary>
    /// <param name="first">The endpoint at t = 0; it must outlive the path.</param>
    /// <param name="second">The endpoint at t = 1; it must outlive the path.</param>
    /// <param name="task">The endpoint whose labels, prompt and last projection are used on the whole path if they differ.</param>
    /// <param name="bends">The number of control points, 0 for a line. All start at the midpoint (methods, C.8).</param>
    /// <exception cref="ArgumentException">The ends differ in architecture, kind of tokenizer, tuning method, or names or shapes of
    /// parameters; the first five differences are named.</exception>
    public ParameterPath(TextClassifier first, TextClassifier second, Endpoint task = Endpoint.First, int bends = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bends);
        _ends = new(first, second, task);
        ControlPoints = bends;
        _controls = _ends.Names.ToDictionary(name => name, name => Midpoints(name, bends), StringComparer.Ordinal);
    }

    private ParameterPath(CheckpointEnds ends, int bends, Dictionary<string, Tensor[]> controls)
    {
        _ends = ends;
        ControlPoints = bends;
        _controls = controls;
    }

    /// <summary>The endpoint at t = 0.</summary>
    public TextClassifier First => _ends.First;

    /// <summary>The endpoint at t = 1.</summary>
    public TextClassifier Second => _ends.Second;

    /// <summary>The endpoint whose task is evaluated.</summary>
    public Endpoint Task => _ends.Task;

    /// <summary>Number of control points; 0 for a line.</summary>
    public int ControlPoints { get; }

    /// <summary>The names of the parameters that change along the path, in the order of the checkpoints.</summary>
    public IReadOnlyList<string> Names => _ends.Names;

    /// <summary>Returns the weights of the endpoints and control points at t: with n control points, C(n + 1, i) t^i (1 - t)^(n + 1 - i)
    /// for i = 0 ... n + 1. They sum to 1; at 0 and 1 all but one are 0.</summary>
    /// <param name="bends">n, the number of control points.</param>
    /// <param name="t">The position on the path, from 0 to 1.</param>
    /// <returns>n + 2 weights.</returns>
    public static double[] Weights(int bends, double t)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bends);
        CheckPlace(t);
        int degree = bends + 1;
        double[] weights = new double[degree + 1];
        double choose = 1;
        for (int i = 0; i <= degree; i++)
        {
            weights[i] = choose * Math.Pow(t, i) * Math.Pow(1 - t, degree - i);
            choose = choose * (degree - i) / (i + 1);
        }

        return weights;
    }

    /// <summary>Reads a file that <see cref="Save"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <param name="first">The model at 0 that the path was saved with; it must outlive the path.</param>
    /// <param name="second">The model at 1 that the path was saved with; it must outlive the path.</param>
    /// <returns>The path; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, holds something else, or belongs to other endpoints; the message says
    /// what differs.</exception>
    public static ParameterPath Load(string path, TextClassifier first, TextClassifier second)
    {
        using var file = SafetensorsFile.Open(path);
        var ends = CheckpointEnds.Read(file, Format, "curve", first, second);
        if (!int.TryParse(CheckpointEnds.Text(file, "bends"), NumberStyles.None, CultureInfo.InvariantCulture, out int bends))
        {
            throw new InvalidDataException(
                $"{path}: the metadata's 'bends' is '{CheckpointEnds.Text(file, "bends")}'; it must be 0 or more."
            );
        }

        var found = file.Tensors.ToDictionary(info => info.Name, info => info.Shape, StringComparer.Ordinal);
        using DisposeScope scope = NewDisposeScope();
        var controls = new Dictionary<string, Tensor[]>(StringComparer.Ordinal);
        foreach (string name in ends.Names)
        {
            controls.Add(name, [.. Enumerable.Range(0, bends).Select(i => Read(ControlName(name, i), ends.At(name).First))]);
        }

        if (found.Count > 0)
        {
            throw new InvalidDataException(
                $"{path} holds '{found.Keys.First()}', which is no control point of a parameter that differs at the ends."
            );
        }

        foreach (Tensor control in controls.Values.SelectMany(each => each))
        {
            control.DetachFromDisposeScope();
        }

        return new(ends, bends, controls);

        Tensor Read(string name, Tensor end) =>
            !found.Remove(name, out long[]? shape) ? throw new InvalidDataException($"{path} lacks the control point '{name}'.")
            : !shape.SequenceEqual(end.shape)
                ? throw new InvalidDataException(
                    $"{path}: the control point '{name}' has the shape [{string.Join(", ", shape)}], and its parameter "
                        + $"[{string.Join(", ", end.shape)}]."
                )
            : file.ReadFinite(name, ScalarType.Float32, end.device);
    }

    /// <summary>Writes the control points as one safetensors file, with the fingerprints of the endpoints, but not their weights.</summary>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="IOException">It could not be written; an existing file is unchanged.</exception>
    public void Save(string path)
    {
        Dictionary<string, string> metadata = _ends.Metadata(Format);
        metadata["bends"] = ControlPoints.ToString(CultureInfo.InvariantCulture);
        SafetensorsWriter.Write(
            path,
            Names.SelectMany(name => _controls[name].Select((control, i) => (ControlName(name, i), control))),
            metadata
        );
    }

    /// <summary>Returns the values of the control points for a parameter, which may be changed in place.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <returns>One tensor per control point, float32 with the parameter's shape, owned by the path.</returns>
    /// <exception cref="KeyNotFoundException">The parameter is not on the path.</exception>
    public IReadOnlyList<Tensor> Controls(string name) => _controls[name];

    /// <summary>Returns the name under which files store a control point of a parameter.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="index">The index of the control point, from 0 at the first endpoint.</param>
    /// <returns>The name, such as <c>roberta.encoder.layer.0.output.dense.bias.0</c>.</returns>
    public static string ControlName(string name, int index) => string.Create(CultureInfo.InvariantCulture, $"{name}.{index}");

    /// <summary>Creates a model that can be moved along the path: a copy of the evaluated endpoint that shares the constant backbone
    /// parameters.</summary>
    /// <param name="precision">The arithmetic of its passes; bfloat16 weights are rounded from float32 sums, and none are shared.</param>
    /// <returns>A classifier for <see cref="MoveTo"/>; the caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such precision.</exception>
    public TextClassifier CreateWalker(Precision precision = Precision.Float32) => _ends.CreateWalker(precision);

    /// <summary>Sets a model's parameters to a point of the path, in place, one by one. At 0 and 1 they are the ends' bit for bit, as far
    /// as the task's end has their rows.</summary>
    /// <param name="interpolated">The result of <see cref="CreateWalker"/>.</param>
    /// <param name="t">The position on the path, from 0 to 1.</param>
    /// <exception cref="ArgumentException">The model was not created for this path.</exception>
    public void MoveTo(TextClassifier interpolated, double t)
    {
        double[] weights = Weights(ControlPoints, t);
        IReadOnlyDictionary<string, Parameter> targets = _ends.Targets(interpolated);
        foreach (string name in _ends.Names)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor first, Tensor second) = _ends.At(name);
            CheckpointEnds.SetToSum(targets[name], [first, .. _controls[name], second], weights);
        }
    }

    /// <summary>Releases the control points.</summary>
    public void Dispose()
    {
        foreach (Tensor control in _controls.Values.SelectMany(controls => controls))
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

    private Tensor[] Midpoints(string name, int bends)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (Tensor first, Tensor second) = _ends.At(name);
        return
        [
            .. Enumerable
                .Range(0, bends)
                .Select(_ => first.to(ScalarType.Float32).Mul(0.5).Add(second.to(ScalarType.Float32).Mul(0.5)).DetachFromDisposeScope()),
        ];
    }
}

/// <summary>An endpoint of a path between two checkpoints.</summary>
public enum Endpoint
{
    /// <summary>The endpoint at t = 0.</summary>
    First,

    /// <summary>The endpoint at t = 1.</summary>
    Second,
}
