using System.Text;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>PyTorch checkpoints of our own making that no reader may accept: every operation of pickles that a state dict does not need,
/// every way to call a function, the functions that public advisories are about, and files that two readers would read
/// differently.</summary>
internal static partial class HostileCheckpoints
{
    private const string Ordered = "ccollections\nOrderedDict\n";

    // Those of protocols 0 to 5 that a state dict does not need, with their arguments.
    private static readonly (string Name, string Bytes)[] Refused =
    [
        ("INT", "I1\n"),
        ("LONG", "L1L\n"),
        ("LONG4", "\u008b\u0001\0\0\0\u0001"),
        ("FLOAT", "F1.5\n"),
        ("STRING", "S'a'\n"),
        ("UNICODE", "Va\n"),
        ("BINUNICODE8", "\u008d\u0001\0\0\0\0\0\0\0a"),
        ("BINBYTES", "B\u0001\0\0\0a"),
        ("SHORT_BINBYTES", "C\u0001a"),
        ("BINBYTES8", "\u008e\u0001\0\0\0\0\0\0\0a"),
        ("BYTEARRAY8", "\u0096\u0001\0\0\0\0\0\0\0a"),
        ("NEXT_BUFFER", "\u0097"),
        ("READONLY_BUFFER", "\u0098"),
        ("LIST", "(l"),
        ("DICT", "(d"),
        ("EMPTY_SET", "\u008f"),
        ("ADDITEMS", "(\u0090"),
        ("FROZENSET", "(\u0091"),
        ("DUP", "2"),
        ("GET", "p0\ng0\n"),
        ("PUT", "p0\n"),
        ("PERSID", "P1\n"),
        ("INST", "(iposix\nsystem\n"),
        ("OBJ", "(" + Ordered + "o"),
        ("NEWOBJ", Ordered + ")\u0081"),
        ("NEWOBJ_EX", Ordered + ")}\u0092"),
        ("EXT1", "\u0082\u0001"),
        ("EXT2", "\u0083\u0001\0"),
        ("EXT4", "\u0084\u0001\0\0\0"),
        ("unknown 0x00", "\0"),
        ("unknown 0xff", "\u00ff"),
    ];

    // Those that a state dict needs, without what they need.
    private const string Needed = "\u0080\u0095.(01N\u0088\u0089KMJ\u008aG\u008cXUT]ae)t\u0085\u0086\u0087}suqr\u0094hjc\u0093QRb";

    /// <summary>All files by name.</summary>
    public static IEnumerable<(string Name, byte[] File)> All() =>
        Pickles().Select(each => (each.Name, Zip(Bytes(each.Pickle)))).Concat(Zips()).Concat(Legacy());

    private static IEnumerable<(string Name, string Pickle)> Pickles()
    {
        foreach (string function in Functions)
        {
            int dot = function.LastIndexOf('.');
            yield return (
                $"GLOBAL {function}",
                $"}}(U\u0001w{Tensor()}U\u0001xc{function[..dot]}\n{function[(dot + 1)..]}\n(U\u0002idtRu."
            );
        }

        foreach ((string name, string bytes) in Refused)
        {
            yield return ($"operation {name}", $"}}U\u0001w{Tensor()}s{bytes}0.");
        }

        foreach (char operation in Needed)
        {
            yield return ($"operation 0x{(int)operation:x2} alone", operation == '.' ? "." : $"{operation}");
        }

        yield return ("STACK_GLOBAL", "\u008c\u0005posix\u008c\u0006system\u0093(U\u0002idtR.");
        yield return ("STACK_GLOBAL from the memo", "U\u0005posixq\0U\u0006systemq\u00010h\0h\u0001\u0093.");
        yield return ("a function that is not called", "}U\u0001wcos\nsystem\ns.");
        yield return ("BUILD of what is called", Ordered + ")R}U\u000c__setstate__cos\nsystem\nsb.");
        yield return ("BUILD with a command", Ordered + ")RU\u0002idb.");
        yield return ("REDUCE of a text", "U\u0002id)R.");
        yield return ("REDUCE of a dictionary", "})R.");
        yield return ("REDUCE of None", "N)R.");
        yield return ("a name with a dot", "ccollections\nOrderedDict.__class__\n.");
        yield return ("a name within a type", "ctorch\nFloatStorage.__class__\n.");
        yield return ("a module in a name", "ctorch\nos.system\n.");
        yield return ("a module by a parent", "ctorch._utils\nos\n.");
        yield return ("a name with a carriage return", "ccollections\r\nOrderedDict\r\n.");
        yield return ("a name with a zero", "ccollections\nOrderedDict\0\n.");
        yield return ("a name that looks alike", "cc\u00d0\u00belections\nOrderedDict\n.");
        yield return ("a name of another case", "cCollections\nordereddict\n.");
        yield return ("a name without an end", "c" + new string('a', 2000) + "\nb\n.");
        yield return ("persistent id of a command", "(U\u0006moduleU\u0005posixtQ.");
        yield return ("persistent id that is a text", "U\u0001aQ.");
        yield return ("a legacy view of a storage", $"}}U\u0001w{Tensor(id: "(U\u0001aK\0K\u0001t")}s.");
        yield return ("bytes behind the end", $"}}U\u0001w{Tensor()}s.x");
        yield return ("a second pickle behind the first", $"}}U\u0001w{Tensor()}s.cos\nsystem\n(U\u0002idtR.");
        yield return ("a protocol of tomorrow", $"\u0080\u0006}}U\u0001w{Tensor()}s.");
        yield return ("a frame beyond the end", $"\u0095\u00ff\u00ff\0\0\0\0\0\0}}U\u0001w{Tensor()}s.");
        yield return ("a frame of negative length", $"\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff}}U\u0001w{Tensor()}s.");
        yield return ("a text beyond the end", "X\u00ff\u00ff\u00ff\u007fa.");
        yield return ("a text that is not UTF-8", "U\u0001\u00ff.");
        yield return ("a number of 9 bytes", "\u008a\u0009aaaaaaaaa.");
        yield return ("a million marks", new string('(', 5_000_000) + ".");
        yield return ("a million lists", new string(']', 3_000_000) + ".");
        yield return ("a million empty dictionaries", new string('}', 1_000_000) + ".");
        yield return ("lists within lists", new string(']', 1_000_000) + new string('a', 999_999) + ".");
        yield return ("a text remembered a million times", "U\u0001a" + new string('\u0094', 2_000_000) + ".");
        yield return (
            "dictionaries of one long list of pairs",
            "]("
                + string.Concat(Enumerable.Repeat("NN\u0086", 50_000))
                + "eq\0"
                + string.Concat(Enumerable.Repeat(Ordered + "h\0\u0085R", 2_000))
                + "."
        );
        yield return ("a memo that holds nothing", "}h\u0007.");
        yield return ("a stack that holds nothing", "}00.");
        yield return ("a mark in the way", "}(0.");
        yield return ("a key without a value", "}(K\u0001u.");
        yield return ("a list that is a dictionary", "]K\u0001K\u0001s.");
        yield return ("pairs that are none", Ordered + "]K\u0001a\u0085R.");
        yield return ("no dictionary", "N.");
        yield return ("a list of tensors", $"]{Tensor()}a.");
        yield return ("no tensors", "}.");
        yield return ("a tensor under a number", $"}}K\u0001{Tensor()}s.");
        yield return ("a tensor's name twice", $"}}(U\u0001w{Tensor()}U\u0001w{Tensor()}u.");
        yield return ("a state dict twice", $"}}(U\u000astate_dict}}U\u0001w{Tensor()}sU\u000astate_dict}}U\u0001v{Tensor()}su.");
        foreach ((string name, string tensor) in Tensors())
        {
            yield return (name, $"}}U\u0001w{tensor}s.");
        }

        yield return ("one storage of two types", $"}}(U\u0001w{Tensor()}U\u0001v{Tensor(type: "IntStorage")}u.");
        yield return ("one storage of two lengths", $"}}(U\u0001w{Tensor()}U\u0001v{Tensor(elements: "K\u0003")}u.");
        yield return ("a parameter of a text", "}U\u0001wctorch._utils\n_rebuild_parameter\nU\u0001a\u0089N\u0087Rs.");
        yield return ("a parameter with a state", $"}}U\u0001wctorch._utils\n_rebuild_parameter_with_state\n({Tensor()}\u0089N}}tRs.");
    }

    private static IEnumerable<(string Name, string Tensor)> Tensors()
    {
        const string Huge = "\u008a\u0008\0\0\0\0\0\0\0\u0040";
        yield return ("a negative offset", Tensor(offset: "J\u00ff\u00ff\u00ff\u00ff"));
        yield return ("an offset beyond the end", Tensor(offset: "K\u0003"));
        yield return ("a huge offset", Tensor(offset: Huge));
        yield return ("a negative length", Tensor(shape: "J\u00fe\u00ff\u00ff\u00ff\u0085"));
        yield return (
            "two negative lengths",
            Tensor(shape: "J\u00ff\u00ff\u00ff\u00ffJ\u00fe\u00ff\u00ff\u00ff\u0086", stride: "K\u0001K\u0001\u0086")
        );
        yield return ("lengths whose product overflows", Tensor(shape: $"{Huge}K\u0008\u0086", stride: "K\0K\0\u0086"));
        yield return ("lengths whose product overflows to none", Tensor(shape: $"{Huge}{Huge}\u0086", stride: "K\0K\0\u0086"));
        yield return ("more values than there are", Tensor(shape: "K\u0005\u0085"));
        yield return ("one value many times", Tensor(shape: "M\u00ff\u00ff\u0085", stride: "K\0\u0085"));
        yield return ("a negative stride", Tensor(stride: "J\u00ff\u00ff\u00ff\u00ff\u0085", offset: "K\u0002"));
        yield return ("a stride beyond the end", Tensor(stride: "K\u0009\u0085"));
        yield return ("a huge stride", Tensor(stride: $"{Huge}\u0085"));
        yield return ("fewer strides than lengths", Tensor(shape: "K\u0001K\u0002\u0086"));
        yield return ("a length that is a text", Tensor(shape: "U\u0001a\u0085"));
        yield return ("a length that is a fraction", Tensor(shape: "G?\u00f0\0\0\0\0\0\0\u0085"));
        yield return ("65 dimensions", Tensor(shape: "(" + string.Concat(Enumerable.Repeat("K\u0001", 65)) + "t"));
        yield return ("negative elements", Tensor(elements: "J\u00ff\u00ff\u00ff\u00ff"));
        yield return ("elements whose bytes overflow", Tensor(elements: Huge));
        yield return ("fewer elements than stored", Tensor(elements: "K\u0003"));
        yield return ("a storage that is missing", Tensor(key: "9"));
        yield return ("a storage's key that leads out", Tensor(key: "../data.pkl"));
        yield return ("a storage of complex numbers", Tensor(type: "ComplexFloatStorage"));
        yield return ("a storage of quantised numbers", Tensor(type: "QInt8Storage"));
        yield return ("a storage of no type", Tensor(type: "UntypedStorage"));
        yield return ("a conjugate bit", Tensor(rest: "\u0089N}U\u0004conj\u0088s"));
        yield return ("a negative bit", Tensor(rest: "\u0089N}U\u0003neg\u0088s"));
        yield return ("an argument too few", Tensor(rest: "\u0089"));
        yield return ("a gradient flag that is a text", Tensor(rest: "U\u0001aN"));
    }

    private static IEnumerable<(string Name, byte[] File)> Zips()
    {
        byte[] pickle = Bytes($"}}U\u0001w{Tensor()}s."),
            evil = Bytes("cos\nsystem\n(U\u0002idtR."),
            values = new byte[16];
        const string Pickle = "a/data.pkl",
            Values = "a/data/0";
        yield return (
            "a checksum that is wrong",
            new CraftedZip().Add(Pickle, pickle, e => e with { Checksum = 1 }).Add(Values, values).ToArray()
        );
        yield return (
            "values of a checksum that is wrong",
            new CraftedZip().Add(Pickle, pickle).Add(Values, values, e => e with { Checksum = 1 }).ToArray()
        );
        yield return ("two pickles of one name", new CraftedZip().Add(Pickle, pickle).Add(Pickle, evil).Add(Values, values).ToArray());
        yield return (
            "two values of one name",
            new CraftedZip().Add(Pickle, pickle).Add(Values, values).Add(Values, new byte[16]).ToArray()
        );
        yield return ("pickles in two folders", new CraftedZip().Add(Pickle, pickle).Add("b/data.pkl", evil).Add(Values, values).ToArray());
        yield return (
            "an entry outside of the folder",
            new CraftedZip().Add(Pickle, pickle).Add("../x", evil).Add(Values, values).ToArray()
        );
        yield return (
            "a TorchScript program",
            new CraftedZip().Add(Pickle, pickle).Add("a/constants.pkl", evil).Add(Values, values).ToArray()
        );
        yield return (
            "another name where it stands",
            new CraftedZip().Add(Pickle, pickle, e => e with { LocalName = "a/evil.pkl" }).Add(Values, values).ToArray()
        );
        yield return (
            "another size where it stands",
            new CraftedZip().Add(Pickle, pickle, e => e with { LocalSizeOff = 1 }).Add(Values, values).ToArray()
        );
        yield return (
            "an entry that is not listed",
            new CraftedZip().Add("a/x", evil, e => e with { IsUnlisted = true }).Add(Pickle, pickle).Add(Values, values).ToArray()
        );
        yield return (
            "an entry that is only listed",
            new CraftedZip().Add(Pickle, pickle).Add(Values, values).Add("a/x", evil, e => e with { IsOnlyListed = true }).ToArray()
        );
        yield return (
            "entries that overlap",
            new CraftedZip().Add(Pickle, pickle).Add(Values, values, e => e with { OffsetOff = -4 }).ToArray()
        );
        yield return (
            "a hole between entries",
            new CraftedZip().Add(Pickle, pickle, e => e with { Hole = evil }).Add(Values, values).ToArray()
        );
        yield return (
            "a hole before the directory",
            new CraftedZip { Gap = evil }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "a script before the zip",
            new CraftedZip { Before = Bytes("#!/bin/sh\nid\n") }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "a pickle before the zip",
            new CraftedZip { Before = [0x80, 2, .. evil] }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "bytes behind the zip",
            new CraftedZip { Behind = evil }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "a comment",
            new CraftedZip { CommentLength = 4, Behind = [1, 2, 3, 4] }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "a second end behind the first",
            new CraftedZip { Behind = new CraftedZip().Add(Pickle, evil).ToArray() }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "more entries by the end",
            new CraftedZip { CountOff = 1 }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "fewer entries by the end",
            new CraftedZip { CountOff = -1 }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "a directory elsewhere",
            new CraftedZip { StartOff = 4 }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "several volumes",
            new CraftedZip { Disk = 1 }
                .Add(Pickle, pickle)
                .Add(Values, values)
                .ToArray()
        );
        yield return ("an encrypted entry", new CraftedZip().Add(Pickle, pickle, e => e with { Flags = 1 }).Add(Values, values).ToArray());
        yield return ("a compressed entry", new CraftedZip().Add(Pickle, pickle, e => e with { Method = 8 }).Add(Values, values).ToArray());
        yield return (
            "another name in an extra field",
            new CraftedZip().Add(Pickle, pickle, e => e with { Extra = [0x75, 0x70, 1, 0, 1] }).Add(Values, values).ToArray()
        );
        yield return (
            "an extra field that is cut off",
            new CraftedZip().Add(Pickle, pickle, e => e with { Extra = [1, 0, 99, 0] }).Add(Values, values).ToArray()
        );
        yield return (
            "a descriptor that is missing",
            new CraftedZip().Add(Pickle, pickle, e => e with { Flags = 8 }).Add(Values, values).ToArray()
        );
        yield return (
            "a descriptor that disagrees",
            new CraftedZip()
                .Add(Pickle, pickle, e => e with { Flags = 8, Descriptor = [.. "PK\u0007\u0008"u8, .. new byte[12]] })
                .Add(Values, values)
                .ToArray()
        );
        yield return (
            "big-endian values",
            new CraftedZip().Add(Pickle, pickle).Add("a/byteorder", "big"u8.ToArray()).Add(Values, values).ToArray()
        );
        yield return ("no pickle", new CraftedZip().Add(Values, values).ToArray());
        yield return ("no entries", new CraftedZip().ToArray());
        yield return ("half a zip", new CraftedZip().Add(Pickle, pickle).Add(Values, values).ToArray()[..^40]);
        yield return ("no bytes", []);
        yield return ("a text", "this is text"u8.ToArray());
    }

    private static IEnumerable<(string Name, byte[] File)> Legacy()
    {
        const string Magic = "\u0080\u0002\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.",
            Version = "\u0080\u0002M\u00e9\u0003.",
            Machine = "\u0080\u0002}U\u000dlittle_endian\u0088s.",
            Keys = "\u0080\u0002]U\u00010a.",
            Count = "\u0004\0\0\0\0\0\0\0",
            Values = "0123456789abcdef";
        string state = $"\u0080\u0002}}U\u0001w{Tensor()}s.";
        foreach (
            (string name, string file) in new (string Name, string File)[]
            {
                ("another mark", Magic.Replace('l', 'm') + Version + Machine + state + Keys + Count + Values),
                ("another version", Magic + "\u0080\u0002M\u00ea\u0003." + Machine + state + Keys + Count + Values),
                ("big-endian", Magic + Version + Machine.Replace('\u0088', '\u0089') + state + Keys + Count + Values),
                ("no machine", Magic + Version + state + Keys + Count + Values),
                ("a command for a machine", Magic + Version + "cos\nsystem\n(U\u0002idtR." + state + Keys + Count + Values),
                ("a command for a state", Magic + Version + Machine + "cos\nsystem\n(U\u0002idtR." + Keys + Count + Values),
                ("a command for keys", Magic + Version + Machine + state + "cos\nsystem\n(U\u0002idtR." + Count + Values),
                ("no list of keys", Magic + Version + Machine + state + "\u0080\u0002}." + Count + Values),
                ("an empty list of keys", Magic + Version + Machine + state + "\u0080\u0002]."),
                ("a key that is not used", Magic + Version + Machine + state + "\u0080\u0002]U\u00019a." + Count + Values),
                ("a key twice", Magic + Version + Machine + state + "\u0080\u0002](U\u00010U\u00010e." + Count + Values + Count + Values),
                ("a key that is a number", Magic + Version + Machine + state + "\u0080\u0002]K\0a." + Count + Values),
                ("another number of elements", Magic + Version + Machine + state + Keys + "\u0003\0\0\0\0\0\0\0" + Values),
                (
                    "a huge number of elements",
                    Magic + Version + Machine + state + Keys + "\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f" + Values
                ),
                ("values that are cut off", Magic + Version + Machine + state + Keys + Count + Values[..8]),
                ("no number of elements", Magic + Version + Machine + state + Keys),
                ("bytes behind the values", Magic + Version + Machine + state + Keys + Count + Values + "x"),
                (
                    "a zip behind the values",
                    Magic + Version + Machine + state + Keys + Count + Values + "PK\u0005\u0006" + new string('\0', 18)
                ),
            }
        )
        {
            yield return ($"before 1.6: {name}", Bytes(file));
        }
    }

    /// <summary>The words that build a view of four floats in a storage.</summary>
    private static string Tensor(
        string type = "FloatStorage",
        string key = "0",
        string elements = "K\u0004",
        string id = "",
        string offset = "K\0",
        string shape = "K\u0002\u0085",
        string stride = "K\u0001\u0085",
        string rest = "\u0089N"
    ) =>
        $"ctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\n{type}\nU{(char)key.Length}{key}U\u0003cpu{elements}{id}tQ"
        + $"{offset}{shape}{stride}{rest}tR";

    private static byte[] Zip(byte[] pickle) => new CraftedZip().Add("a/data.pkl", pickle).Add("a/data/0", new byte[16]).ToArray();

    private static byte[] Bytes(string latin1) => Encoding.Latin1.GetBytes(latin1);

    /// <summary>A file that is as it should be, of the words of which the others are made.</summary>
    public static byte[] Right => Zip(Bytes($"}}U\u0001w{Tensor()}s."));
}
