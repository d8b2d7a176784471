using System.Globalization;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using TorchSharp.Modules;

namespace SkillLoc.Trainers;

/// <summary>Determines the coordinates that train: those of the selected parameters, within a region if there is one, without the frozen
/// ones.</summary>
internal static class CoordinateMask
{
    /// <summary>
    /// Returns the trained parameters of classifiers with one backbone; new classification heads and adaptations train completely.
    /// </summary>
    /// <exception cref="ArgumentException">A coordinate is outside the model or does not train, or no coordinate trains.</exception>
    public static TrainedParameter[] Apply(PromptFineTuneTrainer.Options options, IReadOnlyList<TextClassifier> classifiers)
    {
        TextClassifier classifier = classifiers[0];
        if (options.Tuning is not null)
        {
            return [.. classifier.TunedParameters.Select(pair => new TrainedParameter(pair.Key, pair.Value, null, null, decays: false))];
        }

        IReadOnlyDictionary<string, Parameter> weights = classifier.Backbone.Parameters;
        var selected = options.Selection.Of(classifier.Backbone).ToHashSet(StringComparer.Ordinal);
        Dictionary<string, SortedSet<long>>? region = options.Region is { } parts ? Coordinates(parts, weights, "Region") : null;
        Dictionary<string, SortedSet<long>> frozen = Coordinates(options.Frozen.SelectMany(graft => graft.Parts), weights, "Frozen");
        if (region?.Keys.FirstOrDefault(name => !selected.Contains(name)) is { } outside)
        {
            throw new ArgumentException(
                $"Options.Region has coordinates of '{outside}', which does not train: FixEmbeddings, FixHead, FixLayers and BiasOnly must "
                + "leave the region's parameters free.");
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

            trained.AddRange(classifiers.SelectMany((each, task) =>
                each.Head.Parameters.Select(pair => new TrainedParameter(HeadName(pair.Key, task), pair.Value, null, null))));
            return trained.Count > 0 ? [.. trained] : throw new ArgumentException("Everything is fixed: no parameter is left to train.");
        }
        catch
        {
            trained.ForEach(parameter => parameter.Dispose());
            throw;
        }
    }

    /// <summary>Returns the training name of a parameter of a task's head; for the first task, the head's own name.</summary>
    public static string HeadName(string name, int task) => task == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}#{task}");

    private static Dictionary<string, SortedSet<long>> Coordinates(
        IEnumerable<GraftPart> parts, IReadOnlyDictionary<string, Parameter> weights, string option)
    {
        var coordinates = new Dictionary<string, SortedSet<long>>(StringComparer.Ordinal);
        foreach (GraftPart part in parts.Where(part => part.Indices.Length > 0))
        {
            if (!weights.TryGetValue(part.Name, out Parameter? weight))
            {
                throw new ArgumentException($"Options.{option} has coordinates of '{part.Name}', which the model does not have.");
            }

            if (!coordinates.TryGetValue(part.Name, out SortedSet<long>? indices))
            {
                coordinates.Add(part.Name, indices = []);
            }

            indices.UnionWith(part.Indices.Select(index => (long)index));
            if (indices.Min < 0 || indices.Max >= weight.numel())
            {
                throw new ArgumentException(
                    $"Options.{option} has coordinate {(indices.Min < 0 ? indices.Min : indices.Max)} of '{part.Name}', whose {weight.numel()} "
                    + "coordinates count from 0.");
            }
        }

        return coordinates;
    }
}
