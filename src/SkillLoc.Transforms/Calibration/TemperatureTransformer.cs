using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>
/// Divides the logits of scores by one temperature T and makes probabilities of them again: softmax(z / T), of one probability p of true
/// 1 / (1 + exp(-logit(p) / T)) (Guo et al., 2017, On Calibration of Modern Neural Networks, section 4.2). A temperature above 1 makes a
/// model less sure, one below 1 surer; which label is the most probable, and the predicted label, stay the same.
/// </summary>
/// <remarks>
/// The logits of probabilities are their logarithms, and a probability below 1.18e-38, the smallest normal Single, counts as that: else a
/// wrong label with probability 0 would cost infinitely much at any temperature. A binary trainer's 1 counts as 1 - 2^-25, which rounds to
/// it. The new scores keep slot names and annotations; of a loaded model slot names alone, as nothing public of ML.NET restores the others.
/// </remarks>
public sealed class TemperatureTransformer : ITransformer
{
    /// <summary>The lowest temperature that is fitted, at which scores are all but 0 and 1.</summary>
    public const double LowestTemperature = 0.01;

    /// <summary>The highest temperature that is fitted, at which scores are all but equal.</summary>
    public const double HighestTemperature = 100;

    /// <summary>The smallest normal Single; logarithms stay finite.</summary>
    internal const float Floor = 1.17549435e-38f;

    /// <summary>Half the step of a Single below 1: what rounds to 1 is no surer than that.</summary>
    private const double HalfStep = 1.0 / (1 << 25);

    private readonly ITransformer _chain;
    private readonly string _source;

    /// <param name="input">A view with the scores; its rows are not read.</param>
    /// <param name="source">The scores' column.</param>
    /// <param name="output">The column that the new ones get.</param>
    /// <param name="form">Probabilities or logits.</param>
    /// <param name="temperature">The temperature.</param>
    internal TemperatureTransformer(IDataView input, string source, string output, ScoreForm form, double temperature)
    {
        (ScoreColumnName, Form, Temperature, _source) = (output, form, temperature, source);
        var ml = new MLContext();
        EstimatorChain<ITransformer> chain = new EstimatorChain<ITransformer>()
            .Append<ITransformer>(ml.Transforms.CustomMapping(new ConstantKeyMapping().GetMapping(), ConstantKeyMapping.Contract))
            .Append<ITransformer>(SavedScorer.Constant(ml, CarrierColumns.Temperature, (float)temperature));
        _chain = (input.Schema[source].Type is VectorDataViewType
            ? Several(ml, chain, source, output, form)
            : Binary(ml, chain, source, output, form)).Fit(input);
    }

    /// <summary>What logits are divided by.</summary>
    public double Temperature { get; }

    /// <summary>Whether scores are taken as probabilities or as logits.</summary>
    public ScoreForm Form { get; }

    /// <summary>The column with the new scores: that of the old ones, or <c>Probability</c> where a binary trainer's is a margin alone.</summary>
    public string ScoreColumnName { get; }

    /// <summary>How many rows it was fitted on.</summary>
    public long Count { get; init; }

    /// <summary>The mean negative log-likelihood of the fitted rows, in nats, before: at temperature 1.</summary>
    public double LogLossBefore { get; init; }

    /// <summary>The mean negative log-likelihood of the fitted rows, in nats, at <see cref="Temperature"/>.</summary>
    public double LogLoss { get; init; }

    /// <summary>True: each row is changed by itself.</summary>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return Annotate(_chain.GetOutputSchema(inputSchema), inputSchema);
    }

    /// <summary>Changes scores lazily: nothing runs before rows are read.</summary>
    /// <param name="input">A view with the scores.</param>
    /// <returns>The view with the new scores.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are no scores, or they are of another type than those that it was fitted on.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        IDataView changed = _chain.Transform(input);
        return new AnnotatedView(changed, Annotate(changed.Schema, input.Schema));
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        IRowToRowMapper mapper = _chain.GetRowToRowMapper(inputSchema);
        return new AnnotatedRowMapper(mapper, Annotate(mapper.OutputSchema, inputSchema));
    }

    /// <summary>Writes built-in transformers, which any program with SkillLoc's assemblies beside it loads.</summary>
    /// <param name="ctx">Where ML.NET wants it.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) => _chain.Save(ctx);

    /// <summary>The logit of a probability, which is finite.</summary>
    internal static double Logit(float probability) =>
        Math.Log(Math.Max(probability, Floor)) - Math.Log(Math.Max(1 - (double)probability, HalfStep));

    // Real numbers in an expression are read by the culture of the program that loads it, so that all but whole ones are columns.
    private static EstimatorChain<ITransformer> Several(
        MLContext ml, EstimatorChain<ITransformer> chain, string source, string output, ScoreForm form)
    {
        const string Shift = "(z, highest, t, logSum) => exp((z - highest) / t - logSum)";
        List<string> dropped =
            [CarrierColumns.Key, CarrierColumns.Temperature, CarrierColumns.Logits, CarrierColumns.Highest, CarrierColumns.LogSum];
        if (form == ScoreForm.Logits)
        {
            chain = chain.Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Logits, source));
        }
        else
        {
            chain = chain
                .Append<ITransformer>(SavedScorer.Constant(ml, CarrierColumns.Floor, Floor))
                .Append<ITransformer>(ml.Transforms.Expression(
                    CarrierColumns.Logits, "(p, floor) => log(p < floor ? floor : p)", source, CarrierColumns.Floor));
            dropped.Add(CarrierColumns.Floor);
        }

        return chain
            .Append<ITransformer>(ml.Transforms.CustomMapping(new LogSumMapping().GetMapping(), LogSumMapping.Contract))
            .Append<ITransformer>(ml.Transforms.Expression(
                output, Shift, CarrierColumns.Logits, CarrierColumns.Highest, CarrierColumns.Temperature, CarrierColumns.LogSum))
            .Append<ITransformer>(ml.Transforms.DropColumns([.. dropped]));
    }

    private static EstimatorChain<ITransformer> Binary(
        MLContext ml, EstimatorChain<ITransformer> chain, string source, string output, ScoreForm form) =>
        chain
            .Append<ITransformer>(SavedScorer.Constant(ml, CarrierColumns.IsLogit, form == ScoreForm.Logits))
            .Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Scores, source))
            .Append<ITransformer>(ml.Transforms.CustomMapping(new BinaryTemperatureMapping().GetMapping(), BinaryTemperatureMapping.Contract))
            .Append<ITransformer>(ml.Transforms.CopyColumns(output, CarrierColumns.Probability))
            .Append<ITransformer>(ml.Transforms.DropColumns(
                CarrierColumns.Key, CarrierColumns.Temperature, CarrierColumns.IsLogit, CarrierColumns.Scores, CarrierColumns.Probability));

    /// <summary>The new scores have the annotations of the old ones; a probability that is made of a margin, the margin's, and what it is.</summary>
    private DataViewSchema Annotate(DataViewSchema changed, DataViewSchema input)
    {
        DataViewSchema.Annotations annotations = input[_source].Annotations;
        if (ScoreColumnName != _source)
        {
            var probability = new DataViewSchema.Annotations.Builder();
            probability.Add(annotations, kind => kind is not (ScoreAnnotations.ValueKind or ScoreAnnotations.IsNormalized));
            probability.AddPrimitiveValue(ScoreAnnotations.ValueKind, TextDataViewType.Instance, "Probability".AsMemory());
            probability.AddPrimitiveValue(ScoreAnnotations.IsNormalized, BooleanDataViewType.Instance, true);
            annotations = probability.ToAnnotations();
        }

        int place = changed[ScoreColumnName].Index;
        var builder = new DataViewSchema.Builder();
        foreach (DataViewSchema.Column column in changed)
        {
            builder.AddColumn(column.Name, column.Type, column.Index == place ? annotations : column.Annotations);
        }

        return builder.ToSchema();
    }
}
