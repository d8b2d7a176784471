using System.IO.Compression;

namespace Microsoft.ML.Model;

/// <summary>Reads what <see cref="ModelSaveContext"/> wrote.</summary>
internal sealed class ModelLoadContext(ZipArchive archive, ComponentCatalog catalog, string folder)
{
    private static readonly Dictionary<string, Func<ModelLoadContext, ICanSaveModel>> Loaders = new()
    {
        [TransformerChain<ITransformer>.Signature] = LoadChain,
        [ColumnCopyingTransformer.Signature] = ctx => new ColumnCopyingTransformer(ctx),
        [ColumnConcatenatingTransformer.Signature] = ctx => new ColumnConcatenatingTransformer(ctx),
        [ColumnSelectingTransformer.Signature] = ctx => new ColumnSelectingTransformer(ctx),
        [KeyToValueMappingTransformer.Signature] = ctx => new KeyToValueMappingTransformer(ctx),
        [ValueToKeyMappingTransformer.Signature] = ctx => new ValueToKeyMappingTransformer(ctx),
        [ValueMappingTransformer.Signature] = ctx => new ValueMappingTransformer(ctx),
        [TypeConvertingTransformer.Signature] = ctx => new TypeConvertingTransformer(ctx),
        [CustomMapping.Signature] = CustomMapping.Load,
    };

    public ComponentCatalog Catalog => catalog;

    public BinaryReader Reader { get; private set; }

    public ICanSaveModel LoadModel()
    {
        var entry = archive.GetEntry(ModelSaveContext.EntryOf(folder))
            ?? throw new FormatException($"Corrupt model file: no entry '{folder}'");
        using var stream = entry.Open();
        Reader = new BinaryReader(stream);
        var signature = Reader.ReadString();
        return Loaders.TryGetValue(signature, out var load)
            ? load(this)
            : throw new FormatException($"Unknown model signature '{signature}'");
    }

    public ICanSaveModel LoadModel(string name) => new ModelLoadContext(archive, catalog, $"{folder}/{name}").LoadModel();

    private static TransformerChain<ITransformer> LoadChain(ModelLoadContext ctx)
    {
        var transformers = new ITransformer[ctx.Reader.ReadInt32()];
        var scopes = new TransformerScope[transformers.Length];
        for (var i = 0; i < transformers.Length; i++)
        {
            scopes[i] = (TransformerScope)ctx.Reader.ReadInt32();
            transformers[i] = (ITransformer)ctx.LoadModel($"Transform_{i:000}");
        }

        return new(transformers, scopes);
    }
}
