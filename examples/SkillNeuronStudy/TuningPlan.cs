namespace SkillLoc.SkillNeuronStudy;

/// <summary>How prompts, biases and adapters are tuned: AdamW, and the state that is best on the development rows is kept.</summary>
public sealed record TuningPlan
{
    /// <summary>Slots of the soft prompt, the mask included.</summary>
    public int PromptSize { get; init; } = 16;

    /// <summary>The soft prompt's learning rate; 0.001 is the paper's for RoBERTa-base.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>BitFit's learning rate.</summary>
    public double BiasLearningRate { get; init; } = 1e-3;

    /// <summary>The adapters' learning rate.</summary>
    public double AdapterLearningRate { get; init; } = 1e-3;

    /// <summary>Passes over the rows.</summary>
    public int Epochs { get; init; } = 4;

    /// <summary>Passes over the rows when the prompt of a pruned model is tuned again.</summary>
    public int RetrainingEpochs { get; init; } = 4;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>Updates between evaluations on the development rows.</summary>
    public int EvaluationInterval { get; init; } = 100;

    /// <summary>The longest row in tokens; null takes the task's.</summary>
    public int? MaxLength { get; init; }
}
