using System.Globalization;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Reads the metadata of SkillLoc's safetensors files; errors name the file and the field.</summary>
/// <param name="file">The file.</param>
/// <param name="source">Its name in error messages.</param>
internal sealed class MetadataFields(SafetensorsFile file, string source)
{
    /// <summary>Returns a required field.</summary>
    /// <exception cref="InvalidDataException">The field is missing.</exception>
    public string Text(string key) => file.Metadata.GetValueOrDefault(key) ?? throw Wrong(key, "is missing");

    /// <summary>Returns a number, which may be NaN or infinite only without a range.</summary>
    /// <exception cref="InvalidDataException">The field is missing, not a number, or out of range.</exception>
    public double Number(string key, double least = double.NegativeInfinity, double most = double.PositiveInfinity)
    {
        bool isFree = double.IsNegativeInfinity(least) && double.IsPositiveInfinity(most);
        string text = Text(key);
        return
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && (isFree || (value >= least && value <= most && double.IsFinite(value)))
            ? value
            : throw Wrong(key, $"is '{text}'; it must be a number{(isFree ? "" : $" {Range(least, most)}")}");
    }

    /// <summary>Returns an integer.</summary>
    /// <exception cref="InvalidDataException">The field is missing, not an integer, or out of range.</exception>
    public long Whole(string key, long least = 0, long most = long.MaxValue)
    {
        string text = Text(key);
        return
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            && value >= least
            && value <= most
            ? value
            : throw Wrong(
                key,
                $"is '{text}'; it must be a whole number {Range(least, most == long.MaxValue ? double.PositiveInfinity : most)}"
            );
    }

    /// <summary>Returns the values of a one-dimensional tensor of 32-bit integers.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing or has another type or shape.</exception>
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

    /// <summary>Returns the values of a floating-point tensor, which must be finite.</summary>
    /// <exception cref="InvalidDataException">The tensor is missing, is not floating-point, or holds NaN or infinity.</exception>
    public float[] Floats(string tensor)
    {
        TensorInfo info = Info(tensor);
        if (!ElementTypes.IsFloatingPoint(info.Dtype))
        {
            throw Wrong(info, "must hold floating-point numbers");
        }

        // TorchSharp cannot copy an empty tensor of several dimensions.
        using torch.Tensor values = file.ReadFinite(tensor, torch.ScalarType.Float32);
        using torch.Tensor flat = values.view(-1);
        return flat.data<float>().ToArray();
    }

    /// <summary>Creates the exception for an invalid field.</summary>
    public InvalidDataException Wrong(string key, string problem) => new($"{source}: the metadata's '{key}' {problem}.");

    private InvalidDataException Wrong(TensorInfo info, string problem) =>
        new($"{source}: tensor '{info.Name}' is {info.Dtype} of the shape [{string.Join(", ", info.Shape)}]; it {problem}.");

    private TensorInfo Info(string tensor) =>
        file.InfoOf(tensor) ?? throw new InvalidDataException($"{source} lacks the tensor '{tensor}'.");

    private static string Range(double least, double most)
    {
        string[] ends =
        [
            .. double.IsNegativeInfinity(least) ? [] : new[] { string.Create(CultureInfo.InvariantCulture, $"at least {least}") },
            .. double.IsPositiveInfinity(most) ? [] : new[] { string.Create(CultureInfo.InvariantCulture, $"at most {most}") },
        ];
        return $"of {string.Join(" and ", ends)}";
    }
}
