using System.Globalization;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Reads what a safetensors file of our own says of itself; whatever is wrong is said with the file and the field.</summary>
/// <param name="file">The file.</param>
/// <param name="source">What error messages call it.</param>
internal sealed class MetadataFields(SafetensorsFile file, string source)
{
    /// <summary>A field that must be there.</summary>
    /// <exception cref="InvalidDataException">It is not.</exception>
    public string Text(string key) => file.Metadata.GetValueOrDefault(key) ?? throw Wrong(key, "is missing");

    /// <summary>A number, which may be NaN or infinite only where no range is given.</summary>
    /// <exception cref="InvalidDataException">The field is missing, no number, or out of the range.</exception>
    public double Number(string key, double least = double.NegativeInfinity, double most = double.PositiveInfinity)
    {
        bool isFree = double.IsNegativeInfinity(least) && double.IsPositiveInfinity(most);
        string text = Text(key);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && (isFree || (value >= least && value <= most && double.IsFinite(value)))
            ? value
            : throw Wrong(key, $"is '{text}'; it must be a number{(isFree ? "" : $" {Range(least, most)}")}");
    }

    /// <summary>A whole number.</summary>
    /// <exception cref="InvalidDataException">The field is missing, no whole number, or out of the range.</exception>
    public long Whole(string key, long least = 0, long most = long.MaxValue)
    {
        string text = Text(key);
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) && value >= least && value <= most
            ? value
            : throw Wrong(key, $"is '{text}'; it must be a whole number {Range(least, most == long.MaxValue ? double.PositiveInfinity : most)}");
    }

    /// <summary>The numbers of a tensor of one dimension that holds integers of 32 bits.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing or of another kind.</exception>
    public int[] Integers(string tensor)
    {
        TensorInfo info = Info(tensor);
        if (info.Dtype != torch.ScalarType.Int32 || info.Shape.Length != 1)
        {
            throw Wrong(info, "must hold int32 in one dimension");
        }

        using torch.Tensor values = file.Read(tensor);
        return values.data<int>().ToArray();
    }

    /// <summary>The finite numbers of a tensor.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing, holds no floating-point numbers, or NaN or infinity.</exception>
    public float[] Floats(string tensor)
    {
        TensorInfo info = Info(tensor);
        if (!ElementTypes.IsFloatingPoint(info.Dtype))
        {
            throw Wrong(info, "must hold floating-point numbers");
        }

        using torch.Tensor values = file.ReadFinite(tensor, torch.ScalarType.Float32);
        return values.data<float>().ToArray();
    }

    /// <summary>What to throw where a field is not what it must be.</summary>
    public InvalidDataException Wrong(string key, string problem) => new($"{source}: the metadata's '{key}' {problem}.");

    private InvalidDataException Wrong(TensorInfo info, string problem) =>
        new($"{source}: tensor '{info.Name}' is {info.Dtype} of the shape [{string.Join(", ", info.Shape)}]; it {problem}.");

    private TensorInfo Info(string tensor) => file.Tensors.FirstOrDefault(info => info.Name == tensor)
        ?? throw new InvalidDataException($"{source} lacks the tensor '{tensor}'.");

    private static string Range(double least, double most) => string.Create(
        CultureInfo.InvariantCulture, $"{(double.IsNegativeInfinity(least) ? "" : $"of at least {least}")}{(double.IsPositiveInfinity(most) ? "" : $" and at most {most}")}");
}
