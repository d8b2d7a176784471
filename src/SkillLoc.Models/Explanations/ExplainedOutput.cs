using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Explanations;

/// <summary>The number that is explained: the logit ln(p / (1 - p)) of a label's probability p.</summary>
internal sealed class ExplainedOutput
{
    private readonly TextClassifier _classifier;
    private readonly int? _label;

    /// <param name="classifier">The classifier.</param>
    /// <param name="label">The label; null for the most probable one.</param>
    /// <exception cref="ArgumentException">The model has no labels, or not this one.</exception>
    public ExplainedOutput(TextClassifier classifier, string? label)
    {
        IReadOnlyList<string> labels = classifier.Settings.Labels;
        _classifier = classifier;
        if (labels.Count == 0)
        {
            throw new ArgumentException("A model that writes free text has no label whose score could be explained.", nameof(classifier));
        }

        if (IsScore)
        {
            if (label is not null)
            {
                throw new ArgumentException("The model predicts a score, which is explained; leave the label out.", nameof(label));
            }

            // The upper end of the range: its probability is the score's share of it.
            _label = 1;
        }
        else if (label is not null)
        {
            int index = IndexOf(label);
            _label =
                index >= 0
                    ? index
                    : throw new ArgumentException($"There is no label '{label}'; labels are {string.Join(", ", labels)}.", nameof(label));
        }
    }

    private bool IsScore => _classifier.Settings.ScoreRange is not null;

    /// <summary>The label to explain for a row.</summary>
    public int LabelOf(float[] probabilities) => _label ?? TextClassifier.MostProbable(probabilities);

    public int IndexOf(string name) => IsScore ? 1 : _classifier.Settings.Labels.ToList().IndexOf(name);

    public string NameOf(int label) => IsScore ? "score" : _classifier.Settings.Labels[label];

    /// <summary>The logits of the labels' probabilities.</summary>
    /// <param name="batch">A batch of the classifier.</param>
    /// <param name="labels">A label for each row.</param>
    /// <returns><c>[rows]</c>.</returns>
    public Tensor Of(Backbones.TokenBatch batch, IReadOnlyList<int> labels)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor outputs = _classifier.Logits(batch);
        Tensor index = tensor(labels.Select(label => (long)label).ToArray(), device: outputs.device).unsqueeze(1);
        Tensor own = outputs.gather(1, index);
        if (_classifier.Settings.IsMultiLabel)
        {
            return own.squeeze(1).MoveToOuterDisposeScope();
        }

        Tensor isOwn = zeros(outputs.shape, ScalarType.Bool, outputs.device).scatter_(1, index, ones_like(index, ScalarType.Bool));
        Tensor others = outputs.MaskedFill(isOwn, double.NegativeInfinity).logsumexp(1);
        return (own.squeeze(1) - others).MoveToOuterDisposeScope();
    }
}
