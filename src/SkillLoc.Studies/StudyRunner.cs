namespace SkillLoc.Studies;

/// <summary>Works through a study's runs, alone or beside other workers.</summary>
public static class StudyRunner
{
    /// <summary>
    /// Does the runs that are not done, one after the other: takes a lease of each, measures, and puts the result in its place in one
    /// step. Waits for runs that others hold, in case they die, and writes the report when all is done.
    /// </summary>
    /// <param name="study">The study.</param>
    /// <param name="options">How to work.</param>
    /// <returns><see cref="StudyExit.Done"/>, <see cref="StudyExit.RunFailed"/> or <see cref="StudyExit.Stopped"/>.</returns>
    /// <exception cref="IOException">The plan's files cannot be read, or the folder cannot be written to.</exception>
    /// <exception cref="InvalidDataException">The plan or its data is wrong, or a result in the folder is damaged or was measured by
    /// another program.</exception>
    public static StudyExit Run(IStudy study, StudyRunOptions options) => Run(study, options, null);

    /// <inheritdoc cref="Run(IStudy, StudyRunOptions)"/>
    /// <param name="study">The study.</param>
    /// <param name="options">How to work.</param>
    /// <param name="request">What the study was made from, which is kept in the folder so that <c>merge</c> can write the report.</param>
    public static StudyExit Run(IStudy study, StudyRunOptions options, StudyRequest? request)
    {
        ArgumentNullException.ThrowIfNull(study);
        ArgumentNullException.ThrowIfNull(options);
        try
        {
            return new StudyWorker(study, options, request).Run();
        }
        catch (OperationCanceledException) when (options.CancellationToken.IsCancellationRequested)
        {
            return StudyExit.Stopped;
        }
    }
}
