namespace SkillLoc.Onnx;

/// <summary>The file that a scorer was loaded from, which is read again when the scorer is saved.</summary>
internal sealed class OnnxFile(string path)
{
    private readonly string _path = System.IO.Path.GetFullPath(path);
    private readonly (long Length, DateTime Written) _state = StateOf(path);

    /// <summary>Its path, as long as it is the same file.</summary>
    /// <exception cref="InvalidOperationException">It is missing or was changed.</exception>
    public string Path =>
        File.Exists(_path) && StateOf(_path) == _state
            ? _path
            : throw new InvalidOperationException(
                $"The ONNX file '{_path}' of the scorer is missing or was changed since it was loaded, so that it cannot be saved into an "
                    + "ML.NET model: restore it, or load the scorer again."
            );

    private static (long Length, DateTime Written) StateOf(string path) => (new FileInfo(path).Length, File.GetLastWriteTimeUtc(path));
}
