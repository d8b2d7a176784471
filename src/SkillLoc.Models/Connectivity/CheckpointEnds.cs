using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Connectivity;

/// <summary>
/// Two endpoint checkpoints and the parameters that differ between them. With different labels, the last projections are not interpolated:
/// labels, last projection, template and label words are those of the endpoint whose task is evaluated (methods, C.9). With the same labels
/// in another order, the rows of the last projection are matched by name. Where their vocabularies differ, the vocabulary is that of the
/// end whose task it is too, and rows go by the texts of their tokens (<see cref="VocabularyMatch"/>).
/// </summary>
internal sealed class CheckpointEnds
{
    private const string Version = "1";

    /// <summary>Matches the labels of the other endpoint; null if the order is the same.</summary>
    private readonly HeadMatch? _match;

    /// <summary>Matches the tokens of the end that does not have the task; null where they stand in the same order.</summary>
    private readonly VocabularyMatch? _words;

    /// <summary>The parameters of both endpoints.</summary>
    private readonly OrderedDictionary<string, (Parameter First, Parameter Second)> _ends;

    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    public CheckpointEnds(TextClassifier first, TextClassifier second, Endpoint task)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        First = first;
        Second = second;
        Task = task;
        bool sameOrder = first.Settings.Labels.SequenceEqual(second.Settings.Labels, StringComparer.Ordinal);
        var match = HeadMatch.Between(TaskEnd.Settings.Labels, OtherEnd.Settings.Labels);
        bool oneTask = sameOrder || match.IsWhole;
        _match = sameOrder ? null : match;
        _words = VocabularyMatch.Between(TaskEnd, OtherEnd);
        CheckpointDifferences.Check(first, second, Mixed, _words);
        IReadOnlyDictionary<string, Parameter> ends = second.Parameters;
        _ends = new(
            first.Parameters.Where(pair => Mixed(pair.Key)).Select(pair => KeyValuePair.Create(pair.Key, (pair.Value, ends[pair.Key]))),
            StringComparer.Ordinal
        );
        Names = [.. _ends.Keys.Where(Differs)];

        bool Mixed(string name) => oneTask || !(first.Head.IsOutput(name) || second.Head.IsOutput(name));
    }

    public TextClassifier First { get; }

    public TextClassifier Second { get; }

    public Endpoint Task { get; }

    /// <summary>The endpoint whose task is evaluated.</summary>
    public TextClassifier TaskEnd => Task == Endpoint.First ? First : Second;

    /// <summary>The names of the parameters that differ, in the order of the checkpoints.</summary>
    public IReadOnlyList<string> Names { get; }

    private TextClassifier OtherEnd => Task == Endpoint.First ? Second : First;

    /// <summary>Whether a parameter is mixed: all but the last projections of other labels.</summary>
    public bool Has(string name) => _ends.ContainsKey(name);

    /// <summary>Returns the values of a parameter at both endpoints, with rows in the order of the evaluated task: the endpoints' own
    /// tensors, or copies in the caller's dispose scope.</summary>
    /// <param name="name">One that there is (<see cref="Has"/>).</param>
    public (Tensor First, Tensor Second) At(string name)
    {
        (Tensor first, Tensor second) = _ends[name];
        using IDisposable noGradients = no_grad();
        return Task == Endpoint.First ? (first, Aligned(name, first, second)) : (Aligned(name, second, first), second);
    }

    /// <summary>Creates a model that shares the backbone parameters that are equal at both endpoints and of its type.</summary>
    public TextClassifier CreateWalker(Precision precision = Precision.Float32)
    {
        if (precision != Precision.Float32)
        {
            return TaskEnd.Clone(dtype: precision.ToScalarType());
        }

        HashSet<string> differ = [.. Names];
        return TaskEnd.Clone(name => !differ.Contains(name));
    }

    /// <summary>Returns the parameters of an interpolated model.</summary>
    /// <exception cref="ArgumentException">The model was not created for these endpoints.</exception>
    public IReadOnlyDictionary<string, Parameter> Targets(TextClassifier interpolated)
    {
        ArgumentNullException.ThrowIfNull(interpolated);
        IReadOnlyDictionary<string, Parameter> targets = interpolated.Parameters;
        return
            ReferenceEquals(interpolated, First) || ReferenceEquals(interpolated, Second) || Names.Any(name => !targets.ContainsKey(name))
            ? throw new ArgumentException($"Only a model that {nameof(CreateWalker)} made can walk between the ends.", nameof(interpolated))
            : targets;
    }

    /// <summary>Sets a parameter to a weighted sum, adding one tensor at a time; a weight of 1 among zeros copies its tensor bit for
    /// bit.</summary>
    /// <param name="target">The parameter.</param>
    /// <param name="parts">Tensors of its shape.</param>
    /// <param name="weights">As many weights.</param>
    public static void SetToSum(Parameter target, IReadOnlyList<Tensor> parts, ReadOnlySpan<double> weights)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (weights.IndexOfAnyExcept(0.0) is >= 0 and var whole && weights[whole] == 1 && !weights[(whole + 1)..].ContainsAnyExcept(0.0))
        {
            target.copy_(parts[whole]);
            return;
        }

        // Sums are float32: one tensor at a time where the weights are of a narrower type, else in place.
        Tensor sum = target.dtype == ScalarType.Float32 ? target : target.to(ScalarType.Float32);
        sum.copy_(parts[0]);
        sum.Mul_(weights[0]);
        for (int i = 1; i < parts.Count; i++)
        {
            sum.Add_(parts[i], weights[i]);
        }

        if (target.dtype != ScalarType.Float32)
        {
            target.copy_(sum);
        }
    }

    /// <summary>Returns the metadata that identify the endpoints in files.</summary>
    public Dictionary<string, string> Metadata(string format) =>
        new(StringComparer.Ordinal)
        {
            ["format"] = format,
            ["version"] = Version,
            ["first_fingerprint"] = First.Fingerprint(),
            ["second_fingerprint"] = Second.Fingerprint(),
            ["task"] = $"{Task}",
            ["settings"] = TaskEnd.Settings.ToJson(),
        };

    /// <summary>Reads and checks <see cref="Metadata"/> against the endpoints.</summary>
    /// <param name="file">The file.</param>
    /// <param name="format">The expected format.</param>
    /// <param name="what">The format in words, for error messages.</param>
    /// <param name="first">The first endpoint.</param>
    /// <param name="second">The second endpoint.</param>
    /// <returns>The ends.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">The file holds something else, or belongs to other endpoints.</exception>
    public static CheckpointEnds Read(SafetensorsFile file, string format, string what, TextClassifier first, TextClassifier second)
    {
        if (file.Metadata.GetValueOrDefault("format") != format)
        {
            throw new InvalidDataException($"{file.Path} holds no {what}: its metadata must say format '{format}'.");
        }

        if (Text(file, "version") is var version && version != Version)
        {
            throw new InvalidDataException(
                $"{file.Path} holds a {what} of format version {version}; this program reads version {Version}."
            );
        }

        var ends = new CheckpointEnds(first, second, Choice<Endpoint>(file, "task"));
        foreach ((string key, string found) in ends.Metadata(format))
        {
            if (Text(file, key) is var stored && stored != found)
            {
                throw new InvalidDataException(
                    $"{file.Path} holds a {what} of other models than these: its '{key}' is {stored}, and theirs is {found}. "
                        + "Load the two models that it was made between, in their order."
                );
            }
        }

        return ends;
    }

    /// <summary>Returns a metadata value.</summary>
    /// <exception cref="InvalidDataException">The value is missing.</exception>
    public static string Text(SafetensorsFile file, string key) =>
        file.Metadata.GetValueOrDefault(key) ?? throw new InvalidDataException($"{file.Path}: the metadata lacks '{key}'.");

    /// <summary>Returns an enum name in the metadata.</summary>
    /// <exception cref="InvalidDataException">The name is unknown.</exception>
    public static T Choice<T>(SafetensorsFile file, string key)
        where T : struct, Enum =>
        Text(file, key) is var text && Array.IndexOf(Enum.GetNames<T>(), text) is >= 0 and var index
            ? Enum.GetValues<T>()[index]
            : throw new InvalidDataException(
                $"{file.Path}: the metadata's '{key}' is '{text}'; it must be one of {string.Join(", ", Enum.GetNames<T>())}."
            );

    /// <summary>The other end's rows in the order of the task's end.</summary>
    private Tensor Aligned(string name, Tensor own, Tensor other) =>
        _words?.Holds(name) == true ? _words.Take(own, other.detach())
        : _match is not null && TaskEnd.Head.IsOutput(name) ? _match.Take(other.detach())
        : other;

    private bool Differs(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor first, Tensor second) = At(name);
        return first.dtype != second.dtype || !first.Equals(second);
    }
}
