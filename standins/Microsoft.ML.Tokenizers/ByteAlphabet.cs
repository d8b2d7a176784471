namespace Microsoft.ML.Tokenizers;

// Byte-level BPE writes each byte as one printable character: itself where it is printable Latin-1, else one from U+0100 on.
internal static class ByteAlphabet
{
    private static readonly char[] Chars = new char[256];
    private static readonly Dictionary<char, byte> Bytes = [];

    static ByteAlphabet()
    {
        var next = '\u0100';
        for (var b = 0; b < 256; b++)
        {
            Chars[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : next++;
            Bytes.Add(Chars[b], (byte)b);
        }
    }

    public static char ToChar(byte b) => Chars[b];

    public static bool TryToByte(char c, out byte b) => Bytes.TryGetValue(c, out b);
}
