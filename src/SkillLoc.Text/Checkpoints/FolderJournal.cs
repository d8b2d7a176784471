using System.Text.Json;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Checkpoints;

/// <summary>What there is to do in a folder that is replaced file by file, once all files are there: it lies among them.</summary>
/// <param name="Written">The names of the files and folders that are moved into the folder.</param>
/// <param name="Stale">The names of those that are removed from it.</param>
/// <param name="ValidBy">The name of the file without which the folder is invalid; null for none.</param>
internal sealed record FolderJournal(string[] Written, string[] Stale, string? ValidBy)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The journal's file.</summary>
    public static string PathIn(string stage) => Path.Join(stage, ".journal");

    /// <summary>Reads a journal. A folder may be a stranger's, whose journal must not reach out of it.</summary>
    /// <param name="stage">The folder that it lies in.</param>
    /// <param name="target">The folder that is replaced.</param>
    /// <exception cref="InvalidDataException">It is damaged, or names something outside of the folder.</exception>
    public static FolderJournal Read(string stage, string target)
    {
        FolderJournal? steps = null;
        try
        {
            ReadOnlySpan<byte> json = JsonText.ReadFile(PathIn(stage)).Span;
            JsonText.CheckObjects(json, default);
            steps = JsonSerializer.Deserialize<FolderJournal>(json, Json);
        }
        catch (JsonException e)
        {
            throw Damaged(e.Message, e);
        }

        return
            steps is null
            || new DirectoryInfo(stage).LinkTarget is not null
            || !steps.Written.Concat(steps.Stale).Append(steps.ValidBy ?? "plain").All(IsPlain)
            ? throw Damaged("it names what lies outside of the folder", null)
            : steps;

        static bool IsPlain(string? name) => name is not (null or "" or "." or "..") && name.AsSpan().IndexOfAny("/\\:\0") < 0;

        InvalidDataException Damaged(string what, Exception? cause) =>
            new(
                $"'{Path.GetFullPath(target)}' was not replaced completely, and the journal '{PathIn(stage)}' that says what is "
                    + $"missing cannot be used ({what.TrimEnd('.')}). Remove its folder and the file '.lock' beside it if the checkpoint is whole.",
                cause
            );
    }
}
