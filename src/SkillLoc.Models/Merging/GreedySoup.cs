namespace SkillLoc.Models.Merging;

/// <summary>
/// A greedy soup (Wortsman et al. 2022): models are tried from the best to the worst, and each stays in the mean if the mean does not become
/// worse on validation data.
/// </summary>
public static class GreedySoup
{
    /// <summary>Chooses models and writes their mean.</summary>
    /// <param name="models">The models, of one architecture.</param>
    /// <param name="evaluate">Measures a checkpoint folder; more is better. It is called for every model that is a folder, and for each
    /// mean that is tried.</param>
    /// <param name="folder">The folder of the result.</param>
    /// <returns>The models that are in the mean, the best first, with the measure of the mean when each came in.</returns>
    /// <exception cref="ArgumentException">There is no model, or a measure is no number.</exception>
    /// <exception cref="InvalidDataException">The models do not fit one another.</exception>
    /// <exception cref="IOException">The folder could not be written; an existing one is unchanged.</exception>
    public static IReadOnlyList<SoupIngredient> Run(IReadOnlyList<MergeModel> models, Func<string, double> evaluate, string folder)
    {
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(evaluate);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (models.Count == 0)
        {
            throw new ArgumentException("There is no model.", nameof(models));
        }

        string temporary = Directory.CreateTempSubdirectory("skillloc-soup-").FullName;
        try
        {
            SoupIngredient[] ordered =
            [
                .. models.Select(model => new SoupIngredient(model, Measure([model]))).OrderByDescending(one => one.Metric),
            ];
            List<SoupIngredient> kept = [ordered[0]];
            foreach (MergeModel model in ordered.Skip(1).Select(one => one.Model))
            {
                double metric = Measure([.. kept.Select(one => one.Model), model]);
                if (metric >= kept[^1].Metric)
                {
                    kept.Add(new(model, metric));
                }
            }

            ModelMerge.Run(Mean(kept.Select(one => one.Model)), folder);
            return kept;
        }
        finally
        {
            Directory.Delete(temporary, recursive: true);
        }

        double Measure(IEnumerable<MergeModel> soup)
        {
            string place = Path.Join(temporary, "soup");
            ModelMerge.Run(Mean(soup), place);
            double metric = evaluate(place);
            return double.IsNaN(metric) ? throw new ArgumentException("The measure of a model is no number.", nameof(evaluate)) : metric;
        }
    }

    private static MergeRecipe Mean(IEnumerable<MergeModel> models) =>
        new() { Method = "linear", Models = [.. models.Select(model => new MergeInput(model))] };
}

/// <summary>A model of a soup.</summary>
/// <param name="Model">The model.</param>
/// <param name="Metric">The measure of the mean when it came in.</param>
public sealed record SoupIngredient(MergeModel Model, double Metric);
