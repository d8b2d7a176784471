namespace SkillLoc.ConnectivityStudy;

/// <summary>
/// Small RoBERTas that are pre-trained for different numbers of updates, each from the same random weights and over a learning-rate
/// schedule of
/// its own.
/// </summary>
public sealed record PretrainingPlan
{
    /// <summary>Updates of each; 0 leaves the random weights.</summary>
    public required IReadOnlyList<int> Steps { get; init; }

    /// <summary>Texts under the data folder, as <see cref="Pretrain.TextSource.Parse"/> reads them.</summary>
    public required IReadOnlyList<string> Text { get; init; }

    /// <summary>Texts that are not trained on wherever they occur.</summary>
    public IReadOnlyList<string> LeaveOut { get; init; } = [];

    /// <summary>Tokens in the vocabulary.</summary>
    public int Vocabulary { get; init; } = 4000;

    /// <summary>The length of hidden states.</summary>
    public int Hidden { get; init; } = 96;

    /// <summary>The number of layers.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>The number of attention heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>The number of feed-forward neurons in a layer.</summary>
    public int FeedForward { get; init; } = 384;

    /// <summary>The longest piece in tokens.</summary>
    public int LongestPiece { get; init; } = 32;

    /// <summary>Tokens of an update.</summary>
    public int TokensPerBatch { get; init; } = 1024;

    /// <summary>The highest learning rate.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Seed of weights, order, pieces and masks.</summary>
    public int Seed { get; init; } = 1;
}
