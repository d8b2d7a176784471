using System.Globalization;
using System.Text;
using SkillLoc.Models.Checkpoints;
using TorchSharp;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>What each operation of a pickle makes, and what each refuses with which words. Pickles are written in Latin-1.</summary>
public sealed class PickleReaderTests
{
    private const string Ordered = "ccollections\nOrderedDict\n";
    private const string Storage = "(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ";
    private const string Rebuild = "ctorch._utils\n_rebuild_tensor_v2\n";
    private const string Parameter = "ctorch._utils\n_rebuild_parameter\n";
    private const string Tensor = Rebuild + "(" + Storage + "K\u0001K\u0002\u0085K\u0001\u0085\u0089NtR";
    private const string NoStorage = "the pickle refers to something outside of it that is not a tensor's storage";
    private const string NoTensor = "the pickle builds Tensor from unexpected arguments";

    [Theory]
    [InlineData("N.", "null")]
    [InlineData("\u0088.", "True")]
    [InlineData("\u0089.", "False")]
    [InlineData("\u0080\u0005K\u00ff.", "255")]
    [InlineData("\u0080\u0000M\u00ff\u00ff.", "65535")]
    [InlineData("J\u0001\u0000\u0000\u0080.", "-2147483647")]
    [InlineData("\u008a\u0000.", "0")]
    [InlineData("\u008a\u0001\u007f.", "127")]
    [InlineData("\u008a\u0001\u0080.", "-128")]
    [InlineData("\u008a\u0002\u0080\u0000.", "128")]
    [InlineData("\u008a\u0008\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0080.", "-9223372036854775807")]
    [InlineData("G?\u00f8\u0000\u0000\u0000\u0000\u0000\u0000.", "1.5")]
    [InlineData("\u008c\u0002\u00c3\u00a9.", "'\u00e9'")]
    [InlineData("X\u0002\u0000\u0000\u0000\u00c3\u00a9.", "'\u00e9'")]
    [InlineData("U\u0000.", "''")]
    [InlineData("T\u0001\u0000\u0000\u0000a.", "'a'")]
    [InlineData("].", "[]")]
    [InlineData("]K\u0001a.", "[1]")]
    [InlineData("](K\u0001K\u0002eK\u0003a.", "[1, 2, 3]")]
    [InlineData("](e.", "[]")]
    [InlineData(").", "()")]
    [InlineData("(t.", "()")]
    [InlineData("(K\u0001K\u0002K\u0003K\u0004t.", "(1, 2, 3, 4)")]
    [InlineData("K\u0001\u0085.", "(1)")]
    [InlineData("K\u0001K\u0002\u0086.", "(1, 2)")]
    [InlineData("K\u0001K\u0002K\u0003\u0087.", "(1, 2, 3)")]
    [InlineData("}.", "{}")]
    [InlineData("}U\u0001aK\u0001s.", "{'a': 1}")]
    [InlineData("}(U\u0001aK\u0001U\u0001bK\u0002u.", "{'a': 1, 'b': 2}")]
    [InlineData("}(u.", "{}")]
    [InlineData("K\u0001K\u00020.", "1")]
    [InlineData("K\u0001(K\u0002K\u00031.", "1")]
    [InlineData("K\u0007q\u00050h\u0005.", "7")]
    [InlineData("K\u0007r\u0000\u0001\u0000\u00000j\u0000\u0001\u0000\u0000.", "7")]
    [InlineData("K\u0007\u0094K\u0008\u0094h\u0000h\u0001\u0086.", "(7, 8)")]
    [InlineData("\u0095\u0002\u0000\u0000\u0000\u0000\u0000\u0000\u0000N.", "null")]
    [InlineData(Ordered + ")R.", "{}")]
    [InlineData(Ordered + "](U\u0001aK\u0001\u0086U\u0001bN\u0086e\u0085R.", "{'a': 1, 'b': null}")]
    [InlineData(Ordered + ")R}U\u0009_metadata}sb.", "{}")]
    [InlineData("U\u000bcollectionsU\u000bOrderedDict\u0093)R.", "{}")]
    [InlineData("ctorch\nSize\n(K\u0002K\u0003t\u0085R.", "(2, 3)")]
    [InlineData("ctorch\ndevice\nU\u0003cpu\u0085R.", "'cpu'")]
    [InlineData("ctorch\ndevice\nU\u0004cudaK\u0001\u0086R.", "'cuda'")]
    [InlineData("ctorch\nfloat16\n.", "Float16")]
    [InlineData(Storage + ".", "0: Float32 * 4")]
    [InlineData("(U\u0007storagectorch\nHalfStorage\nU\u00010U\u0003cpuK\u0004NtQ.", "0: Float16 * 4")]
    [InlineData(Tensor + ".", "0: Float32 * 4 at 1, [2] by [1]")]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0088Nt" + "R.", "0: Float32 * 4 at 0, [] by []")]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089N}tR.", "0: Float32 * 4 at 0, [] by []")]
    [InlineData(Parameter + Tensor + "\u0088" + Ordered + ")R\u0087R.", "0: Float32 * 4 at 1, [2] by [1]")]
    [InlineData("\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.", "the mark")]
    public void Makes(string pickle, string value)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(pickle);
        Assert.Equal(value, Show(PickleReader.Read(bytes, bytes.Length, [])));
    }

    [Theory]
    [InlineData("\u0080\u0006N.", "the pickle has protocol 6; up to 5 is known")]
    [InlineData("\u0095\u0003\u0000\u0000\u0000\u0000\u0000\u0000\u0000N.", "the pickle has a frame of 3 bytes at byte 0 and ends before")]
    [InlineData(
        "N\u0095\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff.",
        "a frame of 18446744073709551615 bytes at byte 1 and ends before"
    )]
    [InlineData("N.x", "1 bytes follow the pickle, which ends at byte 2")]
    [InlineData("", "the pickle ends at byte 0, in the middle of something; it is truncated")]
    [InlineData("M\u0001", "the pickle ends at byte 2, in the middle of something; it is truncated")]
    [InlineData("\u008c\u0002a", "the pickle ends at byte 3, in the middle of something; it is truncated")]
    [InlineData("cos\nsystem", "the pickle ends at byte 10, in the middle of something; it is truncated")]
    [InlineData("N\u008b.", "the pickle uses the operation 0x8b at byte 1, which state dicts do not need and which is refused")]
    [InlineData("cos\nsystem\n.", "asks for the Python name 'os.system', which is refused: only tensors in plain containers are read")]
    [InlineData("ctorch\nComplexFloatStorage\n.", "the Python name 'torch.ComplexFloatStorage'")]
    [InlineData("cother\nFloatStorage\n.", "the Python name 'other.FloatStorage'")]
    [InlineData("cother\nfloat16\n.", "the Python name 'other.float16'")]
    [InlineData("ctorch\nOrderedDict\n.", "the Python name 'torch.OrderedDict'")]
    [InlineData("ctorch\n_rebuild_tensor_v2\n.", "the Python name 'torch._rebuild_tensor_v2'")]
    [InlineData("ctorch._utils\n_rebuild_tensor\n.", "the Python name 'torch._utils._rebuild_tensor'")]
    [InlineData("ctorch._utils\nSize\n.", "the Python name 'torch._utils.Size'")]
    [InlineData("ctorch._utils\ndevice\n.", "the Python name 'torch._utils.device'")]
    [InlineData("ccollections\nSize\n.", "the Python name 'collections.Size'")]
    [InlineData("U\u0001aK\u0001\u0093.", "the pickle should have a text at byte 6, but has something else")]
    [InlineData("K\u0001U\u0001a\u0093.", "the pickle should have a text at byte 6, but has something else")]
    [InlineData("\u008a\u0009aaaaaaaaa.", "the pickle has a whole number of 9 bytes; up to 8 are read")]
    [InlineData("\u008a\u000aaaaaaaaaaa.", "the pickle has a whole number of 10 bytes; up to 8 are read")]
    [InlineData("U\u0001\u00ff.", "the pickle has a text that is not valid UTF-8")]
    [InlineData("c\u00ff\na\n.", "the pickle has a text that is not valid UTF-8")]
    [InlineData(".", "the pickle takes more values than it has at byte 1")]
    [InlineData("N00.", "the pickle takes more values than it has at byte 3")]
    [InlineData("(.", "the pickle takes more values than it has at byte 2")]
    [InlineData("N(0.", "the pickle takes more values than it has at byte 3")]
    [InlineData("1.", "the pickle takes more values than it has at byte 1")]
    [InlineData("N\u0086.", "the pickle takes more values than it has at byte 2")]
    [InlineData("N(N\u0086.", "the pickle takes more values than it has at byte 4")]
    [InlineData("K\u0001a.", "the pickle takes more values than it has at byte 3")]
    [InlineData("}K\u0001a.", "the pickle should have a list at byte 4, but has something else")]
    [InlineData("}(K\u0001e.", "the pickle should have a list at byte 5, but has something else")]
    [InlineData("]NNs.", "the pickle should have a dictionary at byte 4, but has something else")]
    [InlineData("](NNu.", "the pickle should have a dictionary at byte 5, but has something else")]
    [InlineData("}(NNNu.", "the pickle gives a dictionary a key without a value")]
    [InlineData("}Nb.", "the pickle should have a dictionary at byte 3, but has something else")]
    [InlineData("]}b.", "the pickle should have a dictionary at byte 3, but has something else")]
    [InlineData("Nq\u0000h\u0001.", "the pickle recalls entry 1, which it never stored")]
    [InlineData("Nr\u0000\u0001\u0000\u0000j\u0001\u0001\u0000\u0000.", "the pickle recalls entry 257, which it never stored")]
    [InlineData("q\u0000.", "the pickle takes more values than it has at byte 2")]
    [InlineData("NQ.", "the pickle should have a tuple at byte 2, but has something else")]
    [InlineData("N]R.", "the pickle should have a tuple at byte 3, but has something else")]
    [InlineData("N)R.", "the pickle calls something that is not a function")]
    [InlineData("ctorch\nFloatStorage\n)R.", "the pickle calls something that is not a function")]
    [InlineData(Ordered + "N\u0085R.", "the pickle builds OrderedDictionary from unexpected arguments")]
    [InlineData(Ordered + "]]\u0086R.", "the pickle builds OrderedDictionary from unexpected arguments")]
    [InlineData(Ordered + "]Na\u0085R.", "the pickle builds a dictionary from something that is not pairs")]
    [InlineData(Ordered + "]N\u0085a\u0085R.", "the pickle builds a dictionary from something that is not pairs")]
    [InlineData(Ordered + "]NNN\u0087a\u0085R.", "the pickle builds a dictionary from something that is not pairs")]
    [InlineData("ctorch\nSize\n)R.", "the pickle builds Size from unexpected arguments")]
    [InlineData("ctorch\nSize\nK\u0001\u0085R.", "the pickle builds Size from unexpected arguments")]
    [InlineData("ctorch\ndevice\n)R.", "the pickle builds Device from unexpected arguments")]
    [InlineData("ctorch\ndevice\nK\u0001\u0085R.", "the pickle builds Device from unexpected arguments")]
    [InlineData("ctorch\ndevice\nK\u0001K\u0001\u0086R.", "the pickle builds Device from unexpected arguments")]
    [InlineData("ctorch\ndevice\nU\u0003cpuN\u0086R.", "the pickle builds Device from unexpected arguments")]
    [InlineData("ctorch\ndevice\nU\u0003cpuK\u0001K\u0001\u0087R.", "the pickle builds Device from unexpected arguments")]
    [InlineData(Parameter + "N\u0088N\u0087R.", "the pickle builds Parameter from unexpected arguments")]
    [InlineData(Parameter + Tensor + "NN\u0087R.", "the pickle builds Parameter from unexpected arguments")]
    [InlineData(Parameter + Tensor + "\u0088\u0086R.", "the pickle builds Parameter from unexpected arguments")]
    [InlineData(Rebuild + "(NK\u0000))\u0089NtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "N))\u0089NtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000N)\u0089NtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000)N\u0089NtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))NNtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089tR.", NoTensor)]
    [InlineData(Rebuild + "(NK\u0000))\u0089N}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "N))\u0089N}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000N)\u0089N}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000)N\u0089N}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))NN}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089NNtR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089N}}tR.", NoTensor)]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089N}U\u0003neg\u0088stR.", "a tensor properties that are not read, such as a sign")]
    [InlineData(Rebuild + "(" + Storage + "K\u0000))\u0089N)tR.", "a tensor properties that are not read, such as a sign")]
    [InlineData(Rebuild + "(" + Storage + "K\u0000N\u0085)\u0089NtR.", "a tensor's shape something that is not a whole number")]
    [InlineData(Rebuild + "(" + Storage + "K\u0000)U\u0001a\u0085\u0089NtR.", "a tensor's shape something that is not a whole number")]
    [InlineData(")Q.", NoStorage)]
    [InlineData("(U\u0007Storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ.", NoStorage)]
    [InlineData("(U\u0007storageNU\u00010U\u0003cpuK\u0004tQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nNU\u0003cpuK\u0004tQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nU\u00010NK\u0004tQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuNtQ.", NoStorage)]
    [InlineData("(NctorchFloatStorage\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ.", "the Python name 'torchFloatStorage.FloatStorage'")]
    [InlineData("(Nctorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004)tQ.", NoStorage)]
    [InlineData("(U\u0007Storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004NtQ.", NoStorage)]
    [InlineData("(U\u0007storageNU\u00010U\u0003cpuK\u0004NtQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nNU\u0003cpuK\u0004NtQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nU\u00010NK\u0004NtQ.", NoStorage)]
    [InlineData("(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuNNtQ.", NoStorage)]
    [InlineData(
        "(" + Storage + "(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0005tQt.",
        "the pickle says of the storage '0' one thing here and another there"
    )]
    public void Refuses(string pickle, string reason)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(pickle);
        string message = Assert.Throws<InvalidDataException>(() => PickleReader.Read(bytes, bytes.Length, [])).Message;
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.StartsWith(
            reason.StartsWith("1 bytes", StringComparison.Ordinal) ? reason : "the pickle ",
            message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void OneStorageIsOneForAllTensors()
    {
        byte[] bytes = Encoding.Latin1.GetBytes($"{Storage}{Storage}\u0086.");
        var storages = new Dictionary<string, PickledStorage>();
        object?[] both = Assert.IsType<object?[]>(PickleReader.Read(bytes, bytes.Length, storages));
        Assert.Same(both[0], both[1]);
        Assert.Equal(("0", both[0]), (storages.Single().Key, storages.Single().Value));
    }

    [Fact]
    public void NamesAndDimensionsHaveALimit()
    {
        // A name's last letter is the line's end.
        string name = new('a', 999);
        Assert.Contains($"'{name}.b'", Refused($"c{name}\nb\n."), StringComparison.Ordinal);
        Assert.Equal("the pickle has a name of more than 1000 bytes", Refused($"c{name}a\nb\n."));
        Assert.Equal("0: Float32 * 4 at 0, [1] by [64 times 1]", Show(Read(Dimensions(64)), "[64 times 1]"));
        Assert.Equal("the pickle gives a tensor 65 dimensions; up to 64 are read", Refused(Dimensions(65)));

        static string Dimensions(int count) =>
            $"{Rebuild}({Storage}K\0K\u0001\u0085({string.Concat(Enumerable.Repeat("K\u0001", count))}t\u0089NtR.";
    }

    [Theory]
    // What is repeated until it is too much, and the bytes that each is reckoned with.
    [InlineData("(", "", 48)]
    [InlineData("N", "", 48)]
    [InlineData("]", "", 112)]
    [InlineData("}", "", 176)]
    [InlineData("N\u0085", "", 168)]
    [InlineData("U\u0001a", "", 114)]
    [InlineData("\u0094", "N", 112)]
    [InlineData("Na", "]", 96)]
    [InlineData("(NNe", "]", 320)]
    [InlineData("NNs", "}", 368)]
    [InlineData("(NNNNu", "}", 720)]
    [InlineData("h\u0000)R", Ordered + "q\u0000", 48 + 48 + 128 + 48)]
    [InlineData("h\u0000h\u0001\u0085R", Ordered + "q\u0000](NN\u0086NN\u0086eq\u00010", 48 + 48 + 72 + 48 + 128 + 192 + 48)]
    [InlineData("h\u0000Q", "(U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tq\u0000", 48 + 64 + 48)]
    public void WhatIsBuiltUpIsCounted(string repeated, string before, int bytesOfEach)
    {
        // 48 MB, and two bytes for each byte of the file.
        long fits = (48L << 20) / (bytesOfEach - (2 * repeated.Length));
        foreach (long count in new[] { fits - 500, fits + 500 })
        {
            string pickle = before + string.Concat(Enumerable.Repeat(repeated, (int)count)) + "?";
            string message = Refused(pickle);
            if (count < fits)
            {
                Assert.Contains("the operation 0x3f", message, StringComparison.Ordinal);
            }
            else
            {
                Assert.StartsWith(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"the pickle of {pickle.Length} bytes builds up more than a state dict does"
                    ),
                    message,
                    StringComparison.Ordinal
                );
            }
        }
    }

    private static object? Read(string pickle)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(pickle);
        return PickleReader.Read(bytes, bytes.Length, []);
    }

    private static string Refused(string pickle) => Assert.Throws<InvalidDataException>(() => Read(pickle)).Message;

    private static string Show(object? value, string? strides = null) =>
        value switch
        {
            null => "null",
            string text => $"'{text}'",
            List<object?> list => $"[{string.Join(", ", list.Select(item => Show(item)))}]",
            object?[] tuple => $"({string.Join(", ", tuple.Select(item => Show(item)))})",
            PickledDictionary dictionary =>
                $"{{{string.Join(", ", dictionary.Items.Select(item => $"{Show(item.Key)}: {Show(item.Value)}"))}}}",
            PickledStorage storage => $"{storage.Key}: {storage.Dtype} * {storage.Elements}",
            PickledTensor tensor => $"{Show(tensor.Storage)} at {tensor.Offset}, [{string.Join(", ", tensor.Shape)}] by "
                + (strides is null ? $"[{string.Join(", ", tensor.Stride)}]" : $"[{tensor.Stride.Length} times {tensor.Stride[^1]}]"),
            _ when ReferenceEquals(value, PickleReader.LegacyMagic) => "the mark",
            torch.ScalarType or bool or long => $"{value}",
            double number => number.ToString(CultureInfo.InvariantCulture),
            _ => throw new InvalidOperationException($"{value.GetType()}"),
        };
}
