using System.IO.Compression;
using System.Text;
using SkillLoc.Models.Datasets;
using SkillLoc.Models.Tests.Checkpoints;

namespace SkillLoc.Models.Tests.Datasets;

public sealed class CompressedFileTests : IDisposable
{
    private static readonly TaskFileFormat Csv = new() { Layout = TaskFileLayout.Csv };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("rows.tsv.gz", true)]
    [InlineData("rows.tsv", true)]
    [InlineData("rows.tsv.br", false)]
    public void ACompressedFileIsReadAsWhatItHolds(string name, bool isGzip)
    {
        // Lengths around the blocks that are read at once.
        foreach (int count in new[] { 1, 1023, 1024, 1364, 1365, 1366, 60_000 })
        {
            string text = string.Concat(Enumerable.Range(0, count).Select(i => $"{i:x4}\t{i % 2}\n"));
            Write(name, Compress(text, isGzip));
            List<LabeledText> rows = [.. TaskFileReader.Read(_folder.PathOf(name), new())];
            Assert.Equal(count, rows.Count);
            Assert.Equal(new($"{count - 1:x4}", null, $"{(count - 1) % 2}", count), rows[^1]);
        }

        Write(name, Compress("\uFEFFa,0\n\"b\nc\",1\n", isGzip));
        Assert.Equal([new("a", null, "0", 1), new("b\nc", null, "1", 2)], TaskFileReader.Read(_folder.PathOf(name), Csv));
        Write(name, Compress("{\"text\": \"a\", \"label\": 1}\n", isGzip));
        var json = new TaskFileFormat
        {
            Layout = TaskFileLayout.JsonLines,
            Text = "text",
            Label = "label",
        };
        Assert.Equal([new("a", null, "1", 1)], TaskFileReader.Read(_folder.PathOf(name), json));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void WhatIsMadeToFillMemoryIsRefused(bool isGzip)
    {
        string name = isGzip ? "rows.gz" : "rows.br";
        Write(name, Compress(new string('a', 90 << 20), isGzip));
        string message = Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf(name), new()).Count()).Message;
        Assert.Contains(_folder.PathOf(name), message, StringComparison.Ordinal);
        Assert.Contains("200 times", message, StringComparison.Ordinal);
    }

    [Fact]
    public void PartsOfAGzipFileFollowOneAnother()
    {
        Write("rows.gz", [.. Compress("a\t0\nb", true), .. Compress("", true), .. Compress("c\t1\n", true)]);
        Assert.Equal([new("a", null, "0", 1), new("bc", null, "1", 2)], TaskFileReader.Read(_folder.PathOf("rows.gz"), new()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AFileThatIsCutOffAnywhereIsAnError(bool isGzip)
    {
        string name = isGzip ? "rows.gz" : "rows.br";
        var random = new Random(3);
        byte[] whole = Compress(string.Concat(Enumerable.Range(0, 500).Select(i => $"{random.Next():x}\t{i % 2}\n")), isGzip);
        for (int length = isGzip ? 2 : 0; length < whole.Length; length += length < 40 || length > whole.Length - 40 ? 1 : 97)
        {
            Write(name, whole[..length]);
            string tabs = Message(name, new());
            Assert.Matches($@"^{_folder.PathOf(name)}, line \d+: what (gzip|Brotli) compressed is", tabs);
            if (length == whole.Length / 2)
            {
                Assert.DoesNotContain("line 1:", tabs);
            }

            Assert.StartsWith($"{_folder.PathOf(name)}, ", Message(name, new() { Quote = "\"" }));
        }

        // Parts after the first, and what is no part.
        Write(name, [.. whole, .. whole[..^9]]);
        Assert.Contains("line", Message(name, new()));
        Write(name, [.. whole, 1, 2, 3]);
        Assert.Contains("follow", Message(name, new()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ADamagedFileIsReadOrRefusedByItsName(bool isGzip)
    {
        string name = isGzip ? "rows.gz" : "rows.br";
        byte[] valid = Compress("a film\tgood\nanother\tbad\n", isGzip);
        Assert.True(
            Mutants.AreReadOrRefused(
                _folder.PathOf(name),
                Mutants.OfBytes(valid, 150, 2),
                () => _ = TaskFileReader.Read(_folder.PathOf(name), new()).ToList()
            ) > (isGzip ? 100 : 50)
        );
    }

    [Fact]
    public void ABadByteIsFoundWithinACompressedFile()
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal))
        {
            gzip.Write([.. "a\t0\nb"u8, 0xFF, .. "\t1\n"u8]);
        }

        Write("rows.gz", compressed.ToArray());
        Assert.Contains("rows.gz, line 2: the byte 0xFF at offset 5", Message("rows.gz", new()));
    }

    [Theory]
    [InlineData("rows.tsv", "28B52FFD00", "is compressed by Zstandard, which is not read. Decompress it, or compress it by gzip")]
    [InlineData("rows.tsv.zst", "00", "is compressed by Zstandard")]
    [InlineData("rows.tsv.bz2", "425A68", "is compressed by bzip2")]
    [InlineData("rows.tsv", "FD377A585A00", "is compressed by xz")]
    [InlineData("rows.tsv", "504B0304", "is compressed by ZIP")]
    [InlineData("rows.tsv", "50415231", "is a Parquet file: set Layout (\"layout\") to Parquet (\"parquet\").")]
    [InlineData("rows.tsv.gz", "610930", "is named as if gzip had compressed it")]
    [InlineData("rows.tsv.gz", "", "is named as if gzip had compressed it")]
    public void WhatCannotBeReadIsSaid(string name, string bytes, string expected)
    {
        Write(name, Convert.FromHexString(bytes));
        string message = Message(name, new());
        Assert.StartsWith(_folder.PathOf(name), message);
        Assert.Contains(expected, message);
    }

    private void Write(string name, byte[] bytes) => File.WriteAllBytes(_folder.PathOf(name), bytes);

    private string Message(string name, TaskFileFormat format) =>
        Assert.Throws<InvalidDataException>(() => TaskFileReader.Read(_folder.PathOf(name), format).Count()).Message;

    private static byte[] Compress(string text, bool isGzip)
    {
        using var compressed = new MemoryStream();
        using (
            Stream stream = isGzip
                ? new GZipStream(compressed, CompressionLevel.Optimal)
                : new BrotliStream(compressed, CompressionLevel.Fastest)
        )
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
        }

        return compressed.ToArray();
    }
}
