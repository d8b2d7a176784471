using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Hub;
using SkillLoc.Models.Prompts;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>
/// One base model in memory with many skills, each a graft with its own task. A column names the skill of each row; rows that are read
/// ahead are grouped by skill, and grafts are applied and removed in place. Adds <c>PredictedLabel</c>, the most probable label as text,
/// and <c>Score</c>, one probability per label of the skill. Thread-safe; threads take turns, since they share the weights. Owns the model:
/// dispose the set after use.
/// </summary>
/// <remarks>Prediction engines share the transformer as described at <see cref="TextScoringTransformer"/>.</remarks>
public sealed class GraftedModelSet : ITransformer, IRowScorer, INamesCheckpoint, IDisposable
{
    private readonly OrderedDictionary<string, Skill> _skills = new(StringComparer.Ordinal);
    private readonly Lock _weights = new();
    private Skill? _applied;
    private readonly Ownership _ownership;

    private GraftedModelSet(string baseCheckpoint, ScoringColumns columns, string skillColumn, bool gpu)
    {
        _ownership = new(this, Release);
        BaseCheckpoint = CheckpointHub.Reference(baseCheckpoint);
        Columns = columns;
        SkillColumn = skillColumn;
        OnGpu = gpu;
        BasesInUse.Add(this, baseCheckpoint, set => set._ownership.HasEnded);
    }

    /// <summary>The base checkpoint folder, which saved models refer to.</summary>
    public string BaseCheckpoint { get; }

    /// <summary>The columns to read and add; the second text is used only by skills on pairs.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The column that names each row's skill: text, or a key with texts for values.</summary>
    public string SkillColumn { get; }

    /// <summary>The skills' names.</summary>
    public IReadOnlyList<string> Skills => [.. _skills.Keys];

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is scored separately.</summary>
    public bool IsRowToRowMapper => true;

    internal bool OnGpu { get; }

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs, SkillColumn];

    /// <summary>Loads a base model for a set of grafts.</summary>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="grafts">The grafts by skill; each must have its task, as grafts from GraftMask do.</param>
    /// <param name="columns">The columns to read and add; by default Text (and TextPair if a skill needs it), PredictedLabel and
    /// Score.</param>
    /// <param name="skillColumn">The column that names each row's skill.</param>
    /// <param name="device">The device of the weights; the CPU by default.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are no grafts, one scores pairs without a second text column, or one is a
    /// regression.</exception>
    /// <exception cref="InvalidDataException">A graft was made for another base, or has no task.</exception>
    public static GraftedModelSet Create(
        string baseCheckpoint,
        IReadOnlyDictionary<string, Graft> grafts,
        ScoringColumns? columns = null,
        string skillColumn = "Skill",
        torch.Device? device = null
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(baseCheckpoint);
        ArgumentNullException.ThrowIfNull(grafts);
        ArgumentException.ThrowIfNullOrEmpty(skillColumn);
        var settings = grafts.ToDictionary(
            pair => pair.Key,
            pair => ClassifierSettings.FromJson(pair.Value.Settings, $"the graft of the skill '{pair.Key}'"),
            StringComparer.Ordinal
        );
        if (settings.Count == 0)
        {
            throw new ArgumentException("A set needs one graft or more.", nameof(grafts));
        }

        if (settings.FirstOrDefault(pair => pair.Value.ScoreRange is not null).Key is { } regression)
        {
            throw new ArgumentException(
                $"The skill '{regression}' predicts a score, and a set predicts labels; use a GraftTransformer for it.",
                nameof(grafts)
            );
        }

        if (settings.FirstOrDefault(pair => pair.Value.Labels.Count == 0).Key is { } writer)
        {
            throw new ArgumentException(
                $"The skill '{writer}' writes free text, and a set predicts labels; use a GraftTransformer for it.",
                nameof(grafts)
            );
        }

        if (settings.FirstOrDefault(pair => pair.Value.IsMultiLabel).Key is { } several)
        {
            throw new ArgumentException(
                $"The skill '{several}' predicts any number of labels, and a set predicts one; use a GraftTransformer for it.",
                nameof(grafts)
            );
        }

        baseCheckpoint = CheckpointHub.Locate(baseCheckpoint).Reference;
        string? onPairs = settings.FirstOrDefault(pair => pair.Value.HasTextPair).Key;
        columns ??= new ScoringColumns { TextPair = onPairs is null ? null : "TextPair" };
        if (onPairs is not null && columns.TextPair is null)
        {
            throw new ArgumentException(
                $"The skill '{onPairs}' scores pairs of texts, so a second text column must be named.",
                nameof(columns)
            );
        }

        var set = new GraftedModelSet(baseCheckpoint, columns, skillColumn, device?.type == DeviceType.CUDA);
        try
        {
            // A backbone with the language-model head serves every skill; those with a head of their own look at it without.
            ClassifierSettings root = settings.Values.FirstOrDefault(task => task.NeedsWords) ?? settings.Values.First();
            using var whole = TextClassifier.Create(baseCheckpoint, root, device);
            var fingerprints = new Dictionary<bool, string>();
            foreach ((string name, Graft graft) in grafts)
            {
                TextClassifier classifier = whole.ForTask(settings[name]);
                var skill = new Skill(graft, classifier);
                set._skills.Add(name, skill);
                if (!fingerprints.TryGetValue(classifier.Backbone.HasHead, out string? fingerprint))
                {
                    fingerprint = classifier.Backbone.Fingerprint();
                    fingerprints.Add(classifier.Backbone.HasHead, fingerprint);
                }

                skill.Prepare(name, fingerprint);
            }

            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>Runs an action on the base model with a skill applied; other threads wait.</summary>
    /// <typeparam name="TResult">The type of the result.</typeparam>
    /// <param name="skill">The skill's name.</param>
    /// <param name="work">The action; the classifier is valid only while it runs.</param>
    /// <returns>The result of the action.</returns>
    /// <exception cref="ArgumentException">The skill is unknown; the message lists the known ones.</exception>
    /// <exception cref="ObjectDisposedException">The set was disposed.</exception>
    public TResult Use<TResult>(string skill, Func<TextClassifier, TResult> work)
    {
        ArgumentNullException.ThrowIfNull(skill);
        ArgumentNullException.ThrowIfNull(work);
        lock (_weights)
        {
            _ownership.Check();
            return _skills.TryGetValue(skill, out Skill? known)
                ? work(Carry(known))
                : throw new ArgumentException($"There is no skill '{skill}'; known are {Known()}.", nameof(skill));
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
    /// Saves the set into an ML.NET model, which contains the grafts and refers to the base checkpoint. The loaded model reads the skill
    /// column as text only.
    /// </summary>
    /// <param name="ctx">ML.NET's save context.</param>
    /// <exception cref="ObjectDisposedException">The set was disposed.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        _ownership.Check();
        SavedModelSet.Carrier(Columns, SkillColumn, State()).Save(ctx);
    }

    ITransformer INamesCheckpoint.Carrier(PackedCheckpoints packed)
    {
        _ownership.Check();
        return SavedModelSet.Carrier(Columns, SkillColumn, State() with { Content = packed.Add(BaseCheckpoint) });
    }

    /// <summary>Releases the model, also for engines and views, after the running pass.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Releases one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    void IDisposable.Dispose() => _ownership.GiveBack();

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        var scores = new RowScores[rows.Count];
        lock (_weights)
        {
            _ownership.Check();

            // The skill that the model carries already goes first.
            foreach (
                IGrouping<Skill, int> group in Enumerable
                    .Range(0, rows.Count)
                    .GroupBy(i => SkillOf(rows[i]))
                    .OrderBy(group => group.Key != _applied)
            )
            {
                int[] places = [.. group];
                TextClassifier classifier = Carry(group.Key);
                EncodedText[] texts = Array.ConvertAll(
                    places,
                    i => rows[i].Encode(classifier.Encode, Columns, classifier.Settings.HasTextPair)
                );
                foreach ((int place, float[] probabilities) in places.Zip(classifier.Score(texts, cancellation)))
                {
                    scores[place] = new(probabilities, classifier.Settings);
                }
            }
        }

        return scores;
    }

    Delegate[] IRowScorer.Getters(Func<RowScores> current) => [ScoredValues.LabelText(current), ScoredValues.Vector(current)];

    private SavedModelSet State() => SavedModelSet.Of(this, _skills.Select(pair => (pair.Key, pair.Value.Graft)));

    private void Release()
    {
        lock (_weights)
        {
            _applied = null;
            foreach (Skill skill in _skills.Values)
            {
                skill.Dispose();
            }
        }
    }

    private Skill SkillOf(RowTexts row) =>
        _skills.TryGetValue(row.Values[^1], out Skill? skill)
            ? skill
            : throw new InvalidOperationException(
                $"{row.Name} of column '{SkillColumn}' names the skill '{row.Values[^1]}'; known are {Known()}."
            );

    private string Known() => string.Join(", ", _skills.Keys.Select(name => $"'{name}'"));

    /// <summary>Applies the graft of a skill.</summary>
    private TextClassifier Carry(Skill skill)
    {
        if (_applied != skill)
        {
            _applied?.Switch.Remove();
            skill.Switch.Apply();
            _applied = skill;
        }

        return skill.Classifier;
    }

    private sealed class Skill(Graft graft, TextClassifier classifier) : IDisposable
    {
        private GraftSwitch? _switch;

        public Graft Graft => graft;

        public TextClassifier Classifier => classifier;

        public GraftSwitch Switch => _switch!;

        public void Prepare(string name, string fingerprint)
        {
            try
            {
                classifier.ApplyHead(graft);
                _switch = graft.Prepare(classifier.Backbone, fingerprint);
            }
            catch (InvalidDataException error)
            {
                throw new InvalidDataException($"The skill '{name}': {error.Message}", error);
            }
        }

        public void Dispose()
        {
            _switch?.Dispose();
            classifier.Dispose();
        }
    }
}
