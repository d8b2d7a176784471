namespace SkillLoc.Models.Datasets;

/// <summary>Opens files that may be compressed: gzip is known by its first bytes, Brotli, which has none, by the extension
/// <c>.br</c>.</summary>
internal static class CompressedFile
{
    private static readonly byte[] Gzip = [0x1F, 0x8B];
    private static readonly byte[] Parquet = "PAR1"u8.ToArray();

    // A text may begin as bzip2's files do.
    private static readonly (byte[] Start, string Extension, string Name)[] Unreadable =
    [
        ([0x28, 0xB5, 0x2F, 0xFD], ".zst", "Zstandard"),
        ([], ".bz2", "bzip2"),
        ([0xFD, .. "7zXZ"u8, 0], ".xz", "xz"),
        ([.. "PK"u8, 3, 4], ".zip", "ZIP"),
    ];

    /// <summary>Opens a file to read what it holds, from its start.</summary>
    /// <returns>A stream, which throws <see cref="InvalidDataException"/> where compressed data are damaged or end too early; its message
    /// does not name the file.</returns>
    /// <exception cref="InvalidDataException">The compression cannot be read, or its name and its bytes do not agree, or the file is no
    /// text but Parquet; the message names the file.</exception>
    public static Stream Open(string path)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            Span<byte> buffer = stackalloc byte[6];
            ReadOnlySpan<byte> start = buffer[..file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false)];
            file.Position = 0;
            string extension = Path.GetExtension(path);
            if (start.StartsWith(Gzip))
            {
                return new BoundedText(new GzipText(file), file);
            }

            if (Is(extension, ".gz") || Is(extension, ".gzip"))
            {
                throw new InvalidDataException($"{path} is named as if gzip had compressed it, and it does not begin as such files do.");
            }

            if (Is(extension, ".br"))
            {
                return new BoundedText(new BrotliText(file), file);
            }

            if (start.StartsWith(Parquet))
            {
                throw new InvalidDataException(
                    $"{path} is a Parquet file: set Layout (\"layout\") to {nameof(TaskFileLayout.Parquet)} (\"parquet\")."
                );
            }

            foreach ((byte[] begin, string ending, string name) in Unreadable)
            {
                if (Is(extension, ending) || (begin.Length > 0 && start.StartsWith(begin)))
                {
                    throw new InvalidDataException(
                        $"{path} is compressed by {name}, which is not read. Decompress it, or compress it by gzip (.gz) or Brotli (.br)."
                    );
                }
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads all that a file holds.</summary>
    /// <exception cref="InvalidDataException">As from <see cref="Open"/>, or compressed data are damaged; the message names the
    /// file.</exception>
    public static byte[] ReadAllBytes(string path)
    {
        using Stream stream = Open(path);
        using var bytes = new MemoryStream();
        try
        {
            stream.CopyTo(bytes);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{path}: {e.Message}", e);
        }

        return bytes.ToArray();
    }

    private static bool Is(string extension, string other) => extension.Equals(other, StringComparison.OrdinalIgnoreCase);
}
