using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Studies;

/// <summary>Puts the folders of shards together.</summary>
internal static class StudyMerge
{
    /// <summary>Copies what is done in several folders of one study into one.</summary>
    /// <returns>The study.</returns>
    /// <exception cref="InvalidDataException">The folders are of different studies or programs, or two results of one run
    /// differ.</exception>
    public static StudyManifest Run(IReadOnlyList<string> folders, string output, bool mix)
    {
        StudyManifest[] manifests = [.. folders.Select(folder => new StudyFolder(folder).ReadManifest())];
        StudyManifest manifest = manifests[0];
        for (int i = 1; i < manifests.Length; i++)
        {
            if (!manifests[i].Runs.Select(run => run.Id).SequenceEqual(manifest.Runs.Select(run => run.Id)))
            {
                throw new InvalidDataException(
                    $"{folders[0]} and {folders[i]} are of different studies: their plans, data or bases differ."
                );
            }
        }

        // Nothing is written before all is known to agree.
        StudyBuild? build = null;
        var found = new List<(StudyManifest.Entry Run, StudyFolder From)>();
        foreach (StudyManifest.Entry run in manifest.Runs)
        {
            foreach (StudyFolder folder in folders.Append(output).Select(path => new StudyFolder(path)))
            {
                if (folder.Read(run.Id, mix ? null : build) is not { } record)
                {
                    continue;
                }

                build ??= record.Build();
                if (found is [.., (var last, var before)] && last == run)
                {
                    StudyFolder.CheckSame(before.ResultFile(run.Id), folder.ResultFile(run.Id));
                }
                else
                {
                    found.Add((run, folder));
                }
            }
        }

        var target = new StudyFolder(output);
        string plan = new StudyFolder(folders[0]).PlanFile;
        target.Create();
        target.Describe(manifest, File.Exists(plan) ? manifest.Request(plan) : null);
        var done = found.Select(each => each.Run.Id).ToHashSet(StringComparer.Ordinal);
        foreach ((StudyManifest.Entry run, StudyFolder from) in found.Where(each => !File.Exists(target.ResultFile(each.Run.Id))))
        {
            string made = target.StateOf(run.Id);
            Directory.CreateDirectory(made);
            bool isRead = manifest.Readers(run.Id).Any(reader => !done.Contains(reader.Id));
            Copy(
                from.RunFolder(run.Id),
                made,
                file => !run.HasTemporaryFiles || isRead || !PathIdentity.IsWithin(from.FilesOf(run.Id), file)
            );
            target.Commit(run.Id, made);
        }

        foreach (string folder in folders.Where(folder => !PathIdentity.Same(folder, output)))
        {
            if (new StudyFolder(folder).Log is var log && File.Exists(log))
            {
                RunLog.Add(target.Log, File.ReadAllBytes(log));
            }
        }

        return manifest;
    }

    private static void Copy(string from, string to, Func<string, bool> isWanted)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(isWanted))
        {
            string copy = Path.Join(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }
    }
}
