using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

/// <summary>
/// Divides the logits of scores by a temperature T and converts them to probabilities again: softmax(z / T), or 1 / (1 + exp(-logit(p) /
/// T)) for the probability p of a binary trainer (Guo et al., 2017, On Calibration of Modern Neural Networks, section 4.2). A temperature
/// above 1 lowers the model's confidence, one below 1 raises it; the predicted label does not change.
/// </summary>
/// <remarks>
/// The logits of probabilities are their logarithms, and a probability below 1.18e-38, the smallest normal Single, counts as that, since
/// the log-likelihood of a label with probability 0 would be infinite at any temperature. A binary trainer's 1 counts as 1 - 2^-25, which
/// rounds to it. The new scores keep slot names and annotations; in a loaded model only slot names, as ML.NET has no public way to restore
/// the others.
/// </remarks>
public sealed class TemperatureTransformer : ITransformer
{
    /// <summary>Lower limit of the fitted temperature, at which scores are nearly 0 and 1.</summary>
    public const double LowestTemperature = 0.01;

    /// <summary>Upper limit of the fitted temperature, at which scores are nearly equal.</summary>
    public const double HighestTemperature = 100;

    /// <summary>The smallest normal Single; logarithms stay finite.</summary>
    internal const float Floor = 1.17549435e-38f;

    /// <summary>Half the step of a Single below 1: the distance from 1 at which a probability rounds to 1.</summary>
    private const double HalfStep = 1.0 / (1 << 25);

    private readonly ITransformer _chain;
    private readonly string _source;

    /// <param name="input">A view with the scores; its rows are not read.</param>
    /// <param name="source">The column of scores.</param>
    /// <param name="output">The column of the new scores.</param>
    /// <param name="form">Probabilities or logits.</param>
    /// <param name="temperature">The temperature.</param>
    internal TemperatureTransformer(IDataView input, string source, string output, ScoreForm form, double temperature)
    {
        (ScoreColumnName, Form, Temperature, _source) = (output, form, temperature, source);
        var ml = new MLContext();
        EstimatorChain<ITransformer> chain = new EstimatorChain<ITransformer>()
            .Append<ITransformer>(ml.Transforms.CustomMapping(new ConstantKeyMapping().GetMapping(), ConstantKeyMapping.Contract))
            .Append<ITransformer>(SavedState.Constant(ml, CarrierColumns.Temperature, (float)temperature));
        _chain = (
            input.Schema[source].Type is VectorDataViewType
                ? Several(ml, chain, source, output, form)
                : Binary(ml, chain, source, output, form)
        ).Fit(input);
    }

    /// <summary>The temperature, by which logits are divided.</summary>
    public double Temperature { get; }

    /// <summary>Whether scores are taken as probabilities or as logits.</summary>
    public ScoreForm Form { get; }

    /// <summary>The column of the new scores: that of the old ones, or <c>Probability</c> if a binary trainer gives only a
    /// margin.</summary>
    public string ScoreColumnName { get; }

    /// <summary>Number of rows that the temperature was fitted on.</summary>
    public long Count { get; init; }

    /// <summary>The mean negative log-likelihood of the fitted rows, in nats, before: at temperature 1.</summary>
    public double LogLossBefore { get; init; }

    /// <summary>The mean negative log-likelihood of the fitted rows, in nats, at <see cref="Temperature"/>.</summary>
    public double LogLoss { get; init; }

    /// <summary>True: rows are transformed independently.</summary>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return Annotate(_chain.GetOutputSchema(inputSchema), inputSchema);
    }

    /// <summary>Transforms scores lazily, as rows are read.</summary>
    /// <param name="input">A view with the scores.</param>
    /// <returns>The view with the new scores.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The scores are missing or of another type than the fitted ones.</exception>
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

    /// <summary>Writes built-in transformers that any program with SkillLoc's assemblies can load.</summary>
    /// <param name="ctx">The save context.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) => _chain.Save(ctx);

    /// <summary>The logit of a probability, always finite.</summary>
    internal static double Logit(float probability) =>
        Math.Log(Math.Max(probability, Floor)) - Math.Log(Math.Max(1 - (double)probability, HalfStep));

    // Real numbers in an expression are read by the culture of the program that loads it, so that all but whole ones are columns.
    private static EstimatorChain<ITransformer> Several(
        MLContext ml,
        EstimatorChain<ITransformer> chain,
        string source,
        string output,
        ScoreForm form
    )
    {
        const string Shift = "(z, highest, t, logSum) => exp((z - highest) / t - logSum)";
        List<string> dropped =
        [
            CarrierColumns.Key,
            CarrierColumns.Temperature,
            CarrierColumns.Logits,
            CarrierColumns.Highest,
            CarrierColumns.LogSum,
        ];
        if (form == ScoreForm.Logits)
        {
            chain = chain.Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Logits, source));
        }
        else
        {
            chain = chain
                .Append<ITransformer>(SavedState.Constant(ml, CarrierColumns.Floor, Floor))
                .Append<ITransformer>(
                    ml.Transforms.Expression(
                        CarrierColumns.Logits,
                        "(p, floor) => log(p < floor ? floor : p)",
                        source,
                        CarrierColumns.Floor
                    )
                );
            dropped.Add(CarrierColumns.Floor);
        }

        return chain
            .Append<ITransformer>(ml.Transforms.CustomMapping(new LogSumMapping().GetMapping(), LogSumMapping.Contract))
            .Append<ITransformer>(
                ml.Transforms.Expression(
                    output,
                    Shift,
                    CarrierColumns.Logits,
                    CarrierColumns.Highest,
                    CarrierColumns.Temperature,
                    CarrierColumns.LogSum
                )
            )
            .Append<ITransformer>(ml.Transforms.DropColumns([.. dropped]));
    }

    private static EstimatorChain<ITransformer> Binary(
        MLContext ml,
        EstimatorChain<ITransformer> chain,
        string source,
        string output,
        ScoreForm form
    ) =>
        chain
            .Append<ITransformer>(SavedState.Constant(ml, CarrierColumns.IsLogit, form == ScoreForm.Logits))
            .Append<ITransformer>(ml.Transforms.CopyColumns(CarrierColumns.Scores, source))
            .Append<ITransformer>(
                ml.Transforms.CustomMapping(new BinaryTemperatureMapping().GetMapping(), BinaryTemperatureMapping.Contract)
            )
            .Append<ITransformer>(ml.Transforms.CopyColumns(output, CarrierColumns.Probability))
            .Append<ITransformer>(
                ml.Transforms.DropColumns(
                    CarrierColumns.Key,
                    CarrierColumns.Temperature,
                    CarrierColumns.IsLogit,
                    CarrierColumns.Scores,
                    CarrierColumns.Probability
                )
            );

    /// <summary>The new scores have the annotations of the old ones; a probability that is made of a margin, the margin's, and what it
    /// is.</summary>
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

/// <summary>The form of scores before calibration.</summary>
public enum ScoreForm
{
    /// <summary><see cref="Probabilities"/> if the scores of every fitted row are from 0 to 1 and sum to 1, else
    /// <see cref="Logits"/>.</summary>
    Detected,

    /// <summary>Probabilities, whose logarithms are the logits.</summary>
    Probabilities,

    /// <summary>Logits, from which a softmax, or for a binary trainer's margin the logistic function, gives probabilities.</summary>
    Logits,
}
