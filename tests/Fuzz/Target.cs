namespace SkillLoc.Fuzz;

/// <summary>How the bytes of a target's files are built, so that mutants get past the outermost check.</summary>
internal enum Shape
{
    Bytes,
    Json,
    Text,
    Safetensors,
    Pickle,
    Zip,
    Protobuf,
    Gzip,
    Parquet,
}

/// <summary>A reader with valid files to begin with.</summary>
/// <param name="Name">Its name on the command line and in the record.</param>
/// <param name="Shape">How the files are built.</param>
/// <param name="Seeds">Small valid files.</param>
/// <param name="Said">What the message of every refusal must contain, such as the file's name.</param>
/// <param name="Read">Reads a file's bytes.</param>
internal sealed record Target(string Name, Shape Shape, IReadOnlyList<byte[]> Seeds, string Said, Action<byte[]> Read)
{
    /// <summary>Words that such files hold, put into mutants.</summary>
    public IReadOnlyList<byte[]> Words { get; init; } = [];

    /// <summary>Whether reading a large file may allocate more than it may hold: rows are made one after another, and the libraries of
    /// tokenizers outgrow their tables.</summary>
    public bool AllocatesByTheWay { get; init; }

    /// <summary>Whether a file that the mutant names may be missing.</summary>
    public bool MayMiss { get; init; }
}
