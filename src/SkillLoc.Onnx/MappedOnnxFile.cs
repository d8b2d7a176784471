using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Onnx;

/// <summary>
/// Opens a file without copying its weights twice. ONNX Runtime reads a file into memory, copies each weight out of it, and rearranges the
/// second matrix of each product ("packs" it) for its kernels. Where a file says that its weights lie in another one, it maps that one and
/// packs matrices from there. So it is given the file without its large weights, which are said to lie where they do: in the file itself.
/// Large weights that are not packed, such as word embeddings, are read into memory that the session shares.
/// </summary>
/// <remarks>
/// A mapped file must not change, so no mapping may outlive the opening. That is looked up, which only Linux allows. The numbers of fields are
/// those of <c>onnx.proto</c>.
/// </remarks>
internal sealed class MappedOnnxFile
{
    private const int Graph = 7,
        Metadata = 14;

    private const int Node = 1,
        Initializer = 5;

    private const int NodeInput = 1,
        NodeOperator = 4;

    private const int Dimension = 1,
        ElementType = 2,
        TensorName = 8,
        RawData = 9,
        ExternalData = 13,
        DataLocation = 14;

    // Wire types of protobuf.
    private const int Varint = 0,
        LengthDelimited = 2;

    // Smaller weights cost nothing to copy.
    private const int LeastBytes = 1 << 16;

    // A file of empty fields would take many times its length.
    private const int MostFields = 1 << 18;

    private const string Folder = "session.model_external_initializers_file_folder_path";

    // Their second input is packed, if it is a matrix.
    private static readonly FrozenSet<string> Products = ["MatMul", "MatMulInteger"];

    private readonly Stream _file;
    private readonly string _name;
    private readonly int _leastBytes;
    private readonly Dictionary<string, OnnxInputWeight> _shared = new(StringComparer.Ordinal);
    private readonly HashSet<string> _packed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private int _fields;

    /// <summary>Reads a file, but for the values of the matrices that will be packed.</summary>
    /// <param name="file">The file; not needed afterwards.</param>
    /// <param name="name">Its name, without its folder.</param>
    /// <param name="leastBytes">The least bytes of a weight that is taken out.</param>
    /// <exception cref="InvalidDataException">It is damaged, or more than 2 GB remain.</exception>
    public MappedOnnxFile(Stream file, string name, int leastBytes = LeastBytes)
    {
        (_file, _name, _leastBytes) = (file, name, leastBytes);
        Rest = WithoutWeights();
    }

    /// <summary>The file without its large weights.</summary>
    public byte[] Rest { get; }

    /// <summary>The large weights that are not packed.</summary>
    public IReadOnlyDictionary<string, OnnxInputWeight> Shared => _shared;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="settings">Makes the session's options, which must not switch packing off.</param>
    /// <param name="source">The file's name in error messages.</param>
    /// <param name="leastBytes">The least bytes of a weight that is taken out.</param>
    /// <returns>The session; null where this way does not do, because of the system or the file: ONNX Runtime should open it by itself, and
    /// say what is wrong with it, if anything is.</returns>
    public static OnnxSession? TryOpen(string path, Func<SessionOptions> settings, string source, int leastBytes = LeastBytes)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        OnnxSession? opened = null;
        try
        {
            var file = new FileInfo(path);
            (long Length, DateTime Written) before = (file.Length, file.LastWriteTimeUtc);
            MappedOnnxFile read;
            using (FileStream stream = file.OpenRead())
            {
                read = new(stream, file.Name, leastBytes);
            }

            opened = read.Open(file.DirectoryName!, settings, source);
            file.Refresh();
            if (file.Exists && (file.Length, file.LastWriteTimeUtc) == before && !IsMapped(file))
            {
                return opened;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException or OnnxRuntimeException)
        {
            // ONNX Runtime says it better.
        }

        opened?.Dispose();
        return null;
    }

    private static bool IsMapped(FileInfo file)
    {
        string name = "/" + (file.ResolveLinkTarget(returnFinalTarget: true) ?? file).Name;
        return File.ReadLines("/proc/self/maps").Any(line => line.Contains(name, StringComparison.Ordinal));
    }

    private OnnxSession Open(string folder, Func<SessionOptions> settings, string source)
    {
        // A tokenizer takes about as long to build as a small model to open.
        Task<OnnxEncoder> encoder = Task.Run(() => new OnnxEncoder(_metadata, source));
        var shared = new List<OrtValue>(_shared.Count);
        try
        {
            using SessionOptions options = settings();
            options.AddSessionConfigEntry(Folder, folder);
            foreach ((string name, OnnxInputWeight weight) in _shared)
            {
                shared.Add(OrtValue.CreateTensorValueFromMemory(weight.Values, weight.Shape));
                options.AddInitializer(name, shared[^1]);
            }

            return new(new(Rest, options), shared) { Encoder = encoder };
        }
        catch
        {
            shared.ForEach(weight => weight.Dispose());
            throw;
        }
    }

    private byte[] WithoutWeights()
    {
        Field[] model = [.. Fields(0, _file.Length)];
        Field graph = Array.Find(model, field => field.Number == Graph) ?? throw Wrong("it has no graph");
        Field[] parts = [.. Fields(graph)];
        ReadMetadata(model);
        FindPacked(parts);
        List<Piece> lean = [];
        foreach (Field part in parts)
        {
            byte[]? tensor = part.Number == Initializer && part.Length >= _leastBytes ? WithoutData(part) : null;
            lean.Add(tensor is null ? Piece.Of(part) : new(tensor, 0, tensor.Length));
        }

        byte[] head = Message(output => WriteHead(output, Graph, lean.Sum(piece => piece.Length)));
        List<Piece> pieces = [];
        foreach (Field field in model)
        {
            if (field == graph)
            {
                pieces.Add(new(head, 0, head.Length));
                pieces.AddRange(lean);
            }
            else
            {
                pieces.Add(Piece.Of(field));
            }
        }

        return Join(pieces);
    }

    private byte[] Join(List<Piece> pieces)
    {
        long length = pieces.Sum(piece => piece.Length);
        byte[] all = length <= Array.MaxLength ? new byte[length] : throw Wrong("what remains of it is longer than an array");
        int at = 0;
        foreach (Piece piece in pieces)
        {
            Span<byte> place = all.AsSpan(at, (int)piece.Length);
            if (piece.Content is null)
            {
                Read(piece.Start, place);
            }
            else
            {
                piece.Content.CopyTo(place);
            }

            at += place.Length;
        }

        return all;
    }

    private void ReadMetadata(Field[] model)
    {
        foreach (Field entry in model.Where(field => field.Number == Metadata))
        {
            if (Fields(entry).ToArray() is not [{ Number: 1 } key, { Number: 2 } value] || !_metadata.TryAdd(TextOf(key), TextOf(value)))
            {
                throw Wrong("its metadata are no pairs of texts, or one is there twice");
            }
        }
    }

    /// <summary>Finds the names that nothing but products reads, and as their second input.</summary>
    private void FindPacked(Field[] parts)
    {
        var others = new HashSet<string>(StringComparer.Ordinal);
        foreach (Field node in parts.Where(part => part.Number == Node))
        {
            Field[] fields = [.. Fields(node)];
            bool isProduct = Array.Find(fields, field => field.Number == NodeOperator) is { } kind && Products.Contains(TextOf(kind));
            int input = 0;
            foreach (Field field in fields.Where(field => field.Number == NodeInput))
            {
                (isProduct && input == 1 ? _packed : others).Add(TextOf(field));
                input++;
            }
        }

        _packed.ExceptWith(others);
    }

    /// <summary>The field of a tensor that says where its values lie; null for a tensor that stays as it is.</summary>
    private byte[]? WithoutData(Field tensor)
    {
        Field[] fields = [.. Fields(tensor)];
        Field? data = Array.Find(fields, field => field.Number == RawData),
            name = Array.Find(fields, field => field.Number == TensorName);
        if (data is null || name is null || data.Length < _leastBytes || fields.Any(field => field.Number is ExternalData or DataLocation))
        {
            return null;
        }

        long[] shape = [.. fields.Where(field => field.Number == Dimension).SelectMany(Sizes)];
        if (!_packed.Contains(TextOf(name)) || shape.Length != 2)
        {
            bool isFloat = Array.Find(fields, field => field.Number == ElementType)?.Value == OnnxTensor.Float32;
            if (!isFloat || !_shared.TryAdd(TextOf(name), new(shape, Floats(data, shape))))
            {
                return null;
            }
        }

        byte[] place = Message(output =>
        {
            WriteEntry(output, "location", _name);
            WriteEntry(output, "offset", data.Content.ToString(CultureInfo.InvariantCulture));
            WriteEntry(output, "length", data.Length.ToString(CultureInfo.InvariantCulture));
            WriteNumber(output, (DataLocation << 3) | Varint);
            WriteNumber(output, 1);
        });
        byte[] lean = Join([.. fields.Where(field => field != data).Select(Piece.Of), new(place, 0, place.Length)]);
        return Message(output =>
        {
            WriteHead(output, Initializer, lean.Length);
            output.Write(lean);
        });
    }

    /// <summary>The sizes in a field: one, or several that are packed.</summary>
    private List<long> Sizes(Field field)
    {
        if (!field.HasBytes)
        {
            return [(long)field.Value];
        }

        List<long> sizes = [];
        for (_file.Position = field.Content; _file.Position < field.Content + field.Length; )
        {
            sizes.Add((long)ReadNumber());
        }

        return sizes;
    }

    private float[] Floats(Field data, long[] shape)
    {
        long count = data.Length / sizeof(float);
        if (
            count > Array.MaxLength
            || Array.Exists(shape, size => size < 0)
            || shape.Aggregate((Int128)1, (product, size) => product * size) * sizeof(float) != data.Length
        )
        {
            throw Wrong("the values of a weight are not as many as its shape says");
        }

        float[] values = GC.AllocateUninitializedArray<float>((int)count);
        Read(data.Content, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private IEnumerable<Field> Fields(Field message) => Fields(message.Content, message.Content + message.Length);

    private IEnumerable<Field> Fields(long start, long end)
    {
        for (long at = start; at < end; )
        {
            _file.Position = at;
            ulong tag = ReadNumber(),
                value = ReadNumber();
            long content = _file.Position;
            ulong length = (tag & 7) switch
            {
                Varint => 0,
                LengthDelimited => value,
                _ => throw Wrong("a field is neither a number nor bytes"),
            };
            if (++_fields > MostFields || length > (ulong)Math.Max(end - content, 0))
            {
                throw Wrong("it has fields that are longer than what they lie in, or too many");
            }

            yield return new((int)(tag >> 3), (tag & 7) == LengthDelimited, at, content, (long)length, value);
            at = content + (long)length;
        }
    }

    private ulong ReadNumber()
    {
        ulong number = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            int next = _file.ReadByte();
            number |= (ulong)(next & 127) << shift;
            if (next is >= 0 and < 128)
            {
                return number;
            }
        }

        throw Wrong("a number is too long, or the file ends in it");
    }

    private void Read(long start, Span<byte> bytes)
    {
        _file.Position = start;
        _file.ReadExactly(bytes);
    }

    private string TextOf(Field field)
    {
        byte[] bytes = new byte[field.Length];
        Read(field.Content, bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    private InvalidDataException Wrong(string what) => new($"{_name}: {what}.");

    private static byte[] Message(Action<MemoryStream> write)
    {
        using var output = new MemoryStream();
        write(output);
        return output.ToArray();
    }

    private static void WriteEntry(MemoryStream output, string key, string value)
    {
        byte[] entry = Message(pair =>
        {
            foreach ((int number, string text) in new[] { (1, key), (2, value) })
            {
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                WriteHead(pair, number, bytes.Length);
                pair.Write(bytes);
            }
        });
        WriteHead(output, ExternalData, entry.Length);
        output.Write(entry);
    }

    private static void WriteHead(MemoryStream output, int number, long length)
    {
        WriteNumber(output, ((ulong)number << 3) | LengthDelimited);
        WriteNumber(output, (ulong)length);
    }

    private static void WriteNumber(MemoryStream output, ulong number)
    {
        for (; number > 127; number >>= 7)
        {
            output.WriteByte((byte)(number | 128));
        }

        output.WriteByte((byte)number);
    }

    /// <summary>A field: its number, what it holds, where it and its content begin, and the value of one that is a number.</summary>
    private sealed record Field(int Number, bool HasBytes, long Start, long Content, long Length, ulong Value);

    /// <summary>Bytes of what remains: given ones, or a part of the file.</summary>
    private sealed record Piece(byte[]? Content, long Start, long Length)
    {
        public static Piece Of(Field field) => new(null, field.Start, field.Content + field.Length - field.Start);
    }
}
