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

    private static readonly Encoding StrictUtf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] _bytes;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<long, object?> _memo = [];
    private int _position;

    private PickleReader(byte[] bytes) => _bytes = bytes;

    /// <summary>
    /// The value of a pickle: null, <see cref="bool"/>, <see cref="long"/>, <see cref="double"/>, <see cref="string"/>, a list, an array
    /// (tuple), a <see cref="PickledDictionary"/>, a <see cref="PickledTensor"/>, a <see cref="PickledStorage"/> or an element type.
    /// </summary>
    /// <exception cref="InvalidDataException">The pickle is invalid, or uses a name that is refused.</exception>
    public static object? Read(byte[] bytes) => new PickleReader(bytes).Run();

    private object? Run()
    {
        while (true)
        {
            int at = _position;
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
                    Take(8);
                    break;
                case (byte)'.': // STOP
                    return Pop();
                case (byte)'(': // MARK
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
                    Push(TakeLong(Take(1)[0]));
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
                    Push(new List<object?>());
                    break;
                case (byte)'a': // APPEND
                    {
                        object? item = Pop();
                        Peek<List<object?>>("a list").Add(item);
                    }
                    break;
                case (byte)'e': // APPENDS
                    {
                        object?[] items = PopToMark();
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
                    Push(new PickledDictionary());
                    break;
                case (byte)'s': // SETITEM
                    SetItems(PopMany(2));
                    break;
                case (byte)'u': // SETITEMS
                    SetItems(PopToMark());
                    break;
                case (byte)'q': // BINPUT
                    _memo[Take(1)[0]] = Peek();
                    break;
                case (byte)'r': // LONG_BINPUT
                    _memo[TakeUInt32()] = Peek();
                    break;
                case 0x94: // MEMOIZE
                    _memo[_memo.Count] = Peek();
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
                    Pop();
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
            ("torch", _) when ElementTypes.FromStorage(name) is { } type => new StorageType(type),
            ("torch", _) when ElementTypes.FromTorch(name) is { } type => type,
            _ => throw new InvalidDataException(
                $"the pickle asks for the Python name '{module}.{name}', which is refused: only tensors in plain containers are read"
            ),
        };

    private static object Call(object? function, object?[] arguments) =>
        (function, arguments) switch
        {
            (Function.OrderedDictionary, []) => new PickledDictionary(),
            (Function.OrderedDictionary, [List<object?> pairs]) => Dictionary(pairs),
            (Function.Size, [object?[] size]) => size,
            (Function.Parameter, [PickledTensor tensor, ..]) => tensor,
            (Function.Tensor, [PickledStorage storage, long offset, object?[] size, object?[] stride, ..]) => new PickledTensor(
                storage,
                offset,
                Integers(size),
                Integers(stride)
            ),
            (Function, _) => throw new InvalidDataException($"the pickle builds {function} from unexpected arguments"),
            _ => throw new InvalidDataException("the pickle calls something that is not a function"),
        };

    private static PickledStorage Storage(object?[] id) =>
        id switch
        {
            ["storage", StorageType type, string key, _, long elements, ..] => new PickledStorage(type.Type, key, elements),
            _ => throw new InvalidDataException("the pickle refers to something outside of it that is not a tensor's storage"),
        };

    private static PickledDictionary Dictionary(List<object?> pairs)
    {
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

    private static long[] Integers(object?[] values) =>
        Array.ConvertAll(
            values,
            value =>
                value as long? ?? throw new InvalidDataException("the pickle gives a tensor's shape something that is not a whole number")
        );

    private void SetItems(object?[] items)
    {
        PickledDictionary dictionary = Peek<PickledDictionary>("a dictionary");
        if (items.Length % 2 != 0)
        {
            throw new InvalidDataException("the pickle gives a dictionary a key without a value");
        }

        for (int i = 0; i < items.Length; i += 2)
        {
            dictionary.Items.Add((items[i], items[i + 1]));
        }
    }

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > _bytes.Length - _position)
        {
            throw new InvalidDataException($"the pickle ends at byte {_bytes.Length}, in the middle of something; it is truncated");
        }

        Span<byte> taken = _bytes.AsSpan(_position, (int)count);
        _position += (int)count;
        return taken;
    }

    private uint TakeUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private long TakeLong(int count)
    {
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

    private string TakeText(long count) => Text(Take(count));

    private string TakeLine()
    {
        int length = _bytes.AsSpan(_position).IndexOf((byte)'\n');
        if (length < 0)
        {
            throw new InvalidDataException("the pickle ends in the middle of a name; it is truncated");
        }

        string line = Text(Take(length));
        Take(1);
        return line;
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

    private void Push(object? value) => _stack.Add(value);

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

        object?[] values = _stack.GetRange(_stack.Count - count, count).ToArray();
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
    }

    private sealed record StorageType(torch.ScalarType Type);
}

/// <summary>The description of a tensor in a pickle: a view of a storage, in elements.</summary>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Shape, long[] Stride)
{
    /// <summary>The number of elements from the first to the last, both included: what a strided view spans.</summary>
    public Int128 Span
    {
        get
        {
            Int128 span = 1;
            for (int i = 0; i < Shape.Length; i++)
            {
                span += (Int128)(Shape[i] - 1) * Stride[i];
            }

            return Shape.Contains(0) ? 0 : span;
        }
    }

    /// <summary>Whether the elements lie one after another in row-major order.</summary>
    public bool IsContiguous
    {
        get
        {
            Int128 expected = 1;
            for (int i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && Stride[i] != expected)
                {
                    return Shape.Contains(0);
                }

                expected *= Shape[i];
            }
            return true;
        }
    }
}

/// <summary>The description of a block of values in a pickle, stored under <paramref name="Key"/>.</summary>
internal sealed record PickledStorage(torch.ScalarType Dtype, string Key, long Elements);

/// <summary>A dictionary in a pickle, in its order.</summary>
internal sealed class PickledDictionary
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}
