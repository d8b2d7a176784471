using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>A transformer that names a checkpoint folder where it is saved.</summary>
internal interface INamesCheckpoint
{
    /// <summary>The built-in transformers that it is saved as where the file holds the checkpoint.</summary>
    /// <param name="packed">Takes the checkpoint.</param>
    ITransformer Carrier(PackedCheckpoints packed);
}
