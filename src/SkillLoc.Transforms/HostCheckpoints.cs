using System.Globalization;
using Microsoft.ML.Runtime;
using SkillLoc.Models.Hub;

namespace SkillLoc;

/// <summary>Finds checkpoints for components.</summary>
internal static class HostCheckpoints
{
    /// <summary>Finds a checkpoint, downloaded if that is allowed, which the log tells of and the context's cancellation ends.</summary>
    /// <param name="host">The component.</param>
    /// <param name="checkpoint">A folder or a name.</param>
    /// <param name="cancellation">The call's own token.</param>
    /// <returns>Its full path, or its name with the commit, which stays the same checkpoint until the call's end.</returns>
    public static string Find(this ComponentHost host, string checkpoint, CancellationToken cancellation = default)
    {
        using IChannel channel = host.Start("Checkpoint");
        using CancellationWatch watch = host.Watch(cancellation);
        string? file = null;
        long told = 0;
        return CheckpointHub.Locate(checkpoint, CheckpointHub.Options.With(Tell), watch.Token).Reference;

        // At the begin of a file, and at every tenth of it.
        void Tell(HubProgress progress)
        {
            long tenth = progress.Length is > 0 and { } length ? 10 * progress.Bytes / length : 0;
            if (progress.File == file && tenth <= told)
            {
                return;
            }

            (file, told) = (progress.File, tenth);
            channel.Info(
                MessageSensitivity.None,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Downloading {progress.File} of {progress.Repository}: {progress.Bytes / 1e6:F1} of {progress.Length / 1e6:F1} MB"
                )
            );
        }
    }
}
