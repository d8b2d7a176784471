using System.Runtime.InteropServices;

namespace SkillLoc.Models.Runtime;

/// <summary>Memory of tensors that were disposed. The C library of most Linux systems (glibc) keeps freed blocks of up to 32 MB for later
/// ones, so that a process that makes many of them holds several times what it uses.</summary>
internal static partial class FreedMemory
{
    private const int MapThreshold = -3;

    /// <summary>Gives freed memory back to the system; does nothing where the C library has no call for it.</summary>
    public static void GiveBack() => Call(() => Trim(0));

    /// <summary>Maps blocks of a megabyte or more one by one from now on, so that each is given back when it is freed. It costs time
    /// where many are made: for a process that does nothing but read and write tensors.</summary>
    public static void MapLargeBlocks() => Call(() => Option(MapThreshold, 1 << 20));

    private static void Call(Func<int> call)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = call();
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            // Not glibc: musl returns memory itself.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int Option(int parameter, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint keep);
}
