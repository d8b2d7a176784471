using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Interpolation;

/// <summary>
/// Two checkpoints that models are made between, and the parameters that differ at them. Where the ends have different labels, their last
/// projections are not among these: labels, last projection, template and words are those of the end whose task it is (methods, C.9). Where they
/// have the same labels in another order, the rows of the other end's last projection are matched by name. Where their vocabularies differ,
/// the vocabulary is that of the end whose task it is too, and rows go by the texts of their tokens (<see cref="VocabularyMatch"/>).
/// </summary>
internal sealed class CheckpointEnds
{
    private const string Version = "1";

    /// <summary>Matches the labels of the end that does not have the task; null where they stand in the same order.</summary>
    private readonly HeadMatch? _match;

    /// <summary>Matches the tokens of the end that does not have the task; null where they stand in the same order.</summary>
    private readonly VocabularyMatch? _words;

    /// <summary>The parameters that both ends have.</summary>
    private readonly OrderedDictionary<string, (Parameter First, Parameter Second)> _ends;

    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    public CheckpointEnds(TextClassifier first, TextClassifier second, PathEnd task)
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
            StringComparer.Ordinal);
        Names = [.. _ends.Keys.Where(Differs)];

        bool Mixed(string name) => oneTask || !(first.Head.IsOutput(name) || second.Head.IsOutput(name));
    }

    public TextClassifier First { get; }

    public TextClassifier Second { get; }

    public PathEnd Task { get; }

    /// <summary>The end whose task it is.</summary>
    public TextClassifier TaskEnd => Task == PathEnd.First ? First : Second;

    /// <summary>The names of the parameters that differ, in the order of the checkpoints.</summary>
    public IReadOnlyList<string> Names { get; }

    private TextClassifier OtherEnd => Task == PathEnd.First ? Second : First;

    /// <summary>Whether a parameter is mixed: all but the last projections of other labels.</summary>
    public bool Has(string name) => _ends.ContainsKey(name);

    /// <summary>A parameter's values at both ends, rows in the order of the task's end: the ends' own tensors, or copies in the caller's
    /// dispose scope.</summary>
    /// <param name="name">One that there is (<see cref="Has"/>).</param>
    public (Tensor First, Tensor Second) At(string name)
    {
        (Tensor first, Tensor second) = _ends[name];
        using IDisposable noGradients = no_grad();
        return Task == PathEnd.First ? (first, Aligned(name, first, second)) : (Aligned(name, second, first), second);
    }

    /// <summary>A model that shares the backbone's parameters that are the same at both ends.</summary>
    public TextClassifier CreateWalker()
    {
        HashSet<string> differ = [.. Names];
        return TaskEnd.Clone(name => !differ.Contains(name));
    }

    /// <summary>A walker's parameters.</summary>
    /// <exception cref="ArgumentException">It is no walker between these ends.</exception>
    public IReadOnlyDictionary<string, Parameter> Targets(TextClassifier walker)
    {
        ArgumentNullException.ThrowIfNull(walker);
        IReadOnlyDictionary<string, Parameter> targets = walker.Parameters;
        return ReferenceEquals(walker, First) || ReferenceEquals(walker, Second) || Names.Any(name => !targets.ContainsKey(name))
            ? throw new ArgumentException($"Only a model that {nameof(CreateWalker)} made can walk between the ends.", nameof(walker))
            : targets;
    }

    /// <summary>Sets a parameter to a weighted sum, of which one tensor at a time is computed; a weight of 1 gives its tensor bit for
    /// bit.</summary>
    /// <param name="target">The parameter.</param>
    /// <param name="parts">Tensors of its shape.</param>
    /// <param name="weights">As many weights, 0 or more, with the sum 1.</param>
    public static void SetToSum(Parameter target, IReadOnlyList<Tensor> parts, ReadOnlySpan<double> weights)
    {
        using IDisposable noGradients = no_grad();
        using var scope = NewDisposeScope();
        if (weights.IndexOf(1.0) is >= 0 and var whole)
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

    /// <summary>What a file of a model between these ends says of them.</summary>
    public Dictionary<string, string> Metadata(string format) => new(StringComparer.Ordinal)
    {
        ["format"] = format,
        ["version"] = Version,
        ["first_fingerprint"] = First.Fingerprint(),
        ["second_fingerprint"] = Second.Fingerprint(),
        ["task"] = $"{Task}",
        ["settings"] = TaskEnd.Settings.ToJson(),
    };

    /// <summary>Reads what <see cref="Metadata"/> says, for the ends that it was written for.</summary>
    /// <param name="file">The file.</param>
    /// <param name="format">What it must hold.</param>
    /// <param name="what">The same in words.</param>
    /// <param name="first">One end.</param>
    /// <param name="second">The other.</param>
    /// <returns>The ends.</returns>
    /// <exception cref="ArgumentException">The ends differ in more than weights; the first five differences are named.</exception>
    /// <exception cref="InvalidDataException">The file holds something else, or is for other ends.</exception>
    public static CheckpointEnds Read(SafetensorsFile file, string format, string what, TextClassifier first, TextClassifier second)
    {
        if (file.Metadata.GetValueOrDefault("format") != format)
        {
            throw new InvalidDataException($"{file.Path} holds no {what}: its metadata must say format '{format}'.");
        }

        if (Text(file, "version") is var version && version != Version)
        {
            throw new InvalidDataException($"{file.Path} holds a {what} of format version {version}; this program reads version {Version}.");
        }

        var ends = new CheckpointEnds(first, second, Choice<PathEnd>(file, "task"));
        foreach ((string key, string found) in ends.Metadata(format))
        {
            if (Text(file, key) is var stored && stored != found)
            {
                throw new InvalidDataException(
                    $"{file.Path} holds a {what} of other models than these: its '{key}' is {stored}, and theirs is {found}. "
                    + "Load the two models that it was made between, in their order.");
            }
        }

        return ends;
    }

    /// <summary>A value of a file's metadata.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public static string Text(SafetensorsFile file, string key) => file.Metadata.GetValueOrDefault(key)
        ?? throw new InvalidDataException($"{file.Path}: the metadata lacks '{key}'.");

    /// <summary>A name in a file's metadata.</summary>
    /// <exception cref="InvalidDataException">It is none of those there are.</exception>
    public static T Choice<T>(SafetensorsFile file, string key)
        where T : struct, Enum => Text(file, key) is var text && Array.IndexOf(Enum.GetNames<T>(), text) is >= 0 and var index
            ? Enum.GetValues<T>()[index]
            : throw new InvalidDataException(
                $"{file.Path}: the metadata's '{key}' is '{text}'; it must be one of {string.Join(", ", Enum.GetNames<T>())}.");

    /// <summary>The other end's rows in the order of the task's end.</summary>
    private Tensor Aligned(string name, Tensor own, Tensor other) =>
        _words?.Holds(name) == true ? _words.Take(own, other.detach())
        : _match is not null && TaskEnd.Head.IsOutput(name) ? _match.Take(other.detach())
        : other;

    private bool Differs(string name)
    {
        using var scope = NewDisposeScope();
        (Tensor first, Tensor second) = At(name);
        return first.dtype != second.dtype || !first.Equals(second);
    }
}
