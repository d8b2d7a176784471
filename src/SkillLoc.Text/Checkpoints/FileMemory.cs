namespace SkillLoc.Models.Checkpoints;

/// <summary>What reading a file may take: four times its bytes and 64 MB (SECURITY.md). Readers of what small parts of a file become large
/// objects count them before they make them.</summary>
internal static class FileMemory
{
    // The rest is for the file's bytes themselves, its texts, and messages.
    private const long BytesForAny = 40L << 20;
    private const int BytesForEach = 2;

    /// <summary>The most objects of a size that a file may be read as.</summary>
    /// <param name="length">The file's bytes.</param>
    /// <param name="bytesOfEach">What an object may take.</param>
    public static long MostObjects(long length, int bytesOfEach) => (BytesForAny + (BytesForEach * length)) / bytesOfEach;
}
