namespace SkillLoc.Models.Classification;

/// <summary>The keys of what an exported ONNX file carries beside its graph.</summary>
internal static class OnnxMetadata
{
    /// <summary>What all keys begin with.</summary>
    public const string All = "skillloc.";

    /// <summary>The classifier's settings as JSON.</summary>
    public const string Settings = "skillloc.settings";

    /// <summary>The token that rows are padded with.</summary>
    public const string Padding = "skillloc.padding_id";

    /// <summary>What the keys of the tokenizer's files begin with, <c>config.json</c> among them; their contents are base64.</summary>
    public const string Tokenizer = "skillloc.tokenizer/";
}
