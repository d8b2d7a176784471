using System.Diagnostics;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>The folder that a package's weights become on first use.</summary>
public sealed class MiniLMPackageTests
{
    private static readonly string Weights = Path.Join(AppContext.BaseDirectory, MiniLMPackage.FileName);

    [Fact]
    public void EightProcessesAtOnceGetOneFolder()
    {
        using var folder = new TemporaryFolder();
        Process[] processes = [.. Enumerable.Range(0, 8).Select(_ => Start("dotnet", Writer(folder.PathOf("cache"), Weights)))];
        string[] answers = [.. processes.Select(process => process.StandardOutput.ReadToEnd().Trim())];
        Assert.All(
            processes,
            process =>
            {
                string errors = process.StandardError.ReadToEnd();
                process.WaitForExit();
                Assert.True(process.ExitCode == 0, errors);
                process.Dispose();
            }
        );
        string made = Assert.Single(answers.Distinct());
        Assert.Equal(Path.Join(folder.PathOf("cache"), "all-MiniLM-L6-v2"), made);
        Assert.Equal(
            ["all-MiniLM-L6-v2", "all-MiniLM-L6-v2.lock"],
            Directory.EnumerateFileSystemEntries(folder.PathOf("cache")).Select(Path.GetFileName).Order()
        );
        using var checkpoint = CheckpointFolder.Open(made);
        Assert.Equal(103, checkpoint.Weights.Tensors.Count);

        // What is there is not written again; what was cut off is.
        string weights = Path.Join(made, "model.safetensors");
        DateTime written = File.GetLastWriteTimeUtc(weights);
        var package = new MiniLMPackage(Weights);
        Assert.Equal(made, package.Folder(MiniLMKind.Encoder, folder.PathOf("cache")));
        Assert.Equal(written, File.GetLastWriteTimeUtc(weights));
        checkpoint.Dispose();
        using (FileStream stream = File.OpenWrite(weights))
        {
            stream.SetLength(stream.Length / 2);
        }

        Assert.Equal(made, package.Folder(MiniLMKind.Encoder, folder.PathOf("cache")));
        using var again = CheckpointFolder.Open(made);
        Assert.Equal(103, again.Weights.Tensors.Count);
    }

    [Fact]
    public void ADiskThatIsFullInMidImportLeavesNothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "A shell's ulimit stands for the end of the disk.");
        using var folder = new TemporaryFolder();
        string cache = folder.PathOf("cache");
        using Process process = Start(
            "bash",
            ["-c", "trap '' XFSZ; ulimit -f 40000; exec \"$@\"", "bash", "dotnet", .. Writer(cache, Weights)]
        );
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.NotEqual(0, process.ExitCode);
        Assert.Contains("System.IO.IOException: The folder", errors, StringComparison.Ordinal);
        Assert.Contains("could not be written (Specified file length", errors, StringComparison.Ordinal);
        Assert.Equal(["all-MiniLM-L6-v2.lock"], Directory.EnumerateFileSystemEntries(cache).Select(Path.GetFileName));
    }

    [Fact]
    public void OtherAssembliesAreRefused()
    {
        using var folder = new TemporaryFolder();
        string copy = folder.PathOf(MiniLMPackage.FileName),
            cache = folder.PathOf("cache");
        var package = new MiniLMPackage(copy);
        Assert.Contains("is missing", Refused<FileNotFoundException>(), StringComparison.Ordinal);

        byte[] bytes = File.ReadAllBytes(Weights);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(copy, bytes);
        Assert.Contains("damaged or of another version", Refused<InvalidDataException>(), StringComparison.Ordinal);
        File.WriteAllBytes(copy, bytes[..(bytes.Length / 3)]);
        Assert.Contains("not a whole assembly", Refused<InvalidDataException>(), StringComparison.Ordinal);
        File.WriteAllText(copy, "not one at all");
        Assert.Contains("not a whole assembly", Refused<InvalidDataException>(), StringComparison.Ordinal);

        // Any assembly but that.
        File.Copy(typeof(CheckpointFolder).Assembly.Location, copy, overwrite: true);
        Assert.Contains("has no resource", Refused<InvalidDataException>(), StringComparison.Ordinal);
        Assert.Equal(["all-MiniLM-L6-v2.lock"], Directory.EnumerateFileSystemEntries(cache).Select(Path.GetFileName));

        string Refused<T>()
            where T : Exception
        {
            string message = Assert.Throws<T>(() => package.Folder(MiniLMKind.Encoder, cache)).Message;
            Assert.Contains(MiniLMPackage.FileName, message, StringComparison.Ordinal);
            return message;
        }
    }

    [Fact]
    public void ThePromptHeadPredictsHiddenWords()
    {
        using var folder = new TemporaryFolder();
        string made = new MiniLMPackage(Weights).Folder(MiniLMKind.PromptHead, folder.Path);
        Assert.Equal(["BertForMaskedLM"], CheckpointFolder.ReadConfig(made).Architectures);
        var tokenizer = CheckpointTokenizer.Load(made);
        using var model = LanguageModel.Load(made);
        string[] texts =
        [
            "the film is one of the best of the year , and it is very funny .",
            "i do not know what to say about this movie .",
            "the company said on monday that it would sell its shares .",
            "if you want to be removed from our mailing list , please click here .",
        ];
        int right = 0,
            all = 0;
        foreach (string text in texts)
        {
            int[] ids = [tokenizer.ClsId, .. tokenizer.Encode(text), tokenizer.SepId];
            EncodedText[] rows =
            [
                .. Enumerable
                    .Range(1, ids.Length - 2)
                    .Select(place => new EncodedText(
                        [.. ids[..place], tokenizer.MaskId, .. ids[(place + 1)..]],
                        new int[ids.Length],
                        place
                    )),
            ];
            using var batch = TokenBatch.Create(rows, tokenizer.PadId);
            using Tensor hidden = model.EncodeAt(batch);
            using Tensor scores = model.WordScores(hidden);
            using Tensor words = scores.argmax(1);
            right += words.data<long>().Zip(ids[1..^1]).Count(pair => pair.First == pair.Second);
            all += rows.Length;
        }

        Assert.True(right > 0.5 * all, $"{right} of {all} hidden words were the first guess.");
    }

    [Fact]
    public void ACacheThatCannotBeMadeIsNamed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.PathOf("file"), "");
        Assert.ThrowsAny<IOException>(() => new MiniLMPackage(Weights).Folder(MiniLMKind.Encoder, folder.PathOf("file")));
    }

    private static string[] Writer(string cache, string assembly) =>
        [Path.Join(AppContext.BaseDirectory, "KilledWriter.dll"), "encoder", cache, assembly];

    private static Process Start(string program, string[] arguments) =>
        Process.Start(
            new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["DOTNET_EnableWriteXorExecute"] = "0" },
            }
        )!;
}
