using SkillLoc.Trainers;

namespace SkillLoc.GraftingStudy;

/// <summary>How models are fine-tuned.</summary>
public sealed record FineTuningPlan
{
    /// <summary>SGD for grafts of the paper's sparsity; AdamW spreads its change wide.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.Sgd;

    /// <summary>The learning rate.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Passes over the rows.</summary>
    public int Epochs { get; init; } = 4;

    /// <summary>Rows of an update.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Updates between evaluations on the validation rows.</summary>
    public int EvaluationInterval { get; init; } = 100;

    /// <summary>The longest row in tokens.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Strength of the L1 anchor, which AdamW models need to localise.</summary>
    public double L1 { get; init; }

    /// <summary>BitFit's learning rate; biases alone want a higher one.</summary>
    public double BiasLearningRate { get; init; } = 1e-2;

    /// <summary>LoRA's learning rate.</summary>
    public double LoraLearningRate { get; init; } = 1e-2;
}
