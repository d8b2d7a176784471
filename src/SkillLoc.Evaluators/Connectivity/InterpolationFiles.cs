using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Json;

namespace SkillLoc.Evaluators;

/// <summary>The files that the paper's code writes of a path (methods, C.4).</summary>
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

    /// <exception cref="ArgumentException">The prefix is invalid in the file.</exception>
    public InterpolationFiles(InterpolationMetrics metrics, string prefix)
    {
        if (prefix.Length == 0 || prefix == Average || prefix.AsSpan().ContainsAny(Separators))
        {
            throw new ArgumentException(
                $"The prefix is '{prefix}'; it must be a name without commas, quotes and line breaks, and not '{Average}', which the "
                    + "last row has.",
                nameof(prefix)
            );
        }

        _validation = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Validation));
        _test = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Test));
        _training = metrics.Find(nameof(CheckpointInterpolationEvaluator.Options.Training));
        _prefix = prefix;
        _metric = metrics.Metric;
    }

    private InterpolationSet[] Compared => [.. new[] { _validation, _test }.OfType<InterpolationSet>()];

    /// <summary>Formats a position as Python does: 0.0, 0.04, 1.0.</summary>
    public static string Key(double x) => x.ToString("0.0##############", CultureInfo.InvariantCulture);

    /// <summary>Reads a <c>…_data_analysis.json</c>: the rows with score 0 and 1 at each position.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is invalid; the message names the error.</exception>
    public static OrderedDictionary<string, (int[] Wrong, int[] Right)> Read(string path)
    {
        ReadOnlySpan<byte> json = JsonText.ReadFile(path).Span;
        try
        {
            JsonText.CheckUnicode(json);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException(
                $"{path} holds no analysis of a path, which has by place the lists 'zero_list' and 'one_list' of row numbers: "
                    + $"{error.Message}",
                error
            );
        }

        // Number by number: there may be millions.
        var reader = new Utf8JsonReader(json);
        reader.Read();
        var places = new OrderedDictionary<string, (int[] Wrong, int[] Right)>(StringComparer.Ordinal);
        List<int> rows = [];
        bool isObject = reader.TokenType == JsonTokenType.StartObject;
        while (isObject && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string place = reader.GetString()!;
            if (!double.TryParse(place, NumberStyles.Float, CultureInfo.InvariantCulture, out double x) || !double.IsFinite(x))
            {
                throw new InvalidDataException($"{path}: '{place}' is no place of a path; expected a number such as 0.5.");
            }

            Dictionary<string, int[]> lists = ReadLists(ref reader, rows, $"{path}, place '{place}'");
            if (!places.TryAdd(place, (Rows(lists, "zero_list", place), Rows(lists, "one_list", place))))
            {
                throw new InvalidDataException($"{path}: the place '{place}' occurs twice.");
            }
        }

        return places.Count > 0 ? places : throw new InvalidDataException($"{path} holds no places of a path.");

        int[] Rows(Dictionary<string, int[]> lists, string name, string place) =>
            lists.TryGetValue(name, out int[]? found)
                ? found
                : throw new InvalidDataException($"{path}, place '{place}': '{name}' must be a list of row numbers from 0 on.");
    }

    /// <summary>Reads the lists of a place, each a name once with numbers from 0 on.</summary>
    private static Dictionary<string, int[]> ReadLists(ref Utf8JsonReader reader, List<int> rows, string place)
    {
        var lists = new Dictionary<string, int[]>(StringComparer.Ordinal);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InvalidDataException($"{place} holds {reader.TokenType}; expected an object of lists.");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            rows.Clear();
            reader.Read();
            bool isList = reader.TokenType == JsonTokenType.StartArray;
            while (isList && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                isList = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int row) && row >= 0;
                rows.Add(isList ? reader.GetInt32() : 0);
            }

            if (!isList || !lists.TryAdd(name, [.. rows]))
            {
                throw new InvalidDataException($"{place}: '{name}' must be a list of row numbers from 0 on, and there once.");
            }
        }

        return lists;
    }

    /// <exception cref="InvalidOperationException">There is nothing to write.</exception>
    /// <exception cref="IOException">An existing file must not be replaced, or a file could not be written.</exception>
    public void Save(string folder)
    {
        (string Name, InterpolationSet? Set)[] sets = [("valid", _validation), ("test", _test), ("train", _training)];
        (string Name, InterpolationSet Set)[] scored =
        [
            .. sets.Where(set => set.Set?.Scores.Count > 0).Select(set => (set.Name, set.Set!)),
        ];
        List<(string Name, string Text)> files = [.. scored.Select(set => ($"{set.Name}_data_analysis.json", Rows(set.Set)))];
        if (scored.Length > 0)
        {
            files.Add(("data_analyze.txt", Counts(scored.Select(set => set.Set))));
        }

        if (Compared.Length > 0)
        {
            files.Add(("solution_analysis.txt", Solutions()));
        }
        else if (scored.Length == 0)
        {
            throw new InvalidOperationException(
                "There is nothing to write: training rows without scores have neither a table nor an analysis."
            );
        }

        // What an interrupted save of the same path left, whose rows are not in the table yet, is completed.
        AtomicFolder.RemoveLeftovers(folder);
        string existing = Compared.Length > 0 ? Existing(Path.Join(folder, ResultFile)) : "",
            table = Compared.Length > 0 ? Table() : "";
        bool isDone = table.Length > 0 && existing.EndsWith(table, StringComparison.Ordinal);
        bool isAnothers = !isDone && table.Length > 0 && Bare(existing).EndsWith(Bare(table), StringComparison.Ordinal);
        foreach ((string name, string text) in files.Where(file => Path.Exists(Path.Join(folder, file.Name))))
        {
            string path = Path.Join(folder, name);
            if (isAnothers || !File.Exists(path) || File.ReadAllText(path) != text)
            {
                throw new IOException(
                    $"'{Path.GetFullPath(path)}' is there already; choose a folder without an analysis. Nothing was written."
                );
            }
        }

        if (table.Length > 0)
        {
            files.Add((ResultFile, isDone ? existing : existing + table));
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))!);
        AtomicFolder.Write(folder, into => files.ForEach(file => File.WriteAllText(Path.Join(into, file.Name), file.Text)));
    }

    /// <summary>The lines of a table without their prefixes.</summary>
    private static string Bare(string table) => string.Join('\n', table.Split('\n').Select(line => line[(line.IndexOf(',') + 1)..]));

    /// <summary>The existing rows, or the header of a new file.</summary>
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
        return wrong < 0
            ? text.TrimEnd('\n') + "\n"
            : throw new IOException(
                $"'{Path.GetFullPath(path)}' was not written by an interpolation: its line {wrong + 1} is '{lines[wrong]}', and the "
                    + "columns are "
                    + $"'{Header}'. Choose another folder. Nothing was written."
            );
    }

    private string Table()
    {
        double[][] rows =
        [
            .. Enumerable
                .Range(0, Compared[0].Points.Count)
                .Select(point =>
                    new[]
                    {
                        Compared[0].Points[point].X,
                        _validation?.Points[point].Metric ?? 0,
                        _validation?.Points[point].Loss ?? 0,
                        _test?.Points[point].Metric ?? 0,
                        _test?.Points[point].Loss ?? 0,
                    }
                ),
        ];
        double[] means = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Average(row => row[column]))];
        return string.Concat(rows.Select(row => Line(_prefix, row))) + Line(Average, means);

        string Line(string prefix, double[] values) =>
            $"{prefix},{_metric},{string.Join(',', values.Select(value => value.ToString("F4", CultureInfo.InvariantCulture)))}\n";
    }

    /// <summary>The rows with score 0 and 1 at each position and, except for training rows, those whose score rose or fell since the
    /// previous position; at the first, scores above 0 count as risen.</summary>
    private string Rows(InterpolationSet set)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            for (int point = 0; point < set.Points.Count; point++)
            {
                json.WriteStartObject(Key(set.Points[point].X));
                Write("zero_list", set.Where(point, (_, now) => now == 0));
                Write("one_list", set.Where(point, (_, now) => now == 1));
                if (!ReferenceEquals(set, _training))
                {
                    Write("up_list", set.Where(point, (before, now) => now > before));
                    Write("down_list", set.Where(point, (before, now) => now < before));
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

    /// <summary>The sizes of the lists, and the numbers of rows that rose to 1 and fell to 0.</summary>
    private static string Counts(IEnumerable<InterpolationSet> sets)
    {
        var text = new StringBuilder("set\tx\tzero\tone\tup\tup_to_one\tdown\tdown_to_zero\n");
        foreach (InterpolationSet set in sets)
        {
            for (int point = 0; point < set.Points.Count; point++)
            {
                Func<float, float, bool>[] lists =
                [
                    (_, now) => now == 0,
                    (_, now) => now == 1,
                    (before, now) => now > before,
                    (before, now) => now > before && now == 1,
                    (before, now) => now < before,
                    (before, now) => now < before && now == 0,
                ];
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{set.Name}\t{Key(set.Points[point].X)}\t{string.Join('\t', lists.Select(list => set.Where(point, list).Length))}\n"
                );
            }
        }

        return text.ToString();
    }

    private string Solutions()
    {
        var text = new StringBuilder();
        bool[][] better =
        [
            .. Compared.Select(set =>
                set.Points.Select(point => point.Metric > set.Points[0].Metric && point.Metric > set.Points[^1].Metric).ToArray()
            ),
        ];
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
            string[] points =
            [
                .. Enumerable.Range(0, Compared[0].Points.Count).Where(isBetter).Select(point => Key(Compared[0].Points[point].X)),
            ];
            text.Append(CultureInfo.InvariantCulture, $"{where}: {points.Length} points better than both ends");
            text.Append(points.Length > 0 ? $": {string.Join(", ", points)}\n" : "\n");
        }
    }
}
