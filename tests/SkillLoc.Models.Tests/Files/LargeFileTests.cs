using System.Globalization;
using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Cartography;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;
using SkillLoc.Tests;

namespace SkillLoc.Models.Tests;

/// <summary>Reading a file takes at most four times its bytes and 64 MB (SECURITY.md), also where it is as large as real ones are and
/// larger.</summary>
public sealed class LargeFileTests : IDisposable
{
    private const int Words = 250_000;

    // 250,000 come within half a megabyte of the bound.
    private const int SentencePieces = 200_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-large-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AUnigramTokenizerOfManyLanguages(bool isIndented)
    {
        // As XLM-RoBERTa's: 9 MB, or indented.
        (string open, string comma, string close) = isIndented ? ("\n      [\n        ", ",\n        ", "\n      ]") : ("[", ",", "]");
        string[] special = ["<s>", "<pad>", "</s>", "<unk>"];
        IEnumerable<string> pieces = special
            .Concat(Vocabulary(Words))
            .Select((piece, i) => $"{open}\"{piece}\"{comma}{(-i / 1e5).ToString("F14", CultureInfo.InvariantCulture)}{close}");
        string json = $$"""
            {"added_tokens": [{"id": 0, "content": "<s>", "special": true}], "normalizer": {"type": "NFKC"},
             "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
             "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": [{{string.Join(',', pieces)}}] } }
            """;
        Tokenizer(json, "tokenizer.json");
    }

    [Fact]
    public void WordPiecesOfManyLanguages()
    {
        string entries = string.Join(",\n      ", Special.Concat(Vocabulary(Words)).Select((token, id) => $"\"{token}\": {id}"));
        string json = $$"""
            {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {{{entries}}} } }
            """;
        Tokenizer(json, "tokenizer.json");
    }

    [Fact]
    public void AListOfWordPieces() => Tokenizer(string.Join('\n', Special.Concat(Vocabulary(Words))), "vocab.txt");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BytePairs(bool isSerialized)
    {
        (string[] tokens, string[] merges) = Pairs(Words);
        string vocabulary = string.Join(",\n      ", tokens.Select((token, id) => $"\"{token}\": {id}"));
        if (isSerialized)
        {
            string json = $$"""
                {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
                 "model": {"type": "BPE", "vocab": {{{vocabulary}}},
                 "merges": [{{string.Join(",\n      ", merges.Select(merge => $"\"{merge}\""))}}] } }
                """;
            Tokenizer(json, "tokenizer.json");
            return;
        }

        Tokenizer("{" + vocabulary + "}", "vocab.json", ("merges.txt", "#version: 0.2\n" + string.Join('\n', merges)));
    }

    [Fact]
    public void ASentencePieceModel()
    {
        using var file = new MemoryStream();
        using (var output = new CodedOutputStream(file, leaveOpen: true))
        {
            Piece("<unk>", 2);
            foreach (string piece in Vocabulary(SentencePieces))
            {
                Piece(piece, 1);
            }

            void Piece(string text, int type)
            {
                byte[] content = Message(piece =>
                {
                    piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
                    piece.WriteString(text);
                    piece.WriteTag(2, WireFormat.WireType.Fixed32);
                    piece.WriteFloat(-1);
                    piece.WriteTag(3, WireFormat.WireType.Varint);
                    piece.WriteInt32(type);
                });
                output.WriteTag(1, WireFormat.WireType.LengthDelimited);
                output.WriteBytes(ByteString.CopyFrom(content));
            }
        }

        Tokenizer(file.ToArray(), "spiece.model");

        static byte[] Message(Action<CodedOutputStream> write)
        {
            using var bytes = new MemoryStream();
            using (var output = new CodedOutputStream(bytes, leaveOpen: true))
            {
                write(output);
            }

            return bytes.ToArray();
        }
    }

    [Fact]
    public void AHeaderOfManyTensors()
    {
        var header = new StringBuilder("{");
        for (int i = 0; i < 400_000; i++)
        {
            header.Append(
                CultureInfo.InvariantCulture,
                $"{(i == 0 ? "" : ",")}\"model.layers.{i}.weight\":{{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[{i},{i + 1}]}}"
            );
        }

        byte[] json = Encoding.ASCII.GetBytes(header.Append('}').ToString());
        byte[] file = [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[400_000]];
        Within(file.Length, () => Assert.Equal(400_000, SafetensorsFile.FromBytes(file).Tensors.Count));
    }

    [Fact]
    public void TrainingDynamicsOfManyRows()
    {
        string path = Path.Join(_folder, "cartography.json");
        var dynamics = new TrainingDynamics();
        for (int row = 0; row < 400_000; row++)
        {
            for (int epoch = 0; epoch < 3; epoch++)
            {
                dynamics.Add(row, epoch > 0, (row + epoch) / 500_000.0);
            }
        }

        dynamics.Save(path);
        Within(new FileInfo(path).Length, () => Assert.Equal(400_000, TrainingDynamics.Load(path).Count));
    }

    private static string[] Special => ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    private static void Tokenizer(string content, string name, params (string Name, string Content)[] others) =>
        Tokenizer(Encoding.UTF8.GetBytes(content), name, [.. others.Select(other => (other.Name, Encoding.UTF8.GetBytes(other.Content)))]);

    private static void Tokenizer(byte[] content, string name, params (string Name, byte[] Content)[] others)
    {
        Dictionary<string, byte[]> files = others.ToDictionary(other => other.Name, other => other.Content);
        files.Add(name, content);
        Within(
            files.Values.Sum(file => file.Length),
            () => Assert.True(CheckpointTokenizer.Load(files, "x").VocabularySize >= SentencePieces)
        );
    }

    /// <summary>Words of two to nine letters of three alphabets, half of them with the mark of a word's start.</summary>
    private static IEnumerable<string> Vocabulary(int count)
    {
        var random = new Random(1);
        var seen = new HashSet<string>();
        while (seen.Count < count)
        {
            int first = random.Next(3) switch
            {
                0 => 'a',
                1 => 'а',
                _ => '一',
            };
            char[] letters = [.. Enumerable.Range(0, 2 + random.Next(8)).Select(_ => (char)(first + random.Next(26)))];
            string word = (random.Next(2) == 0 ? "▁" : "") + new string(letters);
            if (seen.Add(word))
            {
                yield return word;
            }
        }
    }

    /// <summary>A vocabulary of bytes and what merges make of them.</summary>
    private static (string[] Tokens, string[] Merges) Pairs(int count)
    {
        var random = new Random(1);
        List<string> tokens =
        [
            .. Enumerable
                .Range(0, 256)
                .Select(value => ByteAlphabet.CharOf((byte)value))
                .Where(letter => letter is not ('"' or '\\'))
                .Select(letter => $"{letter}"),
        ];
        var seen = new HashSet<string>(tokens);
        var merges = new List<string>();
        while (tokens.Count < count)
        {
            (string left, string right) = (tokens[random.Next(tokens.Count)], tokens[random.Next(Math.Min(tokens.Count, 2000))]);
            if (left.Length + right.Length < 12 && seen.Add(left + right))
            {
                tokens.Add(left + right);
                merges.Add($"{left} {right}");
            }
        }

        return ([.. tokens], [.. merges]);
    }

    private static void Within(long bytes, Action read)
    {
        long allocated = 0;
        long held = HeldMemory.While(() =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            read();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        });
        string said = string.Create(
            CultureInfo.InvariantCulture,
            $"{held / 1048576.0:F1} MB held, {allocated / 1048576.0:F1} MB allocated for {bytes / 1048576.0:F1} MB"
        );
        TestContext.Current.TestOutputHelper?.WriteLine(said);
        Assert.True(held <= (4 * bytes) + (64L << 20), said);
    }
}
