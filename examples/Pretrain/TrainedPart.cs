using System.Globalization;

namespace SkillLoc.Pretrain;

/// <summary>Which parameters of a model are trained; the head of a masked language model always is.</summary>
public sealed class TrainedPart
{
    private const string LayerMark = ".encoder.layer.";
    private readonly Func<string, bool> _isBackbone;

    private TrainedPart(string name, Func<string, bool> isBackbone)
    {
        Name = name;
        _isBackbone = isBackbone;
    }

    /// <summary>As it was written.</summary>
    public string Name { get; }

    /// <summary>The rank of the updates of all linear layers that are trained instead of these (LoRA); null for none.</summary>
    public int? Rank { get; private init; }

    /// <summary>Reads <c>all</c>, <c>encoder</c> (all layers, no embeddings), <c>head</c>, <c>last:N</c> (the last N layers) or
    /// <c>lora:R</c> (updates of rank R of all layers).</summary>
    /// <param name="text">What was written.</param>
    /// <param name="layers">How many layers the model has.</param>
    /// <exception cref="ArgumentException">It is none of these, or there are not so many layers.</exception>
    public static TrainedPart Parse(string text, int layers)
    {
        ArgumentNullException.ThrowIfNull(text);
        switch (text)
        {
            case "all":
                return new(text, _ => true);
            case "encoder":
                return new(text, name => LayerOf(name) is not null);
            case "head":
                return new(text, _ => false);
        }

        if (
            text.StartsWith("last:", StringComparison.Ordinal)
            && int.TryParse(text[5..], NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            && count >= 1
            && count <= layers
        )
        {
            return new(text, name => LayerOf(name) >= layers - count);
        }

        if (
            text.StartsWith("lora:", StringComparison.Ordinal)
            && int.TryParse(text[5..], NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
            && rank >= 1
        )
        {
            return new(text, _ => false) { Rank = rank };
        }

        throw new ArgumentException(
            $"'{text}' does not say what to train: right are all, encoder, head, last:1 to last:{layers}, and lora:R."
        );
    }

    /// <summary>Whether a parameter belongs to the head.</summary>
    public static bool IsHead(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.StartsWith("cls.", StringComparison.Ordinal) || name.StartsWith("lm_head.", StringComparison.Ordinal);
    }

    /// <summary>Whether a parameter is trained.</summary>
    public bool Includes(string name) => IsHead(name) || _isBackbone(name);

    private static int? LayerOf(string name)
    {
        int at = name.IndexOf(LayerMark, StringComparison.Ordinal);
        return at < 0 ? null : int.Parse(name[(at + LayerMark.Length)..].Split('.')[0], CultureInfo.InvariantCulture);
    }
}
