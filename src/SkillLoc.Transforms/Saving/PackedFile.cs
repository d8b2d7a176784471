using System.Security.Cryptography;

namespace SkillLoc.Transforms;

/// <summary>A file of a checkpoint.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Sha256">The SHA-256 of its bytes, in lower-case hexadecimal digits.</param>
internal sealed record PackedFile(string Name, long Length, string Sha256)
{
    /// <summary>Describes a file on the disk.</summary>
    public static PackedFile Of(string path)
    {
        using FileStream file = File.OpenRead(path);
        return new(Path.GetFileName(path), file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
    }
}
