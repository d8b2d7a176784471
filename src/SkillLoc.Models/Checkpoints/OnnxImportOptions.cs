namespace SkillLoc.Models.Checkpoints;

/// <summary>Properties of the imported checkpoint that an ONNX file does not contain (<see cref="OnnxCheckpoint"/>).</summary>
public sealed record OnnxImportOptions
{
    /// <summary>The vocabulary, one word piece a line; null (the default) takes the <c>vocab.txt</c> beside the ONNX file.</summary>
    public string? Vocabulary { get; init; }

    /// <summary>The number of attention heads, at least 1; null (the default) reads it off the graph's Reshape nodes.</summary>
    public int? Heads { get; init; }

    /// <summary>Whether the tokenizer lower-cases texts and strips accents (<c>do_lower_case</c>); true by default.</summary>
    public bool LowerCase { get; init; } = true;
}
