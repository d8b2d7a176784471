using SkillLoc.Studies;

namespace SkillLoc.Fuzz;

internal static partial class Targets
{
    private static IEnumerable<Target> Studies(string scratch)
    {
        yield return OfFile(
            scratch,
            "plan",
            Shape.Json,
            "plan.json",
            path =>
            {
                _ = StudyJson.ReadStudy(path);
                _ = StudyJson.ReadPlan<Plan>(path);
            },
            [
                Utf8(
                    """{"study": "fuzz", "name": "x", "seeds": [1, 2], "rate": 0.5, "files": [{"path": "a.tsv", "format": {"layout": "csv", "header": true, "text": "a", "label": -1}, "labels": null}], "sizes": {"a": 1}}"""
                ),
            ]
        );
        yield return OfFile(
            scratch,
            "study-folder",
            Shape.Json,
            "study.json",
            path => _ = new StudyFolder(Path.GetDirectoryName(path)!).ReadManifest(),
            [
                Utf8(
                    """{"schema": 1, "study": "fuzz", "study_version": 2, "runs": [{"id": "a", "name": "b", "seed": 1, "after": ["c"], "has_temporary_files": false}], "checkpoint": null, "data": "d", "only": ["e"]}"""
                ),
            ]
        );
        string runs = Path.Join(scratch, "result");
        yield return OfFile(
            scratch,
            Path.Join("result", "runs", "a"),
            Shape.Json,
            "result.json",
            path => _ = new StudyFolder(runs).Read("a", null),
            [
                Utf8(
                    """{"schema": 1, "id": "a", "name": "b", "study": "fuzz", "study_version": 2, "version": "1", "commit": "c", "seed": 1, "settings": {"x": 1}, "result": {"y": [0.5, "NaN"]}}"""
                ),
            ]
        ) with
        {
            Name = "study-result",
        };
    }

    private sealed record Plan
    {
        public string Study { get; init; } = "";

        public required string Name { get; init; }

        public IReadOnlyList<int> Seeds { get; init; } = [];

        public double Rate { get; init; }

        public IReadOnlyList<StudyFile> Files { get; init; } = [];

        public IReadOnlyDictionary<string, int> Sizes { get; init; } = new Dictionary<string, int>();
    }
}
