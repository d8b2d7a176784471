using System.IO.Compression;

namespace Microsoft.ML;

public sealed class ModelSaveContext : IDisposable
{
    private readonly ZipArchive _archive;
    private readonly string _folder;
    private readonly MemoryStream _content = new();
    private BinaryWriter _writer;

    private ModelSaveContext(ZipArchive archive, string folder)
    {
        _archive = archive;
        _folder = folder;
    }

    public void Dispose() => _content.Dispose();

    internal static string EntryOf(string folder) => $"{folder}/Model.key";

    internal static void SaveModel(ZipArchive archive, ICanSaveModel model, string folder)
    {
        using var ctx = new ModelSaveContext(archive, folder);
        model.Save(ctx);
        if (ctx._writer is null)
            throw new InvalidOperationException("ModelSignature not specified!");
        ctx._writer.Flush();
        using var entry = archive.CreateEntry(EntryOf(folder)).Open();
        ctx._content.WriteTo(entry);
    }

    /// <summary>Starts the model's own content; the signature says which loader reads it back.</summary>
    internal BinaryWriter Begin(string signature)
    {
        _writer = new BinaryWriter(_content);
        _writer.Write(signature);
        return _writer;
    }

    internal void SaveModel(ICanSaveModel model, string name) => SaveModel(_archive, model, $"{_folder}/{name}");
}
