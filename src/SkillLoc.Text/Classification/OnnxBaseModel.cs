using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Classification;

/// <summary>What an exported base model says of itself, for the grafts that it is scored with.</summary>
internal sealed record OnnxBaseModel
{
    private const int MostWidth = 1 << 16;

    /// <summary>The fingerprint that grafts which read label words name; null for a model without language-model head.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>The fingerprint without the language-model head, which grafts with a head of their own name.</summary>
    public required string EncoderFingerprint { get; init; }

    /// <summary>The most tokens of a row.</summary>
    public required int MaxLength { get; init; }

    /// <summary>The width of hidden states.</summary>
    public required int Width { get; init; }

    /// <summary>The dense layer of a sequence-classification head; empty for none.</summary>
    public required string Dense { get; init; }

    /// <summary>The projection to the labels of a sequence-classification head.</summary>
    public required string Output { get; init; }

    /// <summary>Where the graph's tensors lie in the parameters, by their names in the graph.</summary>
    public required IReadOnlyDictionary<string, OnnxWeight> Weights { get; init; }

    /// <summary>The parameters of which the graph has something that was computed from them.</summary>
    public required IReadOnlyList<string> Derived { get; init; }

    /// <summary>Reads the JSON of <see cref="ToJson"/>.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static OnnxBaseModel FromJson(string json, string source)
    {
        OnnxBaseModel model = JsonText.Read<OnnxBaseModel>(json, source, JsonText.OwnFiles);
        string? wrong =
            model.Width is < 1 or > MostWidth ? $"the width is {model.Width}"
            : model.MaxLength < 1 ? $"the most tokens are {model.MaxLength}"
            : model.Weights.FirstOrDefault(weight => !weight.Value.IsPossible) is { Key: { } name }
                ? $"the weight '{name}' has an impossible shape"
            : null;
        return wrong is null ? model : throw new InvalidDataException($"{source} is damaged: {wrong}.");
    }

    /// <summary>The record as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, JsonText.OwnFiles);
}

/// <summary>A tensor of a graph as a view of a parameter.</summary>
/// <param name="Parameter">The parameter's Hugging Face name.</param>
/// <param name="Offset">The parameter's scalar that is the tensor's first.</param>
/// <param name="Shape">The tensor's shape.</param>
/// <param name="Strides">How far apart in the parameter the tensor's scalars are, by dimension.</param>
internal sealed record OnnxWeight(string Parameter, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides)
{
    /// <summary>Whether it is a view of a tensor that an array can hold, with nothing left out.</summary>
    public bool IsPossible =>
        this is { Parameter: not null, Shape: not null, Strides: not null }
        && Offset >= 0
        && Shape.Count == Strides.Count
        && Shape.All(size => size is >= 0 and <= int.MaxValue)
        && Strides.All(stride => stride >= 1)
        && Shape.Aggregate(1d, (product, size) => product * size) <= int.MaxValue;

    /// <summary>The row-major places in the tensor of scalars of the parameter.</summary>
    /// <param name="scalars">Row-major places in the parameter.</param>
    /// <returns>A place for each; -1 where the tensor does not have it.</returns>
    public int[] PlacesOf(IReadOnlyList<int> scalars)
    {
        // The widest steps first, whichever dimension they are of.
        int[] order = [.. Enumerable.Range(0, Shape.Count).OrderByDescending(dimension => Strides[dimension])];
        long[] steps = [.. Enumerable.Range(0, Shape.Count).Select(dimension => Shape.Skip(dimension + 1).Aggregate(1L, (a, b) => a * b))];
        int[] places = new int[scalars.Count];
        for (int i = 0; i < places.Length; i++)
        {
            long rest = scalars[i] - Offset,
                place = 0;
            bool isInside = rest >= 0;
            foreach (int dimension in order)
            {
                long index = rest / Strides[dimension];
                isInside &= index < Shape[dimension];
                place += index * steps[dimension];
                rest %= Strides[dimension];
            }

            places[i] = isInside && rest == 0 ? (int)place : -1;
        }

        return places;
    }
}
