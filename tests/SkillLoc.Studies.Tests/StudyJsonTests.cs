using System.Text;

namespace SkillLoc.Studies.Tests;

/// <summary>Plans and results as JSON: what is read, and how other files are refused.</summary>
public sealed class StudyJsonTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-json-").FullName;

    private string Path => System.IO.Path.Join(_folder, "plan.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("{\"study\": \"merging\", \"x\": [null]}", "merging")]
    [InlineData("/* a comment */ {\"study\": \"merging\",}", "merging")]
    [InlineData("{\"study\": 5}", null)]
    [InlineData("{\"study\": null}", null)]
    [InlineData("{\"x\": \"merging\"}", null)]
    [InlineData("[\"study\"]", null)]
    [InlineData("\"study\"", null)]
    public void APlanMaySayWhichStudyItIsOf(string json, string? study)
    {
        File.WriteAllText(Path, json);
        Assert.Equal(study, StudyJson.ReadStudy(Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"study\": \"\u00ff\"}")]
    [InlineData("{\"study\": \"a\", \"study\": \"b\"}")]
    public void APlanThatIsNoJsonIsRefused(string json)
    {
        File.WriteAllBytes(Path, Encoding.Latin1.GetBytes(json));
        Assert.StartsWith(
            $"{Path} is not a study plan: ",
            Assert.Throws<InvalidDataException>(() => StudyJson.ReadStudy(Path)).Message,
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            $"{Path} is not a study plan: ",
            Assert.Throws<InvalidDataException>(() => StudyJson.ReadPlan<Plan>(Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(1, "it has 4194305 bytes, and plans have at most 4194304.")]
    public void APlanHasALimit(int more, string? reason)
    {
        File.WriteAllText(Path, "{\"study\": \"a\"}".PadRight((4 << 20) + more));
        if (reason is null)
        {
            Assert.Equal("a", StudyJson.ReadStudy(Path));
        }
        else
        {
            Assert.Equal(
                $"{Path} is not a study plan: {reason}",
                Assert.Throws<InvalidDataException>(() => StudyJson.ReadStudy(Path)).Message
            );
        }
    }

    [Fact]
    public void APlanIsReadByItsProperties()
    {
        File.WriteAllText(Path, "{\"some_numbers\": [1, 2.5], /* none */ \"inner\": null, \"day\": \"friday\",}");
        Plan plan = StudyJson.ReadPlan<Plan>(Path);
        Assert.Equal([1, 2.5], plan.SomeNumbers);
        Assert.Equal((DayOfWeek.Friday, null), (plan.Day, plan.Inner));
        File.WriteAllText(Path, "{\"some_numbers\": [\"NaN\"]}");
        Assert.Equal([double.NaN], StudyJson.Read<Plan>(Path, "damaged").SomeNumbers);
        // A measurement may be NaN, and no plan asks for it.
        Refused("$.some_numbers[0]", () => StudyJson.ReadPlan<Plan>(Path), $"{Path} is not a study plan: ");
        Assert.Throws<FileNotFoundException>(() => StudyJson.ReadPlan<Plan>(Path + "x"));
    }

    [Theory]
    [InlineData("null", "$ is null.")]
    [InlineData("{\"some_numbers\": [1, null]}", "$.some_numbers[1] is null.")]
    [InlineData("{\"inner\": {\"inner\": {\"x\": [[], [[null]]]}}}", "$.inner.inner.x[1][0][0] is null.")]
    [InlineData("[[\"a\"], null]", "$[1] is null.")]
    [InlineData("{\"inner\": {\"some_numbers\": null}}", "$.inner.some_numbers")]
    [InlineData("{\"unknown\": 1}", "'unknown'")]
    [InlineData("{\"some_numbers\": [1], \"some_numbers\": [1]}", "some_numbers")]
    [InlineData("{\"day\": \"x\"}", "$.day")]
    [InlineData("{\"inner\": {\"day\": \"\\ud800\"}}", "day")]
    [InlineData("{\"refused\": \"x\"}", "No x.")]
    [InlineData("5", "could not be converted")]
    public void AValueThatIsNoneOfThePlanIsRefused(string json, string reason)
    {
        File.WriteAllText(Path, json);
        Refused(reason, () => StudyJson.Read<Plan>(Path, "It is damaged"), "It is damaged: ");
    }

    [Fact]
    public void AFingerprintDependsOnEveryPart()
    {
        string[] prints =
        [
            StudyJson.FingerprintOf("a", 1),
            StudyJson.FingerprintOf("a", 2),
            StudyJson.FingerprintOf("b", 1),
            StudyJson.FingerprintOf("a"),
        ];
        Assert.Equal(4, prints.Distinct().Count());
        Assert.All(prints, print => Assert.Matches("^[0-9a-f]{16}$", print));
        Assert.Equal(prints[0], StudyJson.FingerprintOf("a", 1));
    }

    private static void Refused(string reason, Func<object> read, string start)
    {
        string message = Assert.Throws<InvalidDataException>(read).Message;
        Assert.StartsWith(start, message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    internal sealed record Plan
    {
        public IReadOnlyList<double> SomeNumbers { get; init; } = [];

        public Plan? Inner { get; init; }

        public DayOfWeek Day { get; init; }

        public string Refused
        {
            get => "";
            init => throw new ArgumentException($"No {value}.");
        }
    }
}
