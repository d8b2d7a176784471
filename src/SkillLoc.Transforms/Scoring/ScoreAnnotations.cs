using Microsoft.ML;
using Microsoft.ML.Data;

namespace SkillLoc.Transforms;

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
        Build("Score", labels.Count == 0 ? [] : _kind == MultiLabel ? ["SlotNames"] : ["SlotNames", "TrainingLabelValues"], labels);

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
            VBufferEditor<ReadOnlyMemory<char>> editor = VBufferEditor.Create(ref destination, values.Length);
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
