using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Explanations;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Transforms;

/// <summary>
/// Appends what carried a classifier's output for each row: the tokens of its texts with their scores, and, where asked for, the
/// coordinates of a graft and feed-forward neurons (<see cref="TextExplainer"/>). It shares the model's weights, and may outlive it.
/// </summary>
/// <remarks>Prediction engines share the transformer as described at <see cref="TextScoringTransformer"/>. Rows are explained on one
/// thread.</remarks>
public sealed class TextExplanationTransformer : ITransformer, IRowScorer, IDisposable
{
    private readonly ScoringColumns _columns;
    private readonly ClassifierSettings _settings;
    private readonly Ownership _ownership;
    private readonly ExplanationColumn[] _added;

    /// <summary>Creates a transformer.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentException">An option is missing, or does not fit the model; the vocabulary lacks the baseline's
    /// token.</exception>
    public TextExplanationTransformer(Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        TextScoringTransformer model = options.Model!;
        _columns = model.Columns;
        _settings = model.Classifier.Settings;
        Method = options.Method;
        using GraftTransformer? without = options.Coordinates > 0 && model is GraftTransformer grafted ? grafted.WithoutGraft() : null;
        Explainer = new(
            model.Classifier,
            new()
            {
                Label = options.Label,
                Method = options.Method,
                Baseline = options.Baseline,
                Steps = options.Steps,
                Graft = without is null ? null : ((GraftTransformer)model).Graft,
                WithoutGraft = without?.Classifier,
                MostCoordinates = options.Coordinates,
                Neurons = options.Neurons,
                NeuronMeans = options.NeuronMeans,
                MostNeurons = options.MostNeurons,
            }
        );
        _ownership = new(this, Explainer.Dispose);
        _added = ExplanationColumn.Of(options.ColumnPrefix, without is not null, options.Neurons is not null);
    }

    /// <summary>How tokens get their scores.</summary>
    public AttributionMethod Method { get; }

    /// <summary>The names of the added columns, in their order.</summary>
    public IReadOnlyList<string> AddedColumns => [.. _added.Select(column => column.Name)];

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is explained by itself.</summary>
    public bool IsRowToRowMapper => true;

    /// <summary>What explains.</summary>
    internal TextExplainer Explainer { get; }

    /// <summary>The columns that it reads.</summary>
    internal ScoringColumns Columns => _columns;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. _columns.Inputs];

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        ScoringSchema.Append(
            inputSchema,
            _columns,
            builder => Array.ForEach(_added, column => builder.AddColumn(column.Name, column.Type))
        );

    /// <summary>Explains lazily, when rows are read.</summary>
    /// <param name="input">A view with the text columns.</param>
    /// <returns>The view with the added columns.</returns>
    /// <exception cref="ObjectDisposedException">The transformer was disposed; also thrown when a row is read afterwards.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>Explains rows as records, for a report or for code of your own.</summary>
    /// <param name="rows">A view with the text columns.</param>
    /// <param name="most">The most rows that are read.</param>
    /// <param name="cancellation">Stops between passes with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>One record per row.</returns>
    /// <exception cref="InvalidOperationException">A row cannot be encoded.</exception>
    public IReadOnlyList<TextExplanation> Explain(IDataView rows, int most = int.MaxValue, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(most);
        RowTexts[] texts = Read(rows, most);
        return Explain(texts, Encode(texts), cancellation);
    }

    /// <summary>Not supported: vectors of texts cannot be restored from an ML.NET model by public API.</summary>
    /// <param name="ctx">Not used.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        throw new NotSupportedException(
            "Explanations cannot be saved into an ML.NET model; save the model that they explain, and make the transformer anew."
        );

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        _ownership.Check();
        return [.. Explain(rows, Encode(rows), cancellation).Select(explanation => new ExplainedRow(explanation))];
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) =>
        [.. _added.Select(column => column.Getter(() => ((ExplainedRow)current()).Explanation))];

    /// <summary>Releases the model, also for engines and views, now or at the end of the last running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    /// <summary>The texts of some rows.</summary>
    internal RowTexts[] Read(IDataView rows, int most)
    {
        ScoringSchema.CheckInputs(rows.Schema, _columns);
        string[] inputs = [.. _columns.Inputs];
        var texts = new List<RowTexts>();
        using DataViewRowCursor cursor = rows.GetRowCursor(rows.Schema.Where(column => inputs.Contains(column.Name)));
        Func<string[]> read = InputTexts.Reader(cursor, inputs);
        while (texts.Count < most && cursor.MoveNext())
        {
            texts.Add(new(read(), cursor.Position));
        }

        return [.. texts];
    }

    internal EncodedText[] Encode(IEnumerable<RowTexts> rows) =>
        [.. rows.Select(row => row.Encode(Explainer.Encode, _columns, _settings.HasTextPair))];

    internal TextExplanation[] Explain(IReadOnlyList<RowTexts> texts, EncodedText[] encoded, CancellationToken cancellation) =>
        Explainer.Explain(
            encoded,
            [.. texts.Select(row => row.Values[0])],
            _settings.HasTextPair ? [.. texts.Select(row => row.Values[1])] : null,
            cancellation
        );

    private sealed class ExplainedRow(TextExplanation explanation) : RowScores([], null)
    {
        public TextExplanation Explanation => explanation;
    }

    /// <summary>Options of explanations.</summary>
    public sealed class Options
    {
        /// <summary>The model, which is not changed.</summary>
        public TextScoringTransformer? Model;

        /// <summary>The label to explain; null (default) for each row's most probable one.</summary>
        public string? Label;

        /// <summary>How tokens get their scores; integrated gradients by default.</summary>
        public AttributionMethod Method = AttributionMethod.IntegratedGradients;

        /// <summary>What tokens are compared with; the padding token by default.</summary>
        public AttributionBaseline Baseline = AttributionBaseline.Padding;

        /// <summary>Number of nodes of the numerical integral, 1 to 1000; 32 by default.</summary>
        public int Steps = 32;

        /// <summary>How many coordinates are named for a row, where the model is a graft; 0 (default) leaves them out.</summary>
        public int Coordinates;

        /// <summary>Feed-forward neurons to explain, <c>[layers, neurons]</c>, such as a probe's; null for none.</summary>
        public NeuronSet? Neurons;

        /// <summary>What neurons are compared with, such as a probe's thresholds; null for zeros.</summary>
        public NeuronValues? NeuronMeans;

        /// <summary>How many of the neurons are named for a row; 10 by default.</summary>
        public int MostNeurons = 10;

        /// <summary>What the names of the added columns begin with.</summary>
        public string ColumnPrefix = "Explained";

        /// <exception cref="ArgumentException">An option is missing, or does not fit the model.</exception>
        internal void Check()
        {
            ArgumentNullException.ThrowIfNull(ColumnPrefix);
            ArgumentOutOfRangeException.ThrowIfNegative(Coordinates);
            if (Model is null)
            {
                throw new ArgumentException($"Options.{nameof(Model)} must be given.");
            }

            if (Model is NeuronPerturbationTransformer)
            {
                throw new ArgumentException("A model whose neurons are perturbed is not explained; explain the model that is perturbed.");
            }

            if (Coordinates > 0 && Model is not GraftTransformer { Graft.Outside: GraftOutside.PreTrained })
            {
                throw new ArgumentException(
                    $"Options.{nameof(Coordinates)} needs a graft, such as what GraftMask fits, with the base's values outside its mask."
                );
            }
        }
    }
}
