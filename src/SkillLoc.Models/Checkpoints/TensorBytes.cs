using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>Converts between tensors on any device and little-endian bytes, piece by piece.</summary>
internal static class TensorBytes
{
    // What can be addressed in place goes in large pieces; what is converted or crosses to a device needs a second buffer of this size.
    private const int DirectBytes = 1 << 30;
    private const int StagedBytes = 1 << 24;

    /// <summary>Copies the stored bytes that begin at <paramref name="offset"/> to fill <paramref name="destination"/>.</summary>
    public delegate void Source(long offset, Span<byte> destination);

    /// <summary>Receives the next piece.</summary>
    public delegate void Sink(ReadOnlySpan<byte> piece);

    /// <summary>Returns a new tensor of the stored values, converted and moved to the device.</summary>
    public static torch.Tensor Read(TensorInfo info, Source source, torch.ScalarType? asType, torch.Device? device)
    {
        TorchRuntime.Require();
        var tensor = torch.empty(info.Shape, dtype: asType ?? info.Dtype, device: device ?? torch.CPU);
        try
        {
            if (info.ByteLength > 0)
                Fill(tensor, info, source);
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Passes the values to <paramref name="sink"/> in row-major order as <paramref name="asType"/>.</summary>
    public static void Write(torch.Tensor tensor, torch.ScalarType asType, Sink sink)
    {
        using var detached = tensor.detach();
        using var contiguous = detached.contiguous();
        using var flat = contiguous.reshape(-1);
        var inPlace = tensor.device.type == DeviceType.CPU && tensor.dtype == asType;
        foreach (var (start, count) in Pieces(flat.numel(), inPlace, (int)tensor.element_size()))
        {
            using var piece = flat.narrow(0, start, count);
            if (inPlace)
            {
                sink(piece.bytes);
            }
            else
            {
                using var converted = piece.to(asType, torch.CPU);
                sink(converted.bytes);
            }
        }
    }

    private static void Fill(torch.Tensor tensor, TensorInfo info, Source source)
    {
        using var flat = tensor.view(-1);
        var inPlace = tensor.device.type == DeviceType.CPU && tensor.dtype == info.Dtype;
        var size = ElementTypes.Size(info.Dtype);
        foreach (var (start, count) in Pieces(flat.numel(), inPlace, size))
        {
            using var piece = flat.narrow(0, start, count);
            if (inPlace)
            {
                source(start * size, piece.bytes);
            }
            else
            {
                using var staged = torch.empty([count], dtype: info.Dtype, device: torch.CPU);
                source(start * size, staged.bytes);
                piece.copy_(staged);
            }
        }
    }

    private static IEnumerable<(long Start, long Count)> Pieces(long elements, bool inPlace, int elementSize)
    {
        long step = (inPlace ? DirectBytes : StagedBytes) / elementSize;
        for (long start = 0; start < elements; start += step)
            yield return (start, Math.Min(step, elements - start));
    }
}
