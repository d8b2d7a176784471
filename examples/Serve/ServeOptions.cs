using System.ComponentModel.DataAnnotations;

namespace SkillLoc.Serve;

/// <summary>The section <c>Serve</c> of the configuration.</summary>
public sealed class ServeOptions : IValidatableObject
{
    /// <summary>The folder of the skills, relative to the current directory; see <see cref="SkillFolder"/>.</summary>
    [Required]
    public string Skills { get; set; } = "skills";

    /// <summary>The checkpoint that the grafts and adapters in the folder belong to: a folder or a name of the hub; or, of grafts
    /// alone, a file that <c>OnnxBase.Save</c> wrote. Null for all-MiniLM-L6-v2, for grafts with a prompt head.</summary>
    public string? Base { get; set; }

    /// <summary>A file of rows that a skill is trained on when the folder has none; see <see cref="FirstSkill"/>. Null trains none.</summary>
    public string? Train { get; set; }

    /// <summary>The most texts that a model scores together.</summary>
    [Range(1, 1024)]
    public int MaxBatch { get; set; } = 32;

    /// <summary>How long a text waits for others to be scored with, while the model has nothing else to do.</summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>The most texts that wait for a model; requests beyond are answered with 429.</summary>
    [Range(1, int.MaxValue)]
    public int MaxQueuedTexts { get; set; } = 4096;

    /// <summary>The most texts of a request; more are answered with 413.</summary>
    [Range(1, int.MaxValue)]
    public int MaxTexts { get; set; } = 1000;

    /// <summary>The longest text in characters; longer ones are answered with 413. A model reads less: the rest is cut.</summary>
    [Range(1, int.MaxValue)]
    public int MaxTextLength { get; set; } = 20_000;

    /// <summary>The largest body of a request; larger ones are answered with 413.</summary>
    [Range(1, long.MaxValue)]
    public long MaxBodyBytes { get; set; } = 4 << 20;

    /// <summary>How long a request may take; then it is answered with 503.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long running requests may take when the service stops.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (MaxTexts > MaxQueuedTexts)
        {
            yield return new($"{nameof(MaxTexts)} is {MaxTexts}; it must not be above {nameof(MaxQueuedTexts)}, {MaxQueuedTexts}.");
        }

        if (MaxWait < TimeSpan.Zero || Timeout <= TimeSpan.Zero || DrainTimeout < TimeSpan.Zero)
        {
            yield return new($"{nameof(MaxWait)} and {nameof(DrainTimeout)} must be 0 or more, and {nameof(Timeout)} above 0.");
        }
    }
}
