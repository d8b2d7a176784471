namespace SkillLoc.Pretrain;

/// <summary>What the command line says.</summary>
public sealed record PretrainOptions
{
    /// <summary>The texts to train on, as <see cref="TextSource.Parse"/> reads them.</summary>
    public required IReadOnlyList<string> Text { get; init; }

    /// <summary>Texts that must not be trained on wherever they occur: test sets.</summary>
    public IReadOnlyList<string> LeaveOut { get; init; } = [];

    /// <summary>The checkpoint folder to write; training resumes from it when it is already there.</summary>
    public required string Out { get; init; }

    /// <summary>The checkpoint folder to go on from; null trains a new RoBERTa.</summary>
    public string? From { get; init; }

    /// <summary>Tokens in the vocabulary of a new model.</summary>
    public int Vocabulary { get; init; } = 12_000;

    /// <summary>Words that are one token each in the vocabulary of a new model.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>The length of a new model's hidden states.</summary>
    public int Hidden { get; init; } = 256;

    /// <summary>The number of a new model's layers.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>The number of a new model's attention heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>The number of feed-forward neurons in a new model's layer.</summary>
    public int FeedForward { get; init; } = 1024;

    /// <summary>Passages are cut to pieces of at least this many tokens, where they are long enough.</summary>
    public int ShortestPiece { get; init; } = 16;

    /// <summary>Passages are cut to pieces of at most this many tokens.</summary>
    public int LongestPiece { get; init; } = 128;

    /// <summary>Tokens of one update, padding included.</summary>
    public int TokensPerBatch { get; init; } = 4096;

    /// <summary>The share of tokens to predict.</summary>
    public double MaskRate { get; init; } = 0.15;

    /// <summary>Tokens that are more than this share of the texts are predicted less often than others
    /// (<see cref="Passages.MaskWeights"/>); 0 chooses all alike.</summary>
    public double CommonShare { get; init; }

    /// <summary>The highest learning rate.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>What is trained, as <see cref="TrainedPart.Parse"/> reads it.</summary>
    public string Train { get; init; } = "all";

    /// <summary>The backbone's learning rate as a share of the head's.</summary>
    public double BackboneRate { get; init; } = 1;

    /// <summary>True sets the head of a model that never had one in closed form before the training (<see cref="HeadStart"/>).</summary>
    public bool HeadStart { get; init; }

    /// <summary>The share of the training in which the learning rate rises.</summary>
    public double WarmUp { get; init; } = 0.02;

    /// <summary>True lowers the learning rate along a cosine, false along a line.</summary>
    public bool Cosine { get; init; }

    /// <summary>AdamW's weight decay, for matrices only.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>How long to train; unused when <see cref="Steps"/> is there.</summary>
    public double Minutes { get; init; } = 60;

    /// <summary>How many updates to make; 0 only measures.</summary>
    public int? Steps { get; init; }

    /// <summary>Seed of weights, order, pieces and masks.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>The share of passages that is kept back to measure on.</summary>
    public double HeldOut { get; init; } = 0.01;

    /// <summary>Minutes between measurements of the held-out loss.</summary>
    public double EvaluationMinutes { get; init; } = 10;

    /// <summary>Minutes between checkpoints.</summary>
    public double CheckpointMinutes { get; init; } = 5;

    /// <summary>Where to compute: <c>cpu</c> or <c>cuda</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>True stores the finished weights as float16.</summary>
    public bool Half { get; init; }
}
