using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Trainers;

/// <summary>
/// The parameters that fine-tuning trains: those of the selection, within a region if there is one and without frozen coordinates, with
/// their stand-ins in forward passes: a copy of another type, or another task's view of the same storage.
/// </summary>
internal sealed class TrainableParameters : IDisposable
{
    private readonly TextClassifier[] _classifiers;
    private readonly TextClassifier[] _passes;

    /// <summary>Parameters that get a gradient: those that train, or all, for the norm's sake; each with its stand-ins in passes.</summary>
    private readonly (Parameter Master, Parameter[] StandIns)[] _differentiated;

    /// <summary>Those that train, with the first of their stand-ins, whose storage the others share.</summary>
    private readonly (Parameter Master, Parameter StandIn)[] _copied;

    /// <summary>The parameters whose gradients the norm includes.</summary>
    private readonly Parameter[] _clipped;

    /// <param name="options">The options that select parameters and precision.</param>
    /// <param name="classifiers">The tasks' classifiers; if there are several, all share the first one's storage.</param>
    /// <exception cref="ArgumentException">A coordinate is not in the model or is not trained, or nothing is left to train.</exception>
    public TrainableParameters(PromptFineTuneTrainer.Options options, IReadOnlyList<TextClassifier> classifiers)
    {
        _classifiers = [.. classifiers];
        TextClassifier classifier = _classifiers[0];
        Trained = Select(options, _classifiers);
        (string Name, Parameter Master)[] differentiated = [.. Trained.Select(parameter => (parameter.Name, parameter.Weight))];
        _clipped = [.. Trained.Select(parameter => parameter.Value)];
        if (options.ClipOverAllParameters)
        {
            var names = Trained.Select(parameter => parameter.Name).ToHashSet(StringComparer.Ordinal);
            (string, Parameter Weight)[] others =
            [
                .. classifier.Backbone.Parameters.Where(pair => !names.Contains(pair.Key)).Select(pair => (pair.Key, pair.Value)),
            ];
            differentiated = [.. differentiated, .. others];
            _clipped = [.. _clipped, .. others.Select(pair => pair.Weight)];
        }

        foreach (TrainedParameter parameter in Trained)
        {
            if (options.L1 > 0 && parameter.HasL1Penalty)
            {
                parameter.KeepStart();
            }

            parameter.AddMoments(options.Optimizer);
        }

        // The classifiers' own weights are the float32 masters; a bfloat16 copy runs the passes.
        _passes = _classifiers;
        if (options.Precision != Precision.Float32)
        {
            TextClassifier copy = classifier.Clone(dtype: options.Precision.ToScalarType());
            _passes = [copy, .. _classifiers.Skip(1).Select(each => copy.ForTask(each.Settings))];
        }

        ILookup<string, Parameter> passes = _passes
            .SelectMany(Named)
            .ToLookup(pair => pair.Name, pair => pair.Value, StringComparer.Ordinal);
        _differentiated =
        [
            .. differentiated.Select(pair => (pair.Master, passes[pair.Name].Where(pass => !ReferenceEquals(pass, pair.Master)).ToArray())),
        ];
        _copied = HasCopies ? [.. Trained.Select(parameter => (parameter.Weight, passes[parameter.Name].First()))] : [];
        SyncWeights();
    }

    /// <summary>The parameters that the optimiser updates.</summary>
    public TrainedParameter[] Trained { get; }

    /// <summary>The classifiers that forward passes use, one per task.</summary>
    public IReadOnlyList<TextClassifier> Passes => _passes;

    private bool HasCopies => !ReferenceEquals(_passes, _classifiers);

    /// <summary>Enables or disables gradients.</summary>
    public void RequireGradients(bool required)
    {
        foreach (Parameter parameter in _differentiated.SelectMany(pair => pair.StandIns.Prepend(pair.Master)))
        {
            parameter.requires_grad_(required);
            parameter.grad = null!;
        }
    }

    /// <summary>Prepares an update.</summary>
    public void ClearGradients()
    {
        foreach ((Parameter master, _) in _differentiated)
        {
            master.grad = null!;
        }
    }

    /// <summary>After a backward pass: moves the gradients of the stand-ins to the masters.</summary>
    public void AccumulateGradients()
    {
        using DisposeScope scope = NewDisposeScope();
        foreach ((Parameter master, Parameter[] standIns) in _differentiated)
        {
            foreach (Parameter pass in standIns)
            {
                if (pass.grad is { } gradient)
                {
                    gradient = gradient.to(master.dtype);
                    if (master.grad is { } sum)
                    {
                        sum.Add_(gradient);
                    }
                    else
                    {
                        master.grad = gradient;
                    }

                    pass.grad = null!;
                }
            }
        }
    }

    /// <summary>After all backward passes of an update: keeps the gradients of trained parameters, adds the L1 penalty's, and
    /// clips.</summary>
    /// <param name="l1">The strength of the L1 penalty.</param>
    /// <param name="maxNorm">The maximum norm; 0 to not clip.</param>
    /// <returns>The L1 penalty.</returns>
    public double FinishGradients(double l1, double maxNorm)
    {
        Array.ForEach(Trained, parameter => parameter.TakeGradient());
        double penalty = l1 > 0 ? AddL1Penalty(l1) : 0;
        if (maxNorm > 0)
        {
            nn.utils.clip_grad_norm_(_clipped, maxNorm);
        }

        return penalty;
    }

    /// <summary>After the optimiser's step: copies the new values to the model and to the stand-ins.</summary>
    public void WriteBack()
    {
        Array.ForEach(Trained, parameter => parameter.WriteBack());
        SyncWeights();
    }

    /// <summary>Copies the master weights to their stand-ins.</summary>
    public void SyncWeights()
    {
        using IDisposable noGradients = no_grad();
        foreach ((Parameter master, Parameter standIn) in _copied)
        {
            standIn.copy_(master);
        }
    }

    public void Dispose()
    {
        Array.ForEach(Trained, parameter => parameter.Dispose());
        if (HasCopies)
        {
            Array.ForEach(_passes, pass => pass.Dispose());
        }
    }

    /// <summary>The name under which a parameter of a task's head trains; the first task's is the head's own.</summary>
    public static string HeadName(string name, int task) =>
        task == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}#{task}");

    /// <summary>A task's parameters, by the names under which they train.</summary>
    private static IEnumerable<(string Name, Parameter Value)> Named(TextClassifier classifier, int task)
    {
        IReadOnlyDictionary<string, Parameter> backbone = classifier.Backbone.Parameters,
            head = classifier.Head.Parameters;
        return backbone
            .Select(pair => (pair.Key, pair.Value))
            .Concat(head.Select(pair => (HeadName(pair.Key, task), pair.Value)))
            .Concat(
                classifier
                    .TunedParameters.Where(pair => !backbone.ContainsKey(pair.Key) && !head.ContainsKey(pair.Key))
                    .Select(pair => (pair.Key, pair.Value))
            );
    }

    /// <summary>The penalty's gradient needs no graph.</summary>
    private double AddL1Penalty(double strength)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor[] sums = [.. Trained.Where(parameter => parameter.HasL1Penalty).Select(parameter => parameter.AddL1Penalty(strength))];
        return sums.Length == 0 ? 0 : strength * stack(sums).sum().item<float>();
    }

    /// <summary>
    /// Selects the trained parameters of classifiers over one backbone; classification heads and the parameters of a tuning method are
    /// trained entirely.
    /// </summary>
    /// <exception cref="ArgumentException">A coordinate is not in the model or is not trained, or nothing is left to train.</exception>
    private static TrainedParameter[] Select(PromptFineTuneTrainer.Options options, TextClassifier[] classifiers)
    {
        TextClassifier classifier = classifiers[0];
        if (options.Tuning is not null)
        {
            return [.. classifier.TunedParameters.Select(pair => new TrainedParameter(pair.Key, pair.Value, null, null, decays: false))];
        }

        IReadOnlyDictionary<string, Parameter> weights = classifier.Backbone.Parameters;
        var selected = options.Selection.Of(classifier.Backbone).ToHashSet(StringComparer.Ordinal);
        Dictionary<string, SortedSet<long>>? region = options.Region is { } parts
            ? GraftPart.CoordinatesIn(parts, weights, "Options.Region")
            : null;
        Dictionary<string, SortedSet<long>> frozen = GraftPart.CoordinatesIn(
            options.Frozen.SelectMany(graft => graft.Parts),
            weights,
            "Options.Frozen"
        );
        if (region?.Keys.FirstOrDefault(name => !selected.Contains(name)) is { } outside)
        {
            throw new ArgumentException(
                $"Options.Region has coordinates of '{outside}', which does not train: FixEmbeddings, FixHead, FixLayers and BiasOnly must "
                    + "leave the region's parameters free."
            );
        }

        var trained = new List<TrainedParameter>();
        try
        {
            foreach ((string name, Parameter weight) in weights.Where(pair => selected.Contains(pair.Key)))
            {
                SortedSet<long>? kept = frozen.GetValueOrDefault(name);
                if (region is null)
                {
                    trained.Add(new(name, weight, null, kept is null ? null : [.. kept]));
                }
                else if (region.GetValueOrDefault(name) is { } own)
                {
                    own.ExceptWith(kept ?? []);
                    if (own.Count > 0)
                    {
                        trained.Add(new(name, weight, [.. own], null));
                    }
                }
            }

            trained.AddRange(
                classifiers.SelectMany(
                    (each, task) =>
                        each.Head.Parameters.Select(pair => new TrainedParameter(HeadName(pair.Key, task), pair.Value, null, null))
                )
            );
            return trained.Count > 0 ? [.. trained] : throw new ArgumentException("Everything is fixed: no parameter is left to train.");
        }
        catch
        {
            trained.ForEach(parameter => parameter.Dispose());
            throw;
        }
    }
}
