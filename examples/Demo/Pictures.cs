using Microsoft.ML;
using SkillLoc.Evaluators;
using SkillLoc.Reports;
using SkillLoc.Transforms;

namespace SkillLoc.Demo;

/// <summary>The report of one seed: how sure the models are, where the skill lies, and which words carry it.</summary>
public sealed class Pictures
{
    private const int Explained = 6,
        Erased = 50;

    private readonly MLContext _ml;
    private readonly int _seed;
    private readonly ReportBuilder _report;

    /// <param name="ml">The context.</param>
    /// <param name="options">What the command line says.</param>
    /// <param name="test">The rows that are measured.</param>
    /// <param name="seed">The seed.</param>
    public Pictures(MLContext ml, DemoOptions options, TestSet test, int seed)
    {
        _ml = ml;
        _seed = seed;
        _report = ml.SkillLoc()
            .Report(
                "Where a model keeps its skill",
                $"{options.Task.Name}: a model fine-tuned on labelled rows, and grafts, the few parameters that keep what it learnt.",
                new Provenance
                {
                    Rows = $"{test.Name}: {test.About}",
                    Seeds = [seed],
                    Chosen = options.Choosing ? "settings, on these rows" : "the best state of training, on validation rows",
                    Command = options.Command,
                }
            );
    }

    /// <summary>Adds how often a model is right when it is so and so sure.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="scored">The scored rows.</param>
    public void AddCalibration(string model, IDataView scored) => _report.AddCalibration($"Calibration: {model}", scored);

    /// <summary>Adds where a graft lies, what its parts are worth, and which words and coordinates carried some rows.</summary>
    /// <param name="name">The graft's name.</param>
    /// <param name="graft">The model with the graft.</param>
    /// <param name="test">Rows with keys for labels.</param>
    /// <param name="cancellation">Stops it.</param>
    public void AddGraft(string name, GraftTransformer graft, IDataView test, CancellationToken cancellation)
    {
        IReadOnlyList<string> considered = graft.Classifier.Settings.Trained!.Of(graft.Classifier.Backbone);
        _report.Add(
            $"Where the skill lies: {name}",
            _ml.SkillLoc().Grafts.EvaluateGraftCells(graft, test, considered: considered, cancellation: cancellation)
        );
        using TextExplanationTransformer explainer = _ml.SkillLoc().ExplainText(graft, coordinates: 10);
        _report
            .Add($"Which words carry it: {name}", explainer.Explain(test, Explained, cancellation))
            .Add(
                "Whether these words are the right ones",
                _ml.SkillLoc().Evaluation.EvaluateExplanations(explainer, test, seed: _seed, most: Erased, cancellation: cancellation)
            );
    }

    /// <summary>Adds how models do on all test sets.</summary>
    /// <param name="accuracies">The accuracy by model and test set.</param>
    public void AddAccuracies(NamedMatrix accuracies) => _report.Add("All test sets", accuracies);

    /// <summary>Writes the page, and its pictures as files.</summary>
    /// <param name="folder">Where to.</param>
    public void Save(string folder)
    {
        _report.Save(Path.Combine(folder, "report.html"));
        _report.SaveFiles(Path.Combine(folder, "pictures"));
    }
}
