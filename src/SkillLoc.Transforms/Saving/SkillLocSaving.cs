using Microsoft.ML;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Transforms;

namespace SkillLoc;

/// <summary>Saving models into one file with their checkpoints, and checking loaded ones.</summary>
public static class SkillLocSaving
{
    private const int BufferBytes = 1 << 16;

    /// <summary>
    /// Saves a model into one file that holds everything, the checkpoints that its parts need included: what
    /// <see cref="LoadModel(SkillLocCatalog, string, out DataViewSchema, string)"/> loads on any machine. It is ML.NET's own file with the
    /// checkpoints beside; <c>mlContext.Model.Load</c> reads it too, and finds the checkpoints where they lay, or where <c>LoadModel</c>
    /// has unpacked them.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A transformer or a chain, of which parts may be fitted, loaded or ML.NET's own. The weights need not lie in a
    /// folder.</param>
    /// <param name="inputSchema">The schema of its input; null for none.</param>
    /// <param name="path">The file; an existing file is replaced once the new one is complete.</param>
    /// <exception cref="NotSupportedException">A part cannot be saved, such as a wide feature vector's.</exception>
    /// <exception cref="FileNotFoundException">A checkpoint folder that a part needs, such as a graft's base, is missing.</exception>
    /// <exception cref="InvalidDataException">A checkpoint folder that a loaded part needs holds other weights by now.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void SaveModel(this SkillLocCatalog catalog, ITransformer model, DataViewSchema? inputSchema, string path)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        AtomicFile.CheckWritable(path);
        Write(catalog, model, inputSchema, write => AtomicFile.Write(path, write));
    }

    /// <summary>Saves a model with all that it needs into a stream; see
    /// <see cref="SaveModel(SkillLocCatalog, ITransformer, DataViewSchema?, string)"/>.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">A transformer or a chain.</param>
    /// <param name="inputSchema">The schema of its input; null for none.</param>
    /// <param name="stream">Where it goes; need not be seekable, and stays open. What fails before the writing leaves it as it is.</param>
    /// <inheritdoc cref="SaveModel(SkillLocCatalog, ITransformer, DataViewSchema?, string)" path="/exception"/>
    public static void SaveModel(this SkillLocCatalog catalog, ITransformer model, DataViewSchema? inputSchema, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(stream);
        Write(catalog, model, inputSchema, write => write(stream));
    }

    /// <summary>
    /// Loads a model that <see cref="SaveModel(SkillLocCatalog, ITransformer, DataViewSchema?, string)"/> or <c>mlContext.Model.Save</c>
    /// saved, with all that its first row would need, so that what is missing is said now.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The file.</param>
    /// <param name="inputSchema">The schema of its input.</param>
    /// <param name="cacheFolder">Where the checkpoints in the file are unpacked, each once, into a folder that is called by what it holds;
    /// programs that run at once may share it, and it may be removed while none runs. Null takes the
    /// environment variable <c>SKILLLOC_CACHE</c>, or else <c>SkillLoc/checkpoints</c> in the user's local application data.</param>
    /// <returns>The model.</returns>
    /// <exception cref="FileNotFoundException">There is no such file, or a checkpoint folder that the model names is missing.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, is no model, or a checkpoint holds other weights than it was saved
    /// with.</exception>
    /// <exception cref="IOException">The checkpoints could not be unpacked, for instance because the disk is full.</exception>
    public static ITransformer LoadModel(
        this SkillLocCatalog catalog,
        string path,
        out DataViewSchema inputSchema,
        string? cacheFolder = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(path);
        using FileStream file = File.OpenRead(path);
        return Read(catalog, file, $"'{path}'", out inputSchema, cacheFolder);
    }

    /// <summary>Loads a model from a stream; see <see cref="LoadModel(SkillLocCatalog, string, out DataViewSchema, string?)"/>.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="stream">The model, from where the stream stands to its end; one that is not seekable is copied into a temporary file
    /// first. It stays open.</param>
    /// <param name="inputSchema">The schema of its input.</param>
    /// <param name="cacheFolder">Where the checkpoints in it are unpacked.</param>
    /// <returns>The model.</returns>
    /// <inheritdoc cref="LoadModel(SkillLocCatalog, string, out DataViewSchema, string?)" path="/exception"/>
    public static ITransformer LoadModel(
        this SkillLocCatalog catalog,
        Stream stream,
        out DataViewSchema inputSchema,
        string? cacheFolder = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(stream);
        const string Source = "The stream";
        if (stream.CanSeek && stream.Position == 0)
        {
            return Read(catalog, stream, Source, out inputSchema, cacheFolder);
        }

        using FileStream copy = Temporary();
        stream.CopyTo(copy);
        return Read(catalog, copy, Source, out inputSchema, cacheFolder);
    }

    /// <summary>
    /// Throws where a loaded model's first row would, because a checkpoint that it names is missing or holds other weights, and loads what
    /// it needs for that row. For the start of a service: <c>mlContext.Model.Load</c> and <c>CreatePredictionEngine</c> run no code of ours
    /// that knows the checkpoints.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="model">The model; what is not SkillLoc's, or was not loaded, needs nothing.</param>
    /// <exception cref="FileNotFoundException">A checkpoint folder is at none of the places where it is looked for; the message names them
    /// and the environment variable <c>SKILLLOC_CHECKPOINTS</c>.</exception>
    /// <exception cref="InvalidDataException">A checkpoint is damaged or holds other weights, or the model is damaged.</exception>
    public static void CheckModel(this SkillLocCatalog catalog, ITransformer model)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        SavedStates.Restore(model);
    }

    /// <summary>Throws where the first row that a saved model scores would; see
    /// <see cref="CheckModel(SkillLocCatalog, ITransformer)"/>.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="path">The model's file. Checkpoints that it holds are unpacked as <c>LoadModel</c> does.</param>
    /// <inheritdoc cref="LoadModel(SkillLocCatalog, string, out DataViewSchema, string?)" path="/exception"/>
    public static void CheckModel(this SkillLocCatalog catalog, string path) => (LoadModel(catalog, path, out _) as IDisposable)?.Dispose();

    private static void Write(SkillLocCatalog catalog, ITransformer model, DataViewSchema? inputSchema, Action<Action<Stream>> put)
    {
        using var packed = new PackedCheckpoints(Path.Join(Path.GetTempPath(), $"skillloc-{Guid.NewGuid():N}"));
        ITransformer whole = SavedStates.Pack(model, packed);
        using FileStream written = Temporary();
        catalog.Context.Model.Save(whole, inputSchema, written);
        written.Position = 0;
        put(stream => packed.Write(written, stream));
    }

    private static ITransformer Read(
        SkillLocCatalog catalog,
        Stream stream,
        string source,
        out DataViewSchema inputSchema,
        string? cacheFolder
    )
    {
        PackedCheckpoints.Unpack(stream, source, cacheFolder);
        stream.Position = 0;
        ITransformer model;
        try
        {
            model = catalog.Context.Model.Load(stream, out inputSchema);
        }
        catch (Exception error) when (error is FormatException or InvalidDataException or EndOfStreamException)
        {
            throw new InvalidDataException($"{source} is damaged, or is no model that was saved: {error.Message}", error);
        }

        SavedStates.Restore(model);
        return model;
    }

    private static FileStream Temporary() =>
        new(
            Path.Join(Path.GetTempPath(), $"skillloc-{Guid.NewGuid():N}.tmp"),
            FileMode.CreateNew,
            FileAccess.ReadWrite,
            FileShare.None,
            BufferBytes,
            FileOptions.DeleteOnClose
        );
}
