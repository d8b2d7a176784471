using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class Review
{
    [LoadColumn(0)]
    public string Text { get; set; } = "";

    [LoadColumn(1)]
    public string Sentiment { get; set; } = "";

    [LoadColumn(2)]
    public float Stars { get; set; }

    public static Review[] Some { get; } =
    [
        new() { Text = "fine", Sentiment = "good", Stars = 4 },
        new() { Text = "dull", Sentiment = "bad", Stars = 1.5f },
        new() { Text = "great", Sentiment = "good", Stars = 5 },
        new() { Text = "odd", Sentiment = "", Stars = float.NaN },
        new() { Text = "so-so", Sentiment = "neutral", Stars = 3 },
    ];
}

public sealed class Keyed
{
    [KeyType(3)]
    public uint Key { get; set; }

    public string? Name { get; set; }

    [VectorType(2)]
    public float[] Pair { get; set; } = [];

    public int[] Many { get; set; } = [];

    [NoColumn]
    public object? Ignored { get; set; }

    [ColumnName("Renamed")]
    public bool Flag;
}

public sealed class Worded
{
    public string[] Words { get; set; } = [];
}

public sealed class Scored
{
    [KeyType(3)]
    public uint Label { get; set; }

    [KeyType(3)]
    public uint PredictedLabel { get; set; }

    [VectorType(3)]
    public float[] Score { get; set; } = [];
}

public sealed class StarsIn
{
    public float Stars { get; set; }
}

public sealed class Doubled
{
    public float Twice { get; set; }

    public float[] Both { get; set; } = [];
}
