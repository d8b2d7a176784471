using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tasks;

namespace SkillLoc.Transforms;

/// <summary>The column that says what is right, as a task reads it.</summary>
internal abstract class TargetColumn(IDataView data, IEnumerable<string> names)
{
    /// <summary>The view, with what was made of the column.</summary>
    public IDataView Data => data;

    /// <summary>The columns that are read.</summary>
    public IEnumerable<string> Names => names;

    /// <summary>The column as a model's task reads it.</summary>
    /// <param name="classifier">The model.</param>
    /// <param name="data">The view.</param>
    /// <param name="name">The column's name.</param>
    /// <param name="role">What the rows are called in messages.</param>
    /// <exception cref="ArgumentException">It is missing or of another type.</exception>
    public static TargetColumn Of(TextClassifier classifier, IDataView data, string name, string role) =>
        classifier.Task switch
        {
            { Outputs.Range: { } range } => new Scores(data, name, role, range),
            MultiLabelTask task => new Sets(data, name, role, task.Outputs.Labels),
            GenerationTask { Outputs.Labels.Count: 0 } => new Texts(data, name, role, classifier),
            GenerationTask task => new Labels(
                data,
                name,
                role,
                task.Outputs.Labels,
                [.. task.Answers.Select(answer => new RowTarget { Answers = [answer], AnswerTokens = [classifier.EncodeAnswer(answer)] })]
            ),
            var task => new Labels(data, name, role, task.Outputs.Labels, [.. task.Outputs.Labels.Select(_ => new RowTarget())]),
        };

    /// <summary>A reader of the row's current target; null where the row has none.</summary>
    public abstract Func<RowTarget?> Reader(DataViewRowCursor cursor);

    /// <summary>One label per row: a key, a text, a number or a boolean, by its value where it has one.</summary>
    private sealed class Labels : TargetColumn
    {
        private readonly LabelTexts _texts;
        private readonly string _name;
        private readonly string _role;
        private readonly string[] _known;
        private readonly RowTarget[] _targets;

        public Labels(IDataView data, string name, string role, IReadOnlyList<string> labels, RowTarget[] targets)
            : this(new LabelTexts(new MLContext(), data, name), name, role, labels, targets) { }

        private Labels(LabelTexts texts, string name, string role, IReadOnlyList<string> labels, RowTarget[] targets)
            : base(texts.Data, [name])
        {
            _texts = texts;
            _name = name;
            _role = role;
            _known = texts.AreBareKeys
                ? [.. Enumerable.Range(1, labels.Count).Select(key => FormattableString.Invariant($"{key}"))]
                : [.. labels];
            _targets = [.. targets.Select((target, label) => target with { Label = label })];
        }

        public override Func<RowTarget?> Reader(DataViewRowCursor cursor)
        {
            Func<string?> read = _texts.Reader(cursor);
            return () =>
            {
                if (read() is not { } label)
                {
                    return null;
                }

                int index = Array.IndexOf(_known, label);
                return index >= 0
                    ? _targets[index]
                    : throw new ArgumentException(
                        $"Row {cursor.Position} of the {_role} has the label '{label}' in '{_name}'; the model's labels are "
                            + $"{string.Join(", ", _known.Select(known => $"'{known}'"))}."
                    );
            };
        }
    }

    /// <summary>Any number of labels per row.</summary>
    private sealed class Sets(IDataView data, string name, string role, IReadOnlyList<string> labels) : TargetColumn(data, [name])
    {
        public override Func<RowTarget?> Reader(DataViewRowCursor cursor)
        {
            Func<float[]> read = LabelSets.Reader(cursor, Find(cursor.Schema, name), labels, role);
            return () => new() { LabelSet = read() };
        }
    }

    /// <summary>A score a row; NaN is none.</summary>
    private sealed class Scores(IDataView data, string name, string role, ScoreRange range) : TargetColumn(data, [name])
    {
        public override Func<RowTarget?> Reader(DataViewRowCursor cursor)
        {
            DataViewSchema.Column column = Find(cursor.Schema, name);
            if (column.Type != NumberDataViewType.Single)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(cursor),
                    $"The label column '{name}' of the {role} is {column.Type}; the task predicts scores, so it must be Single."
                );
            }

            ValueGetter<float> read = cursor.GetGetter<float>(column);
            float score = 0;
            return () =>
            {
                read(ref score);
                return float.IsNaN(score) ? null
                    : range.Contains(score) ? new() { Share = range.ShareOf(score) }
                    : throw new InvalidOperationException(
                        FormattableString.Invariant(
                            $"Row {cursor.Position} of the {role} has the label {score} in '{name}'; the task's scores lie in {range}."
                        )
                    );
            };
        }
    }

    /// <summary>The texts that a model may write, one a row or several; a row without a text has none.</summary>
    private sealed class Texts(IDataView data, string name, string role, TextClassifier classifier) : TargetColumn(data, [name])
    {
        public override Func<RowTarget?> Reader(DataViewRowCursor cursor)
        {
            DataViewSchema.Column column = Find(cursor.Schema, name);
            if (column.Type is not (TextDataViewType or VectorDataViewType { ItemType: TextDataViewType }))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(cursor),
                    $"The label column '{name}' of the {role} is {column.Type}; the model writes free text and knows no keys, so it "
                        + "must be text or a vector of text."
                );
            }

            Func<string[]> read = AnswerTexts.Reader(cursor, column);
            return () =>
                read() is { Length: > 0 } answers
                    ? new() { Answers = answers, AnswerTokens = Array.ConvertAll(answers, classifier.EncodeAnswer) }
                    : null;
        }
    }

    private static DataViewSchema.Column Find(DataViewSchema schema, string name) =>
        schema.GetColumnOrNull(name) ?? throw new ArgumentOutOfRangeException(nameof(schema), $"Could not find the label column '{name}'.");
}

/// <summary>Finds the input columns of evaluators.</summary>
internal static class EvaluatedColumn
{
    public static DataViewSchema.Column Find(DataViewSchema schema, string name) =>
        schema.GetColumnOrNull(name)
        ?? throw new ArgumentOutOfRangeException(
            nameof(name),
            $"Could not find column '{name}'; the data has {Quote(schema.Select(column => column.Name))}."
        );

    public static ArgumentOutOfRangeException WrongType(DataViewSchema.Column column, string right) =>
        new(nameof(column), $"Column '{column.Name}' is {column.Type}; it must be {right}.");

    /// <summary>Quotes names for messages.</summary>
    public static string Quote(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'"));

    /// <summary>Finds a column of answers, a text or a vector of texts.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is missing or of another type.</exception>
    public static DataViewSchema.Column FindAnswers(DataViewSchema schema, string name)
    {
        DataViewSchema.Column column = Find(schema, name);
        return column.Type is TextDataViewType or VectorDataViewType { ItemType: TextDataViewType }
            ? column
            : throw WrongType(column, "a text or a vector of texts");
    }
}
