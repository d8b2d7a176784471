using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;

namespace SkillLoc.Evaluators;

/// <summary>The reference's files of a path (mode connectivity, C.4).</summary>
internal sealed class InterpolationFiles
{
    private const string ResultFile = "result.csv";
    private const string Header = "prefix,metric,x,dev_performance,dev_loss,test_performance,test_loss";
    private const string Average = "average";

    private static readonly SearchValues<char> Separators = SearchValues.Create(",\"\r\n");

    private readonly InterpolationSet? _validation;
    private readonly InterpolationSet? _test;
    private readonly InterpolationSet? _training;
    private readonly string _prefix;
    private readonly string _metric;

    /// <exception cref="ArgumentException">The prefix cannot stand in the file.</exception>
    public InterpolationFiles(InterpolationMetrics metrics, string prefix)
    {
        if (prefix.Length == 0 || prefix == Average || prefix.AsSpan().ContainsAny(Separators))
        {
            throw new ArgumentException(
                $"The prefix is '{prefix}'; it must be a name without commas, quotes and line breaks, and not '{Average}', which the last row has.", nameof(prefix));
        }

        _validation = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Validation));
        _test = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Test));
        _training = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Training));
        _prefix = prefix;
        _metric = metrics.Metric switch
        {
            PromptMetric.AccuracyAndF1 => "F1",
            PromptMetric.MatthewsCorrelation => "Matthew-Correlation",
            _ => "ACC",
        };
    }

    private InterpolationSet[] Compared => [.. new[] { _validation, _test }.OfType<InterpolationSet>()];

    /// <summary>The text of a place as Python writes it: 0.0, 0.04, 1.0.</summary>
    public static string Key(double x) => x.ToString("0.0##############", CultureInfo.InvariantCulture);

    /// <exception cref="IOException">Something is there that must not be replaced, or a file could not be written.</exception>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        List<(string Name, string Text)> files =
        [
            .. new[] { ("valid", _validation), ("test", _test), ("train", _training) }
                .Where(set => set.Item2 is not null)
                .Select(set => ($"{set.Item1}_data_analysis.json", Rows(set.Item2!))),
            ("data_analyze.txt", Counts()),
        ];
        if (Compared.Length > 0)
        {
            files.Add(("solution_analysis.txt", Solutions()));
        }

        foreach ((string name, _) in files.Where(file => File.Exists(Path.Join(folder, file.Name))))
        {
            throw new IOException($"'{Path.GetFullPath(Path.Join(folder, name))}' is there already; choose a folder without an analysis. Nothing was written.");
        }

        if (Compared.Length > 0)
        {
            string path = Path.Join(folder, ResultFile);
            AtomicFile.WriteText(path, Existing(path) + Table());
        }

        foreach ((string name, string text) in files)
        {
            AtomicFile.WriteText(Path.Join(folder, name), text);
        }
    }

    /// <summary>The rows that are there already, or the header of a new file.</summary>
    private static string Existing(string path)
    {
        if (!File.Exists(path))
        {
            return Header + "\n";
        }

        string text = File.ReadAllText(path).ReplaceLineEndings("\n");
        string[] lines = text.TrimEnd('\n').Split('\n');
        int fields = Header.Count(letter => letter == ',');
        int wrong = lines[0] != Header ? 0 : Array.FindIndex(lines, line => line.Count(letter => letter == ',') != fields);
        return wrong < 0 ? text.TrimEnd('\n') + "\n" : throw new IOException(
            $"'{Path.GetFullPath(path)}' was not written by an interpolation: its line {wrong + 1} is '{lines[wrong]}', and the columns are "
            + $"'{Header}'. Choose another folder. Nothing was written.");
    }

    private string Table()
    {
        double[][] rows = [.. Enumerable.Range(0, Compared[0].Points.Count).Select(point => new[]
        {
            Compared[0].Points[point].X,
            _validation?.Points[point].Metric ?? 0, _validation?.Points[point].Loss ?? 0,
            _test?.Points[point].Metric ?? 0, _test?.Points[point].Loss ?? 0,
        })];
        double[] means = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Average(row => row[column]))];
        return string.Concat(rows.Select(row => Line(_prefix, row))) + Line(Average, means);

        string Line(string prefix, double[] values) =>
            $"{prefix},{_metric},{string.Join(',', values.Select(value => value.ToString("F4", CultureInfo.InvariantCulture)))}\n";
    }

    /// <summary>By place the rows with score 0 and 1, and except of training rows those whose score rose and fell since the place before;
    /// at the first place a score above 0 counts as risen.</summary>
    private string Rows(InterpolationSet set)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            for (int point = 0; point < set.Points.Count; point++)
            {
                json.WriteStartObject(Key(set.Points[point].X));
                Write("zero_list", set.Where(point, right: false));
                Write("one_list", set.Where(point, right: true));
                if (!ReferenceEquals(set, _training))
                {
                    Write("up_list", Up(set, point));
                    Write("down_list", Down(set, point));
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();

            void Write(string name, IEnumerable<int> rows)
            {
                json.WriteStartArray(name);
                foreach (int row in rows)
                {
                    json.WriteNumberValue(row);
                }

                json.WriteEndArray();
            }
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>How many rows there are in each list; scores are 0 or 1, so all that rise get to 1 and all that fall get to 0.</summary>
    private string Counts()
    {
        var text = new StringBuilder("set\tx\tzero\tone\tup\tup_to_one\tdown\tdown_to_zero\n");
        foreach (InterpolationSet set in new[] { _validation, _test, _training }.OfType<InterpolationSet>())
        {
            for (int point = 0; point < set.Points.Count; point++)
            {
                long right = set.Points[point].Right;
                int up = Up(set, point).Count(), down = Down(set, point).Count();
                text.Append(CultureInfo.InvariantCulture, $"{set.Name}\t{Key(set.Points[point].X)}\t{set.Rows.Count - right}\t{right}\t{up}\t{up}\t{down}\t{down}\n");
            }
        }

        return text.ToString();
    }

    private string Solutions()
    {
        var text = new StringBuilder();
        bool[][] better = [.. Compared.Select(set => set.Points.Select(point =>
            point.Metric > set.Points[0].Metric && point.Metric > set.Points[^1].Metric).ToArray())];
        for (int i = 0; i < Compared.Length; i++)
        {
            Better(Compared[i].Name, point => better[i][point]);
        }

        if (Compared.Length == 2)
        {
            Better("Validation and Test", point => better[0][point] && better[1][point]);
        }

        foreach (InterpolationSet set in Compared)
        {
            InterpolationPoint best = set.Points.MaxBy(point => point.Metric)!;
            text.Append(CultureInfo.InvariantCulture, $"{set.Name}: best {best.Metric:F4} at {Key(best.X)}, ");
            text.Append(CultureInfo.InvariantCulture, $"average {set.Points.Average(point => point.Metric):F4}, ");
            text.Append(CultureInfo.InvariantCulture, $"average loss {set.Points.Average(point => point.Loss):F4}\n");
        }

        return text.ToString();

        void Better(string where, Func<int, bool> isBetter)
        {
            string[] points = [.. Enumerable.Range(0, Compared[0].Points.Count).Where(isBetter).Select(point => Key(Compared[0].Points[point].X))];
            text.Append(CultureInfo.InvariantCulture, $"{where}: {points.Length} points better than both ends");
            text.Append(points.Length > 0 ? $": {string.Join(", ", points)}\n" : "\n");
        }
    }

    private static IEnumerable<int> Up(InterpolationSet set, int point) =>
        point == 0 ? set.Where(0, right: true) : set.Where(point, right: true).Except(set.Where(point - 1, right: true));

    private static IEnumerable<int> Down(InterpolationSet set, int point) =>
        point == 0 ? [] : set.Where(point, right: false).Except(set.Where(point - 1, right: false));
}
