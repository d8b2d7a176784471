using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Explanations;

/// <summary>
/// Explains a classifier's output for a row by the tokens of its texts, the coordinates of a graft, and feed-forward neurons: integrated
/// gradients (Sundararajan, Taly and Yan 2017, Axiomatic Attribution for Deep Networks) over each. It shares the classifier's weights, but
/// not its hooks, and may outlive it.
/// </summary>
/// <remarks>Tokens: over the word embeddings, from a baseline. Coordinates: over their values, from the base model's to the graft's, with
/// the graft's head. Neurons: over their activations at all positions, from their means to those of the row; the other activations follow.
/// Each time scores sum to the difference of the logits at the two ends. Calls take turns.</remarks>
public sealed class TextExplainer : IDisposable
{
    private readonly Lock _turn = new();
    private readonly TextClassifier _classifier;
    private readonly ExplanationSettings _settings;
    private readonly ExplainedOutput _output;
    private readonly EmbeddingPath _embeddings;
    private readonly CoordinatePath? _coordinates;
    private readonly NeuronPath? _neurons;

    /// <summary>Creates an explainer.</summary>
    /// <param name="classifier">The classifier; the caller keeps it.</param>
    /// <param name="settings">What is explained; null for tokens by integrated gradients.</param>
    /// <exception cref="ArgumentException">The model has no labels, or not the one given; the vocabulary lacks the baseline's token; a
    /// setting is missing or its shape differs from the model's.</exception>
    public TextExplainer(TextClassifier classifier, ExplanationSettings? settings = null)
    {
        ArgumentNullException.ThrowIfNull(classifier);
        _settings = settings ?? new();
        _settings.Check(classifier);
        HashSet<string> changed = [.. _settings.Graft?.Changed ?? []];
        _classifier = classifier.Clone(name => !changed.Contains(name));
        try
        {
            _output = new(_classifier, _settings.Label);
            IReadOnlyList<(double Place, double Weight)> nodes = GaussLegendre.Nodes(_settings.Steps);
            _embeddings = new(_classifier, _output, _settings.Baseline, nodes);
            _classifier.Backbone.DisposeWith(_embeddings);
            _coordinates = _settings.Graft is null ? null : new(_classifier, _output, _settings, nodes);
            if (_settings.Neurons is not null)
            {
                _neurons = new(_classifier, _output, _settings, nodes);
                _classifier.Backbone.DisposeWith(_neurons);
            }
        }
        catch
        {
            _classifier.Dispose();
            throw;
        }
    }

    /// <summary>Encodes a row's texts, with the places of its tokens in them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <returns>The token ids and the scored position.</returns>
    internal EncodedText Encode(string text, string? textPair = null) => _classifier.Trace(text, textPair);

    /// <summary>Explains a row.</summary>
    /// <param name="text">The text.</param>
    /// <param name="textPair">The second text of a pair.</param>
    /// <param name="cancellation">Stops between passes.</param>
    /// <returns>The explanation.</returns>
    /// <exception cref="InvalidDataException">The row cannot be encoded.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public TextExplanation Explain(string text, string? textPair = null, CancellationToken cancellation = default) =>
        Explain([Encode(text, textPair)], [text], textPair is null ? null : [textPair], cancellation)[0];

    /// <summary>Explains rows, in groups of similar length.</summary>
    /// <param name="rows">Rows from <see cref="Encode"/>.</param>
    /// <param name="texts">Their texts.</param>
    /// <param name="pairs">Their second texts; null for none.</param>
    /// <param name="cancellation">Stops between passes.</param>
    internal TextExplanation[] Explain(
        IReadOnlyList<EncodedText> rows,
        IReadOnlyList<string> texts,
        IReadOnlyList<string>? pairs,
        CancellationToken cancellation = default
    )
    {
        lock (_turn)
        {
            using Lifetime.Hold hold = _classifier.Backbone.Hold();
            var explanations = new TextExplanation[rows.Count];
            float[][] probabilities = _classifier.Score(rows, cancellation);
            int[] labels = Array.ConvertAll(probabilities, _output.LabelOf);
            foreach (int[] group in ScoringBatch.Split([.. rows.Select(_classifier.TokensOf)], _classifier.Backbone.Device))
            {
                EncodedText[] own = [.. group.Select(i => rows[i])];
                int[] wanted = [.. group.Select(i => labels[i])];
                TokenScores[] tokens =
                    _settings.Method == AttributionMethod.Occlusion
                        ? _embeddings.Occlude(own, wanted, cancellation)
                        : _embeddings.Integrate(own, wanted, cancellation);
                PartAttributions[]? neurons = _neurons?.Integrate(own, wanted, cancellation);
                for (int i = 0; i < group.Length; i++)
                {
                    int row = group[i];
                    explanations[row] = new()
                    {
                        Text = texts[row],
                        TextPair = pairs?[row],
                        Label = _output.NameOf(wanted[i]),
                        Probability = probabilities[row][wanted[i]],
                        Logit = tokens[i].Logit,
                        BaselineLogit = tokens[i].BaselineLogit,
                        Tokens = Tokens(own[i], tokens[i].Scores),
                        ConvergenceDelta = tokens[i].ConvergenceDelta,
                        Coordinates = _coordinates?.Integrate(own[i], wanted[i], cancellation),
                        Neurons = neurons?[i],
                    };
                }
            }

            return explanations;
        }
    }

    /// <summary>The probabilities of rows that lack some of their tokens.</summary>
    internal float[][] Score(IReadOnlyList<EncodedText> rows, CancellationToken cancellation) => _classifier.Score(rows, cancellation);

    /// <summary>The index of an explained label among the probabilities.</summary>
    internal int IndexOf(string label) => _output.IndexOf(label);

    /// <summary>The padding token, which stands for a row that has lost all its tokens.</summary>
    internal int PadId => _classifier.Tokenizer.PadId;

    /// <summary>Releases what it owns, now or when a running call ends.</summary>
    public void Dispose() => _classifier.Dispose();

    private TokenAttribution[] Tokens(EncodedText row, double[] scores) =>
        [
            .. row.Spans!.Index()
                .Where(token => token.Item is not null)
                .Select(token => new TokenAttribution(
                    _classifier.Tokenizer.TokenOf(row.Ids[token.Index]),
                    token.Item!.Value.Sentence,
                    token.Item.Value.Start,
                    token.Item.Value.Length,
                    scores[token.Index]
                )),
        ];
}

/// <summary>The scores of a row's tokens.</summary>
/// <param name="Scores">One for each token of the row; 0 for the prompt's.</param>
/// <param name="Logit">The explained output.</param>
/// <param name="BaselineLogit">The same at the baseline.</param>
/// <param name="ConvergenceDelta">By how much the sum misses their difference; NaN where that means nothing.</param>
internal sealed record TokenScores(double[] Scores, double Logit, double BaselineLogit, double ConvergenceDelta);
