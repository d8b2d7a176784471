using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>A checkpoint inside a model's file: what its files are called, and what they hold.</summary>
/// <param name="Files">The files, in the order of their names.</param>
internal sealed partial record PackedCheckpoint(IReadOnlyList<PackedFile> Files)
{
    /// <summary>The identity of the files' names and bytes: 64 lower-case hexadecimal digits.</summary>
    public string Content => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Concat(Files.Select(file => FormattableString.Invariant($"{file.Name}\n{file.Length}\n{file.Sha256}\n"))))));

    /// <summary>Throws unless the names are those of files in one folder, each once.</summary>
    /// <param name="source">What says so, for messages.</param>
    /// <exception cref="InvalidDataException">They are not.</exception>
    public void Check(string source)
    {
        if (Files.Count == 0)
        {
            throw new InvalidDataException($"{source} is damaged: a checkpoint in it has no files.");
        }

        // What leads out of the folder is refused with what merely looks odd.
        if (Files.FirstOrDefault(file => !FileName().IsMatch(file.Name)) is { } bad)
        {
            throw new InvalidDataException($"{source} is damaged: a checkpoint in it has a file '{bad.Name}', which is no plain file name.");
        }

        if (Files.GroupBy(file => file.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidDataException($"{source} is damaged: a checkpoint in it has the file '{twice.Key}' twice.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9._-]*$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FileName();
}

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

/// <summary>A transformer that names a checkpoint folder where it is saved.</summary>
internal interface INamesCheckpoint
{
    /// <summary>The built-in transformers that it is saved as where the file holds the checkpoint.</summary>
    /// <param name="packed">Takes the checkpoint.</param>
    ITransformer Carrier(PackedCheckpoints packed);
}
