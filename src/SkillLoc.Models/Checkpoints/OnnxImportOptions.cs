namespace SkillLoc.Models.Checkpoints;

/// <summary>What an ONNX file does not contain, where it does not lie beside it (<see cref="OnnxCheckpoint"/>).</summary>
public sealed record OnnxImportOptions
{
    /// <summary>The model's <c>config.json</c>; null (the default) takes the one in the folder of the ONNX file, or above a folder
    /// <c>onnx</c>. Without any the graph must be a BERT's.</summary>
    public string? Config { get; init; }

    /// <summary>The vocabulary, one word piece a line, of a tokenizer as BERT has it; null (the default) takes the tokenizer's files that lie
    /// where <c>config.json</c> does, or without that the <c>vocab.txt</c> beside the ONNX file.</summary>
    public string? Vocabulary { get; init; }

    /// <summary>Whether the tokenizer of a vocabulary lower-cases texts and strips accents (<c>do_lower_case</c>); true by default. Other
    /// tokenizer files say it themselves.</summary>
    public bool LowerCase { get; init; } = true;
}
