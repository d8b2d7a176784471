using SkillLoc.Models.Prompts;
using SkillLoc.Trainers;

namespace SkillLoc.Demo;

/// <summary>What the command line says.</summary>
public sealed record DemoOptions
{
    public required string Checkpoint { get; init; }

    /// <summary>The SpamAssassin corpus, unless <see cref="Data"/> is given.</summary>
    public required string Corpus { get; init; }

    public string? Data { get; init; }

    public string? Test { get; init; }

    public string? OutOfDistribution { get; init; }

    public required PromptTask Task { get; init; }

    public required string Output { get; init; }

    public required double[] Sparsities { get; init; }

    /// <summary>The whole job once for each: it draws the training and validation rows, and the order and masks of training.</summary>
    public required int[] Seeds { get; init; }

    /// <summary>Whether models are measured on the validation rows only, to choose settings by; test rows stay unread then.</summary>
    public bool Choosing { get; init; }

    public OptimizerKind Optimizer { get; init; }

    public double LearningRate { get; init; }

    public int Epochs { get; init; }

    public int GraftEpochs { get; init; }

    public double GraftLearningRate { get; init; }

    /// <summary>At most this many rows of each test set, twice as many to train on, half as many to choose the best state by.</summary>
    public int Rows { get; init; }

    /// <summary>In tokens.</summary>
    public int MaxLength { get; init; }

    /// <summary>The command that repeats it, for the report.</summary>
    public string Command { get; init; } = "make demo";
}
