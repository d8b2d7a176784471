using System.Diagnostics.CodeAnalysis;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Transforms;

namespace SkillLoc.Onnx;

/// <summary>
/// One base model on ONNX Runtime with many skills, each a graft with its own task; without TorchSharp. A column names the skill of each
/// row; rows that are read ahead are grouped by skill, and grafts are applied and removed in place. Adds <c>PredictedLabel</c>, the most
/// probable label as text, and <c>Score</c>, one probability per label of the skill. Thread-safe; threads take turns, since they share the
/// weights. Owns the model: dispose the set after use.
/// </summary>
/// <remarks>Prediction engines share the transformer as described at <see cref="OnnxScoringTransformer"/>.</remarks>
public sealed class OnnxGraftedModelSet : ITransformer, IRowScorer, IDisposable
{
    private readonly OnnxGraftSession _session;
    private readonly Lock _weights = new();
    private readonly Ownership _ownership;
    private readonly string _path;
    private readonly IReadOnlyDictionary<string, byte[]> _grafts;

    private OnnxGraftedModelSet(
        OnnxGraftSession session,
        string path,
        IReadOnlyDictionary<string, byte[]> grafts,
        ScoringColumns columns,
        string skillColumn
    )
    {
        (_session, _path, _grafts) = (session, path, grafts);
        _ownership = new(this, Release);
        Columns = columns;
        SkillColumn = skillColumn;
    }

    /// <summary>The columns to read and add; the second text is used only by skills on pairs.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The column that names each row's skill: text, or a key with texts for values.</summary>
    public string SkillColumn { get; }

    /// <summary>The skills' names.</summary>
    public IReadOnlyList<string> Skills => [.. _session.Skills.Keys];

    /// <inheritdoc cref="OnnxScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is scored separately.</summary>
    public bool IsRowToRowMapper => true;

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs, SkillColumn];

    /// <summary>Loads a base model for a set of grafts.</summary>
    /// <param name="path">The base model, a file that <c>OnnxBase.Save</c> wrote.</param>
    /// <param name="grafts">The graft files by skill; each must have its task, as grafts from GraftMask do.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair if a skill needs it), PredictedLabel and
    /// Score.</param>
    /// <param name="skillColumn">The column that names each row's skill.</param>
    /// <param name="options">How it scores; null for the defaults.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The base model or a graft is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or of another kind, or a graft is for another base or has a task that a set
    /// does not score.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    /// <exception cref="ArgumentException">There are no grafts, one scores pairs without a second text column, or an option is out of
    /// range.</exception>
    public static OnnxGraftedModelSet Load(
        string path,
        IReadOnlyDictionary<string, string> grafts,
        ScoringColumns? columns = null,
        string skillColumn = "Skill",
        OnnxScoringOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(grafts);
        return Load(
            path,
            new OrderedDictionary<string, byte[]>(
                grafts.Select(pair => KeyValuePair.Create(pair.Key, Bytes(pair.Value, "graft"))),
                StringComparer.Ordinal
            ),
            columns,
            skillColumn,
            options,
            pair => $"'{grafts[pair]}'"
        );
    }

    /// <summary>Loads a base model for a set of grafts in memory.</summary>
    internal static OnnxGraftedModelSet Load(
        string path,
        IReadOnlyDictionary<string, byte[]> grafts,
        ScoringColumns? columns,
        string skillColumn,
        OnnxScoringOptions? options,
        Func<string, string> sourceOf
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentException.ThrowIfNullOrEmpty(skillColumn);
        if (grafts.Count == 0)
        {
            throw new ArgumentException("A set needs one graft or more.", nameof(grafts));
        }

        var read = new OrderedDictionary<string, GraftFile>(
            grafts.Select(pair => KeyValuePair.Create(pair.Key, GraftFile.Read(pair.Value, sourceOf(pair.Key)))),
            StringComparer.Ordinal
        );
        var session = new OnnxGraftSession(Bytes(path, "base model"), $"'{path}'", read, options ?? new());
        try
        {
            string? onPairs = session.Skills.FirstOrDefault(pair => pair.Value.Settings.HasTextPair).Key;
            columns ??= new ScoringColumns { TextPair = onPairs is null ? null : "TextPair" };
            return onPairs is null || columns.TextPair is not null
                ? new(session, Path.GetFullPath(path), grafts, columns, skillColumn)
                : throw new ArgumentException(
                    $"The skill '{onPairs}' scores pairs of texts, so a second text column must be named.",
                    nameof(columns)
                );
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The task of a skill.</summary>
    /// <param name="skill">The skill's name.</param>
    /// <returns>Its labels and its prompt.</returns>
    /// <exception cref="ArgumentException">The skill is unknown; the message lists the known ones.</exception>
    public ScoringSettings SettingsOf(string skill) => Find(skill).Settings;

    /// <summary>Computes the probabilities of a skill's labels; other threads wait.</summary>
    /// <param name="skill">The skill's name.</param>
    /// <param name="texts">Texts, any number and any lengths; they are batched by length.</param>
    /// <param name="pairs">For skills on pairs, the second text of each; null for others.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each text one probability per label.</returns>
    /// <exception cref="ArgumentException">The skill is unknown, or second texts are missing, superfluous or not as many.</exception>
    /// <exception cref="ObjectDisposedException">The set was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Score(
        string skill,
        IReadOnlyList<string> texts,
        IReadOnlyList<string>? pairs = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(texts);
        OnnxSkill known = Find(skill);
        OnnxTextScorer.CheckPairs(known.Settings, texts, pairs);
        return Score(skill, [.. texts.Select((text, row) => known.Encode(text, pairs?[row]))], cancellation);
    }

    /// <summary>Encodes the texts of a row for a skill.</summary>
    /// <param name="skill">The skill's name.</param>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>The token ids and the scored position.</returns>
    /// <exception cref="ArgumentException">The skill is unknown.</exception>
    /// <exception cref="InvalidDataException">The prompt alone is longer than the limit, or a second text is missing.</exception>
    public EncodedText Encode(string skill, string text, string? textPair = null) => Find(skill).Encode(text, textPair);

    /// <summary>Computes the probabilities of a skill's labels for encoded rows; other threads wait.</summary>
    /// <param name="skill">The skill's name.</param>
    /// <param name="rows">Rows that were encoded for the skill, any number and any lengths; they are batched by length.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    /// <exception cref="ArgumentException">The skill is unknown.</exception>
    /// <exception cref="ObjectDisposedException">The set was disposed.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public float[][] Score(string skill, IReadOnlyList<EncodedText> rows, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        OnnxSkill known = Find(skill);
        lock (_weights)
        {
            _ownership.Check();
            return _session.Score(known, rows, cancellation);
        }
    }

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => ScoringSchema.AppendSkills(inputSchema, Columns, SkillColumn);

    /// <summary>Scores lazily, when rows are read.</summary>
    /// <param name="input">A view with the text columns and the skill column.</param>
    /// <returns>The view with <c>PredictedLabel</c> and <c>Score</c>.</returns>
    /// <exception cref="ObjectDisposedException">The set was disposed; also thrown when a row is read afterwards.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>
    /// Saves the set into an ML.NET model, which contains the grafts and refers to the base model's file. The loaded model reads the skill
    /// column as text only, and scores with ONNX Runtime's default options.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="ObjectDisposedException">The set was disposed.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        _ownership.Check();
        SavedOnnxModelSet.Carrier(Columns, SkillColumn, SavedOnnxModelSet.Of(_path, _grafts, Columns)).Save(ctx);
    }

    /// <summary>Releases the model, also for engines and views, after the running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="OnnxScoringTransformer"/>.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Other shares may be left, and there is no finalizer to suppress.")]
    void IDisposable.Dispose() => _ownership.GiveBack();

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        var scores = new RowScores[rows.Count];
        (OnnxSkill Skill, int[] Places, EncodedText[] Texts)[] groups =
        [
            .. Enumerable
                .Range(0, rows.Count)
                .GroupBy(i => SkillOf(rows[i]))
                .Select(group =>
                    (
                        group.Key,
                        group.ToArray(),
                        group.Select(i => rows[i].Encode(group.Key.Encode, Columns, group.Key.Settings.HasTextPair)).ToArray()
                    )
                ),
        ];
        lock (_weights)
        {
            _ownership.Check();

            // The skill that the model carries already goes first.
            foreach ((OnnxSkill skill, int[] places, EncodedText[] texts) in groups.OrderBy(group => group.Skill != _session.Applied))
            {
                foreach ((int place, float[] probabilities) in places.Zip(_session.Score(skill, texts, cancellation)))
                {
                    scores[place] = new(probabilities, skill.Settings);
                }
            }
        }

        return scores;
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.LabelText(current), ScoredValues.Vector(current)];

    private static byte[] Bytes(string path, string what) =>
        File.Exists(path) ? File.ReadAllBytes(path) : throw new FileNotFoundException($"There is no {what} '{path}'.", path);

    private OnnxSkill Find(string skill)
    {
        ArgumentNullException.ThrowIfNull(skill);
        return _session.Skills.GetValueOrDefault(skill)
            ?? throw new ArgumentException($"There is no skill '{skill}'; known are {Known()}.", nameof(skill));
    }

    private OnnxSkill SkillOf(RowTexts row) =>
        _session.Skills.GetValueOrDefault(row.Values[^1])
        ?? throw new InvalidOperationException(
            $"{row.Name} of column '{SkillColumn}' names the skill '{row.Values[^1]}'; known are {Known()}."
        );

    private string Known() => string.Join(", ", _session.Skills.Keys.Select(name => $"'{name}'"));

    private void Release()
    {
        lock (_weights)
        {
            _session.Dispose();
        }
    }
}
