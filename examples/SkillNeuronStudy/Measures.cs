namespace SkillLoc.SkillNeuronStudy;

/// <summary>The names of what is measured.</summary>
public static class Measures
{
    /// <summary>Test accuracy of the prompt-tuned model.</summary>
    public const string Accuracy = "accuracy";

    /// <summary>The share of the most frequent label among the test rows.</summary>
    public const string Majority = "majority";

    /// <summary>Test accuracy of the single neuron that is best on development rows, with the tuned prompt; with more than two labels
    /// the mean over the balanced subtasks of one label against the others.</summary>
    public const string BestTuned = "best_neuron_tuned";

    /// <summary>The same with an untrained prompt.</summary>
    public const string BestRandom = "best_neuron_random";

    /// <summary>The same with the word embeddings of a sentence as prompt.</summary>
    public const string BestWritten = "best_neuron_written";

    /// <summary>Test accuracy of the BitFit model.</summary>
    public const string BitFit = "accuracy_bitfit";

    /// <summary>Test accuracy of the adapter model.</summary>
    public const string Adapter = "accuracy_adapter";

    /// <summary>Test accuracy of the first run's model, pruned to its skill neurons.</summary>
    public const string Pruned = "accuracy_pruned";

    /// <summary>The same, pruned to as many random neurons: the mean over the draws.</summary>
    public const string PrunedRandom = "accuracy_pruned_random";

    /// <summary>Test accuracy of the pruned model after its prompt was tuned again.</summary>
    public const string Retrained = "accuracy_retrained";

    /// <summary>The share of parameters that pruning leaves.</summary>
    public const string ParameterRatio = "parameter_ratio";

    /// <summary>How many times faster the pruned model scores.</summary>
    public const string SpeedUp = "speed_up";

    /// <summary>Spearman's correlation of two tasks' predictivity, by layer or the mean over the layers.</summary>
    public const string Spearman = "spearman";

    /// <summary>The share of top neurons that two tasks have in common, by layer or over all layers.</summary>
    public const string Overlap = "overlap";

    /// <summary>Test accuracy of another task's prompt, unchanged.</summary>
    public const string Transfer = "transfer_accuracy";

    /// <summary>Overlap of the two prompts' active neurons, of the task's skill neurons.</summary>
    public const string IndicatorSkill = "indicator_skill";

    /// <summary>Overlap of the two prompts' active neurons, of all.</summary>
    public const string IndicatorAll = "indicator_all";
}
