using System.Text.Json;
using SkillLoc.Studies;

namespace SkillLoc.EndToEnd.Tests;

public sealed class StudyFileTests
{
    [Fact]
    public void APlanMayNameParquetFiles()
    {
        StudyFile file = JsonSerializer.Deserialize<StudyFile>(
            """{"path": "hub.parq*", "format": {"layout": "parquet", "text": "sentence"}}""",
            JsonSerializerOptions.Web
        )!;
        Assert.Equal(["positive", "negative", "negative", "", "positive"], file.Read(Oracles.PathOf("parquet")).Select(row => row.Label));
    }
}
