using SkillLoc.Models.Classification;
using SkillLoc.Models.Neurons;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Evaluators;

/// <summary>
/// Indicates how well a soft prompt transfers to another task: the overlap of neurons that two prompts activate at the scored slot for the
/// empty text (Wang et al. 2022, section 6.2; methods, B.11). A neuron is active if its activation is above 0; the overlap is the number of
/// neurons active with both prompts divided by the number active with either. The paper's code does not include it.
/// </summary>
public sealed record TransferIndicator
{
    /// <summary>The overlap over all neurons; NaN if none is active.</summary>
    public required double AllNeurons { get; init; }

    /// <summary>The overlap over the skill neurons; NaN if none is active.</summary>
    public required double SkillNeurons { get; init; }

    internal static TransferIndicator Of(TextClassifier first, TextClassifier second, NeuronSet skill)
    {
        float[] ones = States(first),
            others = States(second);
        if (ones.Length != skill.Members.Length || others.Length != ones.Length)
        {
            throw new ArgumentException(
                $"The two models have {ones.Length} and {others.Length} neurons, and the set is [{skill.Layers}, {skill.Width}]; they "
                    + "must be of one shape.",
                nameof(skill)
            );
        }

        bool[] members = skill.Members.ToArray();
        return new() { AllNeurons = Overlap(_ => true), SkillNeurons = Overlap(i => members[i]) };

        double Overlap(Func<int, bool> counts)
        {
            int[] considered = [.. Enumerable.Range(0, ones.Length).Where(counts)];
            return (double)considered.Count(i => ones[i] > 0 && others[i] > 0) / considered.Count(i => ones[i] > 0 || others[i] > 0);
        }
    }

    private static float[] States(TextClassifier classifier)
    {
        EncodedText empty = classifier.Encode("", classifier.Settings.HasTextPair ? "" : null);
        return new NeuronProbe(classifier).AtScoredSlot([empty])[0];
    }
}
