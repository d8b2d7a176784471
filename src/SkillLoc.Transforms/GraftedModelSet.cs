using Microsoft.ML;
using Microsoft.ML.Data;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Prompts;
using TorchSharp;

namespace SkillLoc.Transforms;

/// <summary>
/// One base model in memory with many skills: grafts, each with its own task. A column says which skill scores a row; rows that are read
/// ahead are grouped by it, and the grafts are put in and taken out in place. Adds <c>PredictedLabel</c>, the most probable label as
/// text, and <c>Score</c>, one probability per label of the skill, in the order of its settings. Safe to use from several threads, which
/// take turns, as they share the weights. It owns the model: dispose it when done.
/// </summary>
/// <remarks>Engines share it with its owner as they do a <see cref="TextScoringTransformer"/>; see there what disposes it.</remarks>
public sealed class GraftedModelSet : ITransformer, IRowScorer, INamesCheckpoint, IDisposable
{
    private readonly OrderedDictionary<string, Skill> _skills = new(StringComparer.Ordinal);
    private readonly Lock _weights = new();
    private Skill? _applied;
    private readonly Ownership _ownership;

    private GraftedModelSet(string baseCheckpoint, ScoringColumns columns, string skillColumn, bool gpu)
    {
        _ownership = new(this, Release);
        BaseCheckpoint = Path.GetFullPath(baseCheckpoint);
        Columns = columns;
        SkillColumn = skillColumn;
        OnGpu = gpu;
        BasesInUse.Add(this, baseCheckpoint, set => set._ownership.HasEnded);
    }

    /// <summary>The base checkpoint folder, which a saved model names.</summary>
    public string BaseCheckpoint { get; }

    /// <summary>The columns it reads and adds; the second text is read for skills on pairs only.</summary>
    public ScoringColumns Columns { get; }

    /// <summary>The column that names each row's skill: text, or a key with texts for values.</summary>
    public string SkillColumn { get; }

    /// <summary>The skills' names.</summary>
    public IReadOnlyList<string> Skills => [.. _skills.Keys];

    /// <inheritdoc cref="TextScoringTransformer.Host"/>
    public ComponentHost? Host { get; set; }

    /// <summary>True: each row is scored from its own values.</summary>
    public bool IsRowToRowMapper => true;

    internal bool OnGpu { get; }

    Ownership IRowScorer.Ownership => _ownership;

    IReadOnlyList<string> IRowScorer.Inputs => [.. Columns.Inputs, SkillColumn];

    /// <summary>Loads a base model once for some grafts.</summary>
    /// <param name="baseCheckpoint">The base checkpoint folder.</param>
    /// <param name="grafts">The grafts by the names of their skills; each carries its task, as those that GraftMask finds do.</param>
    /// <param name="columns">The columns it reads and adds; by default Text (and TextPair where a skill needs it), PredictedLabel and Score.</param>
    /// <param name="skillColumn">The column that names each row's skill.</param>
    /// <param name="device">Where the weights go; the CPU by default.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are no grafts, one scores pairs and no second text column is named, or one is of a
    /// regression.</exception>
    /// <exception cref="InvalidDataException">A graft is for another base, or carries no task.</exception>
    public static GraftedModelSet Create(
        string baseCheckpoint, IReadOnlyDictionary<string, Graft> grafts, ScoringColumns? columns = null, string skillColumn = "Skill",
        torch.Device? device = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(baseCheckpoint);
        ArgumentNullException.ThrowIfNull(grafts);
        ArgumentException.ThrowIfNullOrEmpty(skillColumn);
        var settings = grafts.ToDictionary(
            pair => pair.Key, pair => ClassifierSettings.FromJson(pair.Value.Settings, $"the graft of the skill '{pair.Key}'"), StringComparer.Ordinal);
        if (settings.Count == 0)
        {
            throw new ArgumentException("A set needs one graft or more.", nameof(grafts));
        }

        if (settings.FirstOrDefault(pair => pair.Value.ScoreRange is not null).Key is { } regression)
        {
            throw new ArgumentException($"The skill '{regression}' predicts a score, and a set predicts labels; use a GraftTransformer for it.", nameof(grafts));
        }

        if (settings.FirstOrDefault(pair => pair.Value.Labels.Count == 0).Key is { } writer)
        {
            throw new ArgumentException($"The skill '{writer}' writes free text, and a set predicts labels; use a GraftTransformer for it.", nameof(grafts));
        }

        if (settings.FirstOrDefault(pair => pair.Value.IsMultiLabel).Key is { } several)
        {
            throw new ArgumentException(
                $"The skill '{several}' predicts any number of labels, and a set predicts one; use a GraftTransformer for it.", nameof(grafts));
        }

        string? onPairs = settings.FirstOrDefault(pair => pair.Value.HasTextPair).Key;
        columns ??= new ScoringColumns { TextPair = onPairs is null ? null : "TextPair" };
        if (onPairs is not null && columns.TextPair is null)
        {
            throw new ArgumentException($"The skill '{onPairs}' scores pairs of texts, so a second text column must be named.", nameof(columns));
        }

        var set = new GraftedModelSet(baseCheckpoint, columns, skillColumn, device?.type == DeviceType.CUDA);
        try
        {
            // A backbone with the language-model head serves every skill; those with a head of their own look at it without.
            ClassifierSettings root = settings.Values.FirstOrDefault(task => task.Head is HeadKind.LabelWords or HeadKind.Generation) ?? settings.Values.First();
            using TextClassifier whole = TextClassifier.Create(baseCheckpoint, root, device);
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

    /// <summary>Does something with the base model while it carries a skill; other threads wait for it.</summary>
    /// <typeparam name="TResult">What the work gives.</typeparam>
    /// <param name="skill">The skill's name.</param>
    /// <param name="work">The work; the classifier and its weights are the skill's for as long as it runs, and must not be kept.</param>
    /// <returns>What the work gave.</returns>
    /// <exception cref="ArgumentException">There is no such skill; the message names those that are.</exception>
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
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ScoringSchema.CheckInputs(inputSchema, Columns);
        if (inputSchema.GetColumnOrNull(SkillColumn) is not { } column)
        {
            throw new ArgumentOutOfRangeException(
                nameof(inputSchema),
                $"Could not find the skill column '{SkillColumn}'; the data has {string.Join(", ", inputSchema.Select(other => $"'{other.Name}'"))}.");
        }

        if (!InputTexts.CanRead(column))
        {
            throw new ArgumentOutOfRangeException(
                nameof(inputSchema), $"The skill column '{SkillColumn}' is {column.Type}; it must be text, or a key with texts for values.");
        }

        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        builder.AddColumn(Columns.PredictedLabel, TextDataViewType.Instance);
        builder.AddColumn(Columns.Score, new VectorDataViewType(NumberDataViewType.Single));
        return builder.ToSchema();
    }

    /// <summary>Scores lazily: nothing runs before rows are read.</summary>
    /// <param name="input">A view with the text columns and the skill column.</param>
    /// <returns>The view with <c>PredictedLabel</c> and <c>Score</c>.</returns>
    /// <exception cref="ObjectDisposedException">The set was disposed; also when a row is read after that.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _ownership.Check();
        return new ScoringView(this, input);
    }

    /// <inheritdoc/>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new ScoringRowMapper(this, inputSchema);

    /// <summary>
    /// Writes the set into an ML.NET model: the grafts travel inside, the base checkpoint is named. What is loaded reads the skill column
    /// as text only.
    /// </summary>
    /// <param name="ctx">Where ML.NET wants it.</param>
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

    /// <summary>Releases the model, for engines and views too, after the pass that runs.</summary>
    public void Dispose() => _ownership.End();

    /// <summary>Gives back one share; see the remarks on <see cref="TextScoringTransformer"/>.</summary>
    void IDisposable.Dispose() => _ownership.GiveBack();

    IReadOnlyList<RowScores> IRowScorer.Score(IReadOnlyList<RowTexts> rows, CancellationToken cancellation)
    {
        var scores = new RowScores[rows.Count];
        lock (_weights)
        {
            _ownership.Check();

            // The skill that the model carries already goes first.
            foreach (IGrouping<Skill, int> group in Enumerable.Range(0, rows.Count).GroupBy(i => SkillOf(rows[i])).OrderBy(group => group.Key != _applied))
            {
                int[] places = [.. group];
                TextClassifier classifier = Carry(group.Key);
                EncodedText[] texts = Array.ConvertAll(places, i => rows[i].Encode(classifier, Columns));
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

    private Skill SkillOf(RowTexts row) => _skills.TryGetValue(row.Values[^1], out Skill? skill)
        ? skill
        : throw new InvalidOperationException(
            $"{row.Name} of column '{SkillColumn}' names the skill '{row.Values[^1]}'; known are {Known()}.");

    private string Known() => string.Join(", ", _skills.Keys.Select(name => $"'{name}'"));

    /// <summary>Changes the weights to a skill's.</summary>
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
                _switch = new(classifier.Backbone, graft, fingerprint);
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
