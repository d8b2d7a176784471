using System.Buffers.Binary;
using System.Text;
using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>
/// Reads the pickles that <c>torch.save</c> writes for a state dict. A pickle is a program that may call anything in Python; this reader
/// supports containers, numbers, texts and the functions that rebuild tensors, and refuses all other names.
/// </summary>
/// <remarks>Our own since TorchSharp.PyBridge reads with a general unpickler, which leaves open what may be made.</remarks>
internal sealed class PickleReader
{
    private const int HighestProtocol = 5;
    private const int LongestName = 1000;
    private const int MostDimensions = 64;

    // What a pickle may build up, which is far more than state dicts need; what values take at most, their places in lists included.
    private const long BytesForAny = 48L << 20;
    private const int BytesForEach = 2;
    private const int BytesOfValue = 48;
    private const int BytesOfContainer = 64;
    private const int BytesOfMemory = 112;

    // The whole number that files of the format before PyTorch 1.6 begin with.
    private static readonly byte[] LegacyMark = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

    private static readonly Encoding StrictUtf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Stream _stream;
    private readonly long _length;
    private readonly Dictionary<string, PickledStorage> _storages;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<long, object?> _memo = [];
    private byte[] _taken = new byte[64];
    private long _position;
    private long _budget;

    private PickleReader(Stream stream, long length, long fileLength, Dictionary<string, PickledStorage> storages)
    {
        _stream = stream;
        _length = length;
        _storages = storages;
        _budget = BytesForAny + (BytesForEach * fileLength);
    }

    /// <summary>
    /// The value of a pickle: null, <see cref="bool"/>, <see cref="long"/>, <see cref="double"/>, <see cref="string"/>, a list, an array
    /// (tuple), a <see cref="PickledDictionary"/>, a <see cref="PickledTensor"/>, a <see cref="PickledStorage"/>, an element type, or
    /// <see cref="LegacyMagic"/>.
    /// </summary>
    /// <param name="bytes">The pickle and nothing else.</param>
    /// <param name="fileLength">The bytes of the whole file, by which it is judged how much a pickle may build up.</param>
    /// <param name="storages">The storages that it refers to, by their keys, are added.</param>
    /// <exception cref="InvalidDataException">The pickle is invalid, or uses a name that is refused.</exception>
    public static object? Read(byte[] bytes, long fileLength, Dictionary<string, PickledStorage> storages)
    {
        using var stream = new MemoryStream(bytes);
        object? value = Read(stream, bytes.Length, fileLength, storages);
        return stream.Position == bytes.Length
            ? value
            : throw new InvalidDataException(
                $"{bytes.Length - stream.Position} bytes follow the pickle, which ends at byte {stream.Position}"
            );
    }

    /// <summary>The value of a pickle that other bytes may follow; see <see cref="Read(byte[], long, Dictionary{string,
    /// PickledStorage})"/>.</summary>
    /// <param name="stream">Where it begins; stands behind it at the end.</param>
    /// <param name="length">The bytes that there are.</param>
    /// <param name="fileLength">The bytes of the whole file.</param>
    /// <param name="storages">The storages that it refers to, by their keys, are added.</param>
    /// <exception cref="InvalidDataException">The pickle is invalid, or uses a name that is refused.</exception>
    public static object? Read(Stream stream, long length, long fileLength, Dictionary<string, PickledStorage> storages) =>
        new PickleReader(stream, length, fileLength, storages).Run();

    /// <summary>Stands for the number that files of the format before PyTorch 1.6 begin with.</summary>
    public static object LegacyMagic { get; } = new();

    private object? Run()
    {
        while (true)
        {
            long at = _position;
            byte opcode = Take(1)[0];
            switch (opcode)
            {
                case 0x80: // PROTO
                    if (Take(1)[0] is var protocol && protocol > HighestProtocol)
                    {
                        throw new InvalidDataException($"the pickle has protocol {protocol}; up to {HighestProtocol} is known");
                    }

                    break;
                case 0x95: // FRAME
                    if (BinaryPrimitives.ReadUInt64LittleEndian(Take(8)) is var frame && frame > (ulong)(_length - _position))
                    {
                        throw new InvalidDataException($"the pickle has a frame of {frame} bytes at byte {at} and ends before");
                    }

                    break;
                case (byte)'.': // STOP
                    return Pop();
                case (byte)'(': // MARK
                    Charge(BytesOfValue);
                    _marks.Push(_stack.Count);
                    break;
                case (byte)'0': // POP
                    Pop();
                    break;
                case (byte)'1': // POP_MARK
                    PopToMark();
                    break;
                case (byte)'N': // NONE
                    Push(null);
                    break;
                case 0x88: // NEWTRUE
                    Push(true);
                    break;
                case 0x89: // NEWFALSE
                    Push(false);
                    break;
                case (byte)'K': // BININT1
                    Push((long)Take(1)[0]);
                    break;
                case (byte)'M': // BININT2
                    Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                    break;
                case (byte)'J': // BININT
                    Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                    break;
                case 0x8a: // LONG1
                    Push(TakeWhole(Take(1)[0]));
                    break;
                case (byte)'G': // BINFLOAT
                    Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                    break;
                case 0x8c: // SHORT_BINUNICODE
                    Push(TakeText(Take(1)[0]));
                    break;
                case (byte)'X': // BINUNICODE
                    Push(TakeText(TakeUInt32()));
                    break;
                case (byte)'U': // SHORT_BINSTRING
                    Push(TakeText(Take(1)[0]));
                    break;
                case (byte)'T': // BINSTRING
                    Push(TakeText(TakeUInt32()));
                    break;
                case (byte)']': // EMPTY_LIST
                    Charge(BytesOfContainer);
                    Push(new List<object?>());
                    break;
                case (byte)'a': // APPEND
                    {
                        object? item = Pop();
                        Charge(BytesOfValue);
                        Peek<List<object?>>("a list").Add(item);
                    }
                    break;
                case (byte)'e': // APPENDS
                    {
                        object?[] items = PopToMark();
                        Charge(BytesOfValue * (long)items.Length);
                        Peek<List<object?>>("a list").AddRange(items);
                    }
                    break;
                case (byte)')': // EMPTY_TUPLE
                    Push(Array.Empty<object?>());
                    break;
                case (byte)'t': // TUPLE
                    Push(PopToMark());
                    break;
                case 0x85 or 0x86 or 0x87: // TUPLE1, TUPLE2, TUPLE3
                    Push(PopMany(opcode - 0x84));
                    break;
                case (byte)'}': // EMPTY_DICT
                    Charge(2 * BytesOfContainer);
                    Push(new PickledDictionary());
                    break;
                case (byte)'s': // SETITEM
                    SetItems(PopMany(2));
                    break;
                case (byte)'u': // SETITEMS
                    SetItems(PopToMark());
                    break;
                case (byte)'q': // BINPUT
                    Memoize(Take(1)[0]);
                    break;
                case (byte)'r': // LONG_BINPUT
                    Memoize(TakeUInt32());
                    break;
                case 0x94: // MEMOIZE
                    Memoize(_memo.Count);
                    break;
                case (byte)'h': // BINGET
                    Push(Remembered(Take(1)[0]));
                    break;
                case (byte)'j': // LONG_BINGET
                    Push(Remembered(TakeUInt32()));
                    break;
                case (byte)'c': // GLOBAL
                    Push(Global(TakeLine(), TakeLine()));
                    break;
                case 0x93: // STACK_GLOBAL
                    {
                        string name = Pop<string>("a text");
                        Push(Global(Pop<string>("a text"), name));
                    }
                    break;
                case (byte)'Q': // BINPERSID
                    Push(Storage(Pop<object?[]>("a tuple")));
                    break;
                case (byte)'R': // REDUCE
                    {
                        object?[] arguments = Pop<object?[]>("a tuple");
                        Push(Call(Pop(), arguments));
                    }
                    break;
                case (byte)'b': // BUILD: the attributes of an ordered dictionary, such as _metadata, say nothing about the tensors.
                    Pop<PickledDictionary>("a dictionary");
                    Peek<PickledDictionary>("a dictionary");
                    break;
                default:
                    throw new InvalidDataException(
                        $"the pickle uses the operation 0x{opcode:x2} at byte {at}, which state dicts do not need and which is refused"
                    );
            }
        }
    }

    private static object Global(string module, string name) =>
        (module, name) switch
        {
            ("collections", "OrderedDict") => Function.OrderedDictionary,
            ("torch._utils", "_rebuild_tensor_v2") => Function.Tensor,
            ("torch._utils", "_rebuild_parameter") => Function.Parameter,
            ("torch", "Size") => Function.Size,
            ("torch", "device") => Function.Device,
            ("torch", _) when ElementTypes.FromStorage(name) is { } type => new StorageType(type),
            ("torch", _) when ElementTypes.FromTorch(name) is { } type => type,
            _ => throw new InvalidDataException(
                $"the pickle asks for the Python name '{module}.{name}', which is refused: only tensors in plain containers are read"
            ),
        };

    private object Call(object? function, object?[] arguments)
    {
        Charge(2 * BytesOfContainer);
        return (function, arguments) switch
        {
            (Function.OrderedDictionary, []) => new PickledDictionary(),
            (Function.OrderedDictionary, [List<object?> pairs]) => Dictionary(pairs),
            (Function.Size, [object?[] size]) => size,
            (Function.Device, [string device]) => device,
            (Function.Device, [string device, long]) => device,
            (Function.Parameter, [PickledTensor tensor, bool, _]) => tensor,
            (Function.Tensor, [PickledStorage storage, long offset, object?[] size, object?[] stride, bool, _]) => Tensor(),
            // What says that values are to be negated or conjugated would be passed over.
            (Function.Tensor, [PickledStorage storage, long offset, object?[] size, object?[] stride, bool, _, { } properties]) =>
                properties is PickledDictionary plain && plain.Items.Count == 0
                    ? Tensor()
                    : throw new InvalidDataException("the pickle gives a tensor properties that are not read, such as a sign"),
            (Function, _) => throw new InvalidDataException($"the pickle builds {function} from unexpected arguments"),
            _ => throw new InvalidDataException("the pickle calls something that is not a function"),
        };

        PickledTensor Tensor() =>
            new((PickledStorage)arguments[0]!, (long)arguments[1]!, Integers((object?[])arguments[2]!), Integers((object?[])arguments[3]!));
    }

    private PickledStorage Storage(object?[] id)
    {
        Charge(BytesOfContainer);

        // The last is what the format before PyTorch 1.6 says of views of storages, which PyTorch has not made for long.
        PickledStorage storage = id switch
        {
            ["storage", StorageType type, string key, string, long elements] => new(type.Type, key, elements),
            ["storage", StorageType type, string key, string, long elements, null] => new(type.Type, key, elements),
            _ => throw new InvalidDataException("the pickle refers to something outside of it that is not a tensor's storage"),
        };
        if (!_storages.TryAdd(storage.Key, storage) && _storages[storage.Key] != storage)
        {
            throw new InvalidDataException($"the pickle says of the storage '{storage.Key}' one thing here and another there");
        }

        return _storages[storage.Key];
    }

    private PickledDictionary Dictionary(List<object?> pairs)
    {
        Charge(BytesOfValue * 2L * pairs.Count);
        var dictionary = new PickledDictionary();
        foreach (object? pair in pairs)
        {
            if (pair is not (object?[] and [var key, var value]))
            {
                throw new InvalidDataException("the pickle builds a dictionary from something that is not pairs");
            }

            dictionary.Items.Add((key, value));
        }
        return dictionary;
    }

    private long[] Integers(object?[] values)
    {
        if (values.Length > MostDimensions)
        {
            throw new InvalidDataException($"the pickle gives a tensor {values.Length} dimensions; up to {MostDimensions} are read");
        }

        Charge(BytesOfContainer + (sizeof(long) * (long)values.Length));
        return Array.ConvertAll(
            values,
            value =>
                value as long? ?? throw new InvalidDataException("the pickle gives a tensor's shape something that is not a whole number")
        );
    }

    private void SetItems(object?[] items)
    {
        PickledDictionary dictionary = Peek<PickledDictionary>("a dictionary");
        if (items.Length % 2 != 0)
        {
            throw new InvalidDataException("the pickle gives a dictionary a key without a value");
        }

        Charge(BytesOfValue * 2L * items.Length);
        for (int i = 0; i < items.Length; i += 2)
        {
            dictionary.Items.Add((items[i], items[i + 1]));
        }
    }

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > _length - _position)
        {
            throw new InvalidDataException($"the pickle ends at byte {_length}, in the middle of something; it is truncated");
        }

        if (count > _taken.Length)
        {
            Charge(count);
            _taken = new byte[count];
        }

        Span<byte> taken = _taken.AsSpan(0, (int)count);
        _stream.ReadExactly(taken);
        _position += count;
        return taken;
    }

    private uint TakeUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private object TakeWhole(int count)
    {
        if (count == LegacyMark.Length && Take(count).SequenceEqual(LegacyMark))
        {
            return LegacyMagic;
        }

        if (count > sizeof(long))
        {
            throw new InvalidDataException($"the pickle has a whole number of {count} bytes; up to {sizeof(long)} are read");
        }

        ReadOnlySpan<byte> bytes = Take(count);
        Span<byte> extended = stackalloc byte[sizeof(long)];
        extended.Fill(count > 0 && (bytes[^1] & 0x80) != 0 ? (byte)0xff : (byte)0);
        bytes.CopyTo(extended);
        return BinaryPrimitives.ReadInt64LittleEndian(extended);
    }

    private string TakeText(long count)
    {
        ReadOnlySpan<byte> utf8 = Take(count);
        Charge(BytesOfContainer + (sizeof(char) * count));
        return Text(utf8);
    }

    private string TakeLine()
    {
        Span<byte> line = stackalloc byte[LongestName];
        for (int length = 0; length < line.Length; length++)
        {
            line[length] = Take(1)[0];
            if (line[length] == (byte)'\n')
            {
                Charge(BytesOfContainer + (sizeof(char) * length));
                return Text(line[..length]);
            }
        }

        throw new InvalidDataException($"the pickle has a name of more than {LongestName} bytes");
    }

    private static string Text(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException e)
        {
            throw new InvalidDataException("the pickle has a text that is not valid UTF-8", e);
        }
    }

    private void Push(object? value)
    {
        Charge(BytesOfValue);
        _stack.Add(value);
    }

    private void Memoize(long key)
    {
        Charge(BytesOfMemory);
        _memo[key] = Peek();
    }

    /// <summary>Throws where what was built so far takes more memory than a state dict of this length could.</summary>
    private void Charge(long bytes)
    {
        _budget -= bytes;
        if (_budget < 0)
        {
            throw new InvalidDataException($"the pickle of {_length} bytes builds up more than a state dict does by byte {_position}");
        }
    }

    private object? Peek() => _stack.Count > Floor() ? _stack[^1] : throw Unbalanced();

    private T Peek<T>(string expected) =>
        Peek() is T value
            ? value
            : throw new InvalidDataException($"the pickle should have {expected} at byte {_position}, but has something else");

    private object? Pop()
    {
        object? value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private T Pop<T>(string expected)
    {
        T? value = Peek<T>(expected);
        Pop();
        return value;
    }

    private object?[] PopMany(int count)
    {
        if (_stack.Count - count < Floor())
        {
            throw Unbalanced();
        }

        Charge(BytesOfContainer + (sizeof(long) * (long)count));
        object?[] values = new object?[count];
        _stack.CopyTo(_stack.Count - count, values, 0, count);
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    private object?[] PopToMark()
    {
        if (!_marks.TryPop(out int mark))
        {
            throw Unbalanced();
        }

        return PopMany(_stack.Count - mark);
    }

    private int Floor() => _marks.TryPeek(out int mark) ? mark : 0;

    private object? Remembered(long key) =>
        _memo.TryGetValue(key, out object? value)
            ? value
            : throw new InvalidDataException($"the pickle recalls entry {key}, which it never stored");

    private InvalidDataException Unbalanced() => new($"the pickle takes more values than it has at byte {_position}");

    private enum Function
    {
        OrderedDictionary,
        Tensor,
        Parameter,
        Size,
        Device,
    }

    private sealed record StorageType(torch.ScalarType Type);
}
