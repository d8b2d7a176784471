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

    /// <summary>Appends what a set of skills adds, whose labels differ from row to row: <c>PredictedLabel</c> as text, and <c>Score</c> as a
    /// vector of any size.</summary>
    /// <param name="input">The schema.</param>
    /// <param name="columns">The names.</param>
    /// <param name="skillColumn">The column that names each row's skill.</param>
    /// <returns>The extended schema.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or not text.</exception>
    internal static DataViewSchema AppendSkills(DataViewSchema input, ScoringColumns columns, string skillColumn)
    {
        CheckInputs(input, columns);
        if (input.GetColumnOrNull(skillColumn) is not { } column)
        {
            throw new ArgumentOutOfRangeException(
                nameof(input),
                $"Could not find the skill column '{skillColumn}'; the data has "
                    + $"{string.Join(", ", input.Select(other => $"'{other.Name}'"))}."
            );
        }

        if (!InputTexts.CanRead(column))
        {
            throw new ArgumentOutOfRangeException(
                nameof(input),
                $"The skill column '{skillColumn}' is {column.Type}; it must be text, or a key with texts for values."
            );
        }

        var builder = new DataViewSchema.Builder();
        builder.AddColumns(input);
        builder.AddColumn(columns.PredictedLabel, TextDataViewType.Instance);
        builder.AddColumn(columns.Score, new VectorDataViewType(NumberDataViewType.Single));
        return builder.ToSchema();
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

    /// <summary>Appends columns to a schema.</summary>
    /// <param name="input">The schema.</param>
    /// <param name="columns">The text columns, which must exist.</param>
    /// <param name="add">Adds the columns.</param>
    /// <returns>The extended schema.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A text column is missing, or not text.</exception>
    public static DataViewSchema Append(DataViewSchema input, ScoringColumns columns, Action<DataViewSchema.Builder> add)
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
        DataViewSchema.Builder builder,
        IEnumerable<DataViewSchema.Column> input,
        ScoringColumns columns,
        TaskOutputs outputs
    )
    {
        IReadOnlyList<string> labels = outputs.Labels;
        var annotations = new ScoreAnnotations(
            input,
            outputs.IsScore ? ScoreAnnotations.Regression
                : outputs.IsMultiLabel ? ScoreAnnotations.MultiLabel
                : ScoreAnnotations.Multiclass
        );
        if (labels.Count > 0)
        {
            var key = new KeyDataViewType(typeof(uint), labels.Count);
            builder.AddColumn(
                columns.PredictedLabel,
                outputs.IsMultiLabel ? new VectorDataViewType(key) : key,
                annotations.PredictedLabel(labels)
            );
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

/// <summary>
/// The annotations by which ML.NET's tools recognise score columns: the kind of scorer, the column set, and the kind of value.
/// </summary>
internal sealed class ScoreAnnotations
{
    /// <summary>Score kind of regressions.</summary>
    public const string Regression = "Regression";

    /// <summary>Score kind of multiclass classifiers.</summary>
    public const string Multiclass = "MulticlassClassification";

    /// <summary>Score kind of multi-label classifiers, for which ML.NET has no name.</summary>
    public const string MultiLabel = "MultiLabelClassification";

    public const string ValueKind = "ScoreValueKind";
    public const string IsNormalized = "IsNormalized";

    private const string SetId = "ScoreColumnSetId";

    private static readonly KeyDataViewType SetIdType = new(typeof(uint), int.MaxValue);

    private readonly string _kind;
    private readonly uint _set;

    /// <param name="input">The schema to extend; the columns get the next free set id.</param>
    /// <param name="kind">The score kind.</param>
    public ScoreAnnotations(IEnumerable<DataViewSchema.Column> input, string kind)
    {
        _kind = kind;
        _set = input.Select(SetOf).DefaultIfEmpty().Max() + 1;
    }

    /// <summary>Annotations of the score column.</summary>
    /// <param name="labels">The labels, in the order of the scores; none for a regression.</param>
    public DataViewSchema.Annotations Score(IReadOnlyList<string> labels) =>
        Build(
            "Score",
            labels.Count == 0 ? []
                : _kind == MultiLabel ? ["SlotNames"]
                : ["SlotNames", "TrainingLabelValues"],
            labels
        );

    /// <summary>Annotations of the predicted label.</summary>
    /// <param name="labels">The labels, in the order of the keys.</param>
    public DataViewSchema.Annotations PredictedLabel(IReadOnlyList<string> labels) => Build("PredictedLabel", ["KeyValues"], labels);

    /// <summary>Annotations with names only, for example of slots.</summary>
    public static DataViewSchema.Annotations Names(string kind, IReadOnlyList<string> names)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        Add(builder, kind, names);
        return builder.ToAnnotations();
    }

    private DataViewSchema.Annotations Build(string valueKind, IEnumerable<string> nameKinds, IReadOnlyList<string> names)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        foreach (string kind in nameKinds)
        {
            Add(builder, kind, names);
        }

        builder.AddPrimitiveValue("ScoreColumnKind", TextDataViewType.Instance, _kind.AsMemory());
        builder.AddPrimitiveValue(ValueKind, TextDataViewType.Instance, valueKind.AsMemory());
        builder.AddPrimitiveValue(SetId, SetIdType, _set);
        return builder.ToAnnotations();
    }

    private static void Add(DataViewSchema.Annotations.Builder builder, string kind, IReadOnlyList<string> names)
    {
        ReadOnlyMemory<char>[] values = [.. names.Select(name => name.AsMemory())];
        ValueGetter<VBuffer<ReadOnlyMemory<char>>> getter = (ref VBuffer<ReadOnlyMemory<char>> destination) =>
        {
            var editor = VBufferEditor.Create(ref destination, values.Length);
            values.CopyTo(editor.Values);
            destination = editor.Commit();
        };
        builder.Add(kind, new VectorDataViewType(TextDataViewType.Instance, names.Count), getter);
    }

    private static uint SetOf(DataViewSchema.Column column)
    {
        uint set = 0;
        if (column.Annotations.Schema.GetColumnOrNull(SetId)?.Type is KeyDataViewType type && type.RawType == typeof(uint))
        {
            column.Annotations.GetValue(SetId, ref set);
        }

        return set;
    }
}

/// <summary>The columns that a scoring transformer reads and adds.</summary>
public sealed record ScoringColumns
{
    /// <summary>The text column.</summary>
    public string Text { get; init; } = "Text";

    /// <summary>The second text column, for tasks on pairs.</summary>
    public string? TextPair { get; init; }

    /// <summary>
    /// Added: one probability per label, a float vector with the labels as slot names; for a regression the predicted score, a float.
    /// </summary>
    public string Score { get; init; } = "Score";

    /// <summary>Added: the most probable label, a key with the labels as key values; for a multi-label task a vector of keys with the
    /// predicted labels. Not added for a regression.</summary>
    public string PredictedLabel { get; init; } = "PredictedLabel";

    /// <summary>
    /// Added by text-to-text models: the generated text, which is the only added column without labels. Text is generated only if the
    /// column is read.
    /// </summary>
    public string PredictedText { get; init; } = "PredictedText";

    /// <summary>The text columns, one or two.</summary>
    public IEnumerable<string> Inputs => TextPair is null ? [Text] : [Text, TextPair];
}
