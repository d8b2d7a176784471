namespace SkillLoc.Transforms;

/// <summary>Where checkpoints lie that a saved ML.NET model names.</summary>
public static class CheckpointStore
{
    /// <summary>An environment variable with more folders to look in, separated as in PATH.</summary>
    public const string SearchPathVariable = "SKILLLOC_CHECKPOINTS";

    /// <summary>
    /// Finds a checkpoint folder: where it was when the model was saved, else a folder of its name in <see cref="SearchPathVariable"/>,
    /// beside the program, or in the current directory.
    /// </summary>
    /// <param name="folder">The folder as it was saved.</param>
    /// <returns>The folder that exists.</returns>
    /// <exception cref="FileNotFoundException">None does; the message names all that were tried.</exception>
    public static string Find(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder));
        string[] candidates =
        [
            folder,
            .. (Environment.GetEnvironmentVariable(SearchPathVariable) ?? "")
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Select(parent => Path.Combine(parent, name)),
            Path.Combine(AppContext.BaseDirectory, name),
            Path.GetFullPath(name),
        ];
        return candidates.FirstOrDefault(Directory.Exists) ?? throw new FileNotFoundException(
            $"The model needs the checkpoint folder '{name}', which is at none of {string.Join(", ", candidates)}. Put it at one of them, "
            + $"or name its parent in the environment variable {SearchPathVariable}.", folder);
    }
}
