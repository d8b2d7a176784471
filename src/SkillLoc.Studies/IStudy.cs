namespace SkillLoc.Studies;

/// <summary>A study: runs that can be worked through in any order that their dependencies allow, by any number of processes.</summary>
public interface IStudy
{
    /// <summary>The kind of study; part of every run's id.</summary>
    string Name { get; }

    /// <summary>The version of what the study measures; part of every run's id. It is raised when the same settings mean something
    /// else.</summary>
    int Version { get; }

    /// <summary>Lists the runs. Reads what their ids depend on, and finds what is wrong with it before hours are spent.</summary>
    /// <exception cref="IOException">Data or a checkpoint cannot be read.</exception>
    /// <exception cref="InvalidDataException">Data, a checkpoint or the plan is not as it must be.</exception>
    IReadOnlyList<StudyRun> Plan();

    /// <summary>Writes the tables of a study whose runs are all done. Needs nothing but the plan and the results.</summary>
    /// <param name="results">What the runs measured.</param>
    /// <param name="folder">Where tables go.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    void Report(StudyResults results, string folder);
}
