using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;

namespace SkillLoc.Models.Tests.Onnx;

/// <summary>Fields of protobuf messages by their numbers.</summary>
internal static class ProtobufBytes
{
    /// <summary>Packed numbers.</summary>
    public static byte[] Floats(params float[] values) =>
        [
            .. values.SelectMany(value =>
            {
                byte[] bytes = new byte[4];
                BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
                return bytes;
            }),
        ];

    /// <summary>A text.</summary>
    public static byte[] Text(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    /// <summary>A message or bytes.</summary>
    public static byte[] Field(int number, byte[] content) =>
        Written(output =>
        {
            output.WriteTag(number, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(content));
        });

    /// <summary>A whole number.</summary>
    public static byte[] Varint(int number, ulong value) =>
        Written(output =>
        {
            output.WriteTag(number, WireFormat.WireType.Varint);
            output.WriteUInt64(value);
        });

    /// <summary>A number of four bytes.</summary>
    public static byte[] Fixed(int number, float value) =>
        Written(output =>
        {
            output.WriteTag(number, WireFormat.WireType.Fixed32);
            output.WriteFloat(value);
        });

    private static byte[] Written(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            write(output);
        }

        return bytes.ToArray();
    }
}
