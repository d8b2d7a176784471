using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SkillLoc.Studies;

/// <summary>Appends lines to a file that many processes write to.</summary>
internal static partial class RunLog
{
    private const int WriteOnly = 1,
        Append = 0x400,
        AppendOnMac = 8;

    /// <summary>Appends a line in one call at the file's end, wherever that is by then (O_APPEND), and waits until it is on disk.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public static void Add(string path, byte[] line)
    {
        if (OperatingSystem.IsWindows())
        {
            // Append with nobody else beside.
            using var stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
            stream.Write(line);
            stream.Flush(flushToDisk: true);
            return;
        }

        // Made by .NET, so that the call below has no variable arguments.
        File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite).Dispose();
        int descriptor = Open(path, WriteOnly | (OperatingSystem.IsMacOS() ? AppendOnMac : Append));
        if (descriptor < 0)
        {
            throw Failed(path);
        }

        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Write(handle, line, line.Length) != line.Length)
        {
            throw Failed(path);
        }

        RandomAccess.FlushToDisk(handle);
    }

    private static IOException Failed(string path) => new($"'{path}' could not be written ({new Win32Exception().Message}).");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, byte[] bytes, nint count);
}
