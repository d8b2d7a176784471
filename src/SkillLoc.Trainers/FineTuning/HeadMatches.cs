using Microsoft.ML.Runtime;
using SkillLoc.Models.Classification;

namespace SkillLoc.Trainers;

/// <summary>Reports what is reused of a trained classification head.</summary>
internal static class HeadMatches
{
    /// <summary>Logs to the channel: a message if all labels match, else a warning.</summary>
    /// <param name="channel">The trainer's.</param>
    /// <param name="match">The matched labels; null without a trained head.</param>
    /// <param name="source">The source of the trained head.</param>
    /// <param name="task">The task if there are several; else empty.</param>
    public static void Tell(IChannel channel, HeadMatch? match, string source, string task = "")
    {
        if (match is null)
        {
            return;
        }

        string whose = task.Length == 0 ? "" : $" of '{task}'";
        if (match.IsWhole)
        {
            channel.Info(
                MessageSensitivity.None, $"The head{whose} goes on from that of {source}; its rows were matched by the labels' names.");
            return;
        }

        string kept = match.Kept.Count == 0 ? "no label is" : Are(match.Kept);
        string fresh = match.Fresh.Count == 0 ? "" : $" {Are(match.Fresh)} new and untrained.";
        string dropped = match.Dropped.Count == 0
            ? ""
            : $" Of the trained head {Are(match.Dropped)} left out, as the data has no such label.";
        string hint = match.Kept.Count > 0
            ? ""
            : " If labels are the same under other names, give them the names that the trained head has.";
        channel.Warning(
            MessageSensitivity.None,
            $"The head{whose} goes on from that of {source}, by the labels' names: {kept} kept.{fresh}{dropped}{hint}");
    }

    private static string Are(IReadOnlyList<string> labels) =>
        $"{string.Join(", ", labels.Select(label => $"'{label}'"))} {(labels.Count == 1 ? "is" : "are")}";
}
