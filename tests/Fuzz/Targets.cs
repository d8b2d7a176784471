using System.Text;

namespace SkillLoc.Fuzz;

/// <summary>A target for every reader of files that may come from strangers.</summary>
internal static partial class Targets
{
    /// <summary>All targets.</summary>
    /// <param name="scratch">A folder for the files of readers that take paths, in memory best of all.</param>
    public static IReadOnlyList<Target> All(string scratch)
    {
        Target[] all = [.. Checkpoints(scratch), .. Tokenizers(), .. Datasets(scratch), .. OwnFiles(scratch), .. Studies(scratch)];
        return all.Select(target => target.Name).Distinct(StringComparer.Ordinal).Count() == all.Length
            ? all
            : throw new InvalidOperationException("Two targets have one name.");
    }

    /// <summary>A target that reads a file of its own folder.</summary>
    private static Target OfFile(
        string scratch,
        string name,
        Shape shape,
        string file,
        Action<string> read,
        IReadOnlyList<byte[]> seeds,
        Action<string>? prepare = null
    )
    {
        string folder = Path.Join(scratch, name),
            path = Path.Join(folder, file);
        Directory.CreateDirectory(folder);
        prepare?.Invoke(folder);
        return new(
            name,
            shape,
            seeds,
            file,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                read(path);
            }
        );
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>The bytes that a writer gives its file.</summary>
    private static byte[] Written(string scratch, string name, Action<string> write)
    {
        string path = Path.Join(scratch, name);
        write(path);
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        return bytes;
    }
}
