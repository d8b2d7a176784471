namespace SkillLoc.Reports.Tests;

/// <summary>Every picture at once; the page stays beside the tests, to be looked at.</summary>
public sealed class GalleryTests
{
    public static string Folder { get; } = Path.Join(AppContext.BaseDirectory, "gallery");

    [Fact]
    public void EveryResultHasItsPicturesAndFiles()
    {
        var w = System.Diagnostics.Stopwatch.StartNew();
        Samples.Catalog.EvaluateCalibration(Samples.Scored());
        Console.WriteLine($"ece {w.Elapsed}");
        Samples.Catalog.Evaluation.EvaluateSmoothCalibration(Samples.Scored(), seed: 1);
        Console.WriteLine($"smooth {w.Elapsed}");
        ReportBuilder report = Samples.Everything();
        Console.WriteLine($"built {w.Elapsed}");
        report.Save(Path.Join(Folder, "report.html"));
        Console.WriteLine($"saved {w.Elapsed}");
        IReadOnlyList<string> files = report.SaveFiles(Folder);
        Console.WriteLine($"files {w.Elapsed}");
        Assert.All(files, file => Assert.True(new FileInfo(file).Length > 0));
    }
}
