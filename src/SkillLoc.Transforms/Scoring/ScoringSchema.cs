using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>The columns that scoring adds, as ML.NET's schemas and shapes.</summary>
internal static class ScoringSchema
{
    /// <summary>
    /// Appends PredictedLabel and Score to a schema, with the annotations of ML.NET's own scorers; only Score for a regression, only
    /// PredictedText for free text.
    /// </summary>
    /// <param name="input">The schema.</param>
    /// <param name="columns">The names.</param>
    /// <param name="outputs">What is predicted.</param>
    /// <returns>The extended schema.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    public static DataViewSchema Append(DataViewSchema input, ScoringColumns columns, TaskOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(columns);
        return Append(input, columns, builder => Add(builder, input, columns, outputs));
    }

    /// <summary>Appends a vector of Single with slot names to a schema.</summary>
    /// <param name="input">The schema.</param>
    /// <param name="columns">The text columns, which must exist.</param>
    /// <param name="name">The vector's name.</param>
    /// <param name="slots">The slot names.</param>
    /// <returns>The extended schema.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    public static DataViewSchema AppendVector(DataViewSchema input, ScoringColumns columns, string name, IReadOnlyList<string> slots) =>
        Append(input, columns, builder => AddVector(builder, name, slots));

    /// <summary>Appends a vector of Single with slot names to a shape.</summary>
    /// <param name="input">The shape.</param>
    /// <param name="columns">The text columns, which must exist.</param>
    /// <param name="name">The vector's name.</param>
    /// <returns>The extended shape.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    public static SchemaShape AppendVector(SchemaShape input, ScoringColumns columns, string name) =>
        Append(input, columns, builder => AddVector(builder, name, ["slot"]));

    /// <summary>Appends PredictedLabel and Score to a shape; only Score for a regression, only PredictedText for free text.</summary>
    /// <param name="input">The shape.</param>
    /// <param name="columns">The names.</param>
    /// <param name="outputs">What is predicted; of the labels only their being there matters to a shape.</param>
    /// <returns>The extended shape.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    public static SchemaShape Append(SchemaShape input, ScoringColumns columns, TaskOutputs outputs)
    {
        ArgumentNullException.ThrowIfNull(columns);
        return Append(input, columns, builder => Add(builder, [], columns, outputs));
    }

    /// <summary>Appends a Single to a shape.</summary>
    internal static SchemaShape AppendSingle(SchemaShape input, string name)
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumn(name, NumberDataViewType.Single);
        return new(input.Concat(ToShape(builder.ToSchema())));
    }

    /// <summary>Finds a column of a shape.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="name">The column's name.</param>
    /// <returns>The column.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing.</exception>
    public static SchemaShape.Column Find(SchemaShape shape, string name)
    {
        ArgumentNullException.ThrowIfNull(shape);
        SchemaShape.Column[] found = [.. shape.Where(column => column.Name == name)];
        return found.Length > 0
            ? found[0]
            : throw new ArgumentOutOfRangeException(nameof(shape), Missing(name, shape.Select(other => other.Name)));
    }

    /// <summary>Throws unless the text columns exist and are text.</summary>
    /// <param name="input">The schema.</param>
    /// <param name="columns">The names.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or not text.</exception>
    public static void CheckInputs(DataViewSchema input, ScoringColumns columns)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(columns);
        foreach (string name in columns.Inputs)
        {
            if (input.GetColumnOrNull(name) is not { } column)
            {
                throw new ArgumentOutOfRangeException(nameof(input), Missing(name, input.Select(other => other.Name)));
            }

            if (column.Type is not TextDataViewType)
            {
                throw new ArgumentOutOfRangeException(nameof(input), WrongType(name, column.Type));
            }
        }
    }

    private static DataViewSchema Append(DataViewSchema input, ScoringColumns columns, Action<DataViewSchema.Builder> add)
    {
        ArgumentNullException.ThrowIfNull(input);
        CheckInputs(input, columns);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        add(builder);
        return builder.ToSchema();
    }

    private static SchemaShape Append(SchemaShape input, ScoringColumns columns, Action<DataViewSchema.Builder> add)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(columns);
        foreach (string name in columns.Inputs)
        {
            SchemaShape.Column column = Find(input, name);
            if (column.Kind != SchemaShape.Column.VectorKind.Scalar || column.ItemType is not TextDataViewType)
            {
                throw new ArgumentOutOfRangeException(nameof(input), WrongType(name, column.ItemType));
            }
        }

        var builder = new DataViewSchema.Builder();
        add(builder);
        SchemaShape added = ToShape(builder.ToSchema());
        return new(input.Where(column => added.All(other => other.Name != column.Name)).Concat(added));
    }

    private static string Missing(string name, IEnumerable<string> present) =>
        $"Could not find input column '{name}'; the data has {string.Join(", ", present.Select(other => $"'{other}'"))}.";

    private static string WrongType(string name, DataViewType type) => $"Input column '{name}' is {type}; it must be a text column.";

    private static void Add(
        DataViewSchema.Builder builder, IEnumerable<DataViewSchema.Column> input, ScoringColumns columns, TaskOutputs outputs)
    {
        IReadOnlyList<string> labels = outputs.Labels;
        var annotations = new ScoreAnnotations(
            input,
            outputs.IsScore ? ScoreAnnotations.Regression : outputs.IsMultiLabel ? ScoreAnnotations.MultiLabel : ScoreAnnotations.Multiclass);
        if (labels.Count > 0)
        {
            var key = new KeyDataViewType(typeof(uint), labels.Count);
            builder.AddColumn(
                columns.PredictedLabel, outputs.IsMultiLabel ? new VectorDataViewType(key) : key, annotations.PredictedLabel(labels));
            builder.AddColumn(columns.Score, new VectorDataViewType(NumberDataViewType.Single, labels.Count), annotations.Score(labels));
        }

        if (outputs.IsScore)
        {
            builder.AddColumn(columns.Score, NumberDataViewType.Single, annotations.Score(labels));
        }

        if (outputs.IsText)
        {
            builder.AddColumn(columns.PredictedText, TextDataViewType.Instance);
        }
    }

    private static void AddVector(DataViewSchema.Builder builder, string name, IReadOnlyList<string> slots) =>
        builder.AddColumn(name, new VectorDataViewType(NumberDataViewType.Single, slots.Count), ScoreAnnotations.Names("SlotNames", slots));

    /// <summary>
    /// SchemaShape.Column has no public constructor; an estimator chain behind a data loader is the public way from a schema to a shape.
    /// </summary>
    private static SchemaShape ToShape(DataViewSchema schema) => new SchemaLoader(schema).Append(new Unchanged()).GetOutputSchema();

    private sealed class SchemaLoader(DataViewSchema schema) : IDataLoader<object>
    {
        public DataViewSchema GetOutputSchema() => schema;

        public IDataView Load(object input) => throw new NotSupportedException();

        public void Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }

    private sealed class Unchanged : IEstimator<ITransformer>
    {
        public ITransformer Fit(IDataView input) => throw new NotSupportedException();

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }
}
