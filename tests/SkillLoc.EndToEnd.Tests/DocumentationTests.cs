using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using SkillLoc.Evaluators;
using SkillLoc.Models.Tuning;
using SkillLoc.Reports;
using SkillLoc.Trainers;
using SkillLoc.Transforms;

namespace SkillLoc.EndToEnd.Tests;

/// <summary>The pages of docs say what the code does. That their snippets compile is <see cref="PackageTests"/>'s.</summary>
public sealed class DocumentationTests
{
    private static readonly string Root = Path.GetFullPath(Oracles.PathOf("..", ".."));

    private static readonly string[] Headings =
    [
        "What it is for",
        "Example",
        "Options",
        "Output",
        "What it costs",
        "When not to use it",
        "References",
    ];

    private static readonly Assembly[] Assemblies =
    [
        typeof(Models.Prompts.PromptTask).Assembly,
        typeof(TuningOptions).Assembly,
        typeof(TextScoringTransformer).Assembly,
        typeof(PromptFineTuneTrainer).Assembly,
        typeof(CalibrationMetrics).Assembly,
        typeof(Provenance).Assembly,
    ];

    public static TheoryData<string> Pages =>
        [
            .. Directory
                .GetFiles(Path.Join(Root, "docs", "components"), "*.md")
                .Select(path => Path.GetFileName(path))
                .Where(name => name != "README.md")
                .Order(),
        ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void APageHasTheUsualParts(string page)
    {
        string text = Read(page);
        Assert.Equal(Headings, Regex.Matches(text, "^## (.+)$", RegexOptions.Multiline).Select(heading => heading.Groups[1].Value));
        Assert.Contains("```csharp", text, StringComparison.Ordinal);
        foreach (string list in new[] { "README.md", Path.Join("docs", "components", "README.md") })
        {
            Assert.Matches($@"\]\([^)]*\b{Regex.Escape(page)}\)", File.ReadAllText(Path.Join(Root, list)));
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void OptionsAndTheirDefaultsAreThoseOfTheCode(string page)
    {
        foreach (Match section in Regex.Matches(Read(page), @"^### `([\w.]+)`\n\n((?:\|.*\n)+)", RegexOptions.Multiline))
        {
            string name = section.Groups[1].Value;
            Type type = Assert.Single(Assemblies.SelectMany(assembly => assembly.GetExportedTypes()), type => NameOf(type) == name);
            object defaults = type.GetConstructor([]) is { } make ? make.Invoke([]) : RuntimeHelpers.GetUninitializedObject(type);
            Dictionary<string, object?> options = Options(type, defaults);
            var documented = Regex
                .Matches(section.Groups[2].Value, @"^\| `(\w+)` \| `(.*?)` \|", RegexOptions.Multiline)
                .ToDictionary(row => row.Groups[1].Value, row => row.Groups[2].Value.Replace("\\|", "|"));

            Assert.Equal(options.Keys.Order(), documented.Keys.Order());
            Assert.All(
                documented,
                row =>
                    Assert.True(
                        Same(options[row.Key], row.Value),
                        $"{name}.{row.Key} is {Text(options[row.Key])} by default, and {page} says {row.Value}."
                    )
            );
        }
    }

    [Fact]
    public void EveryMethodOfTheCatalogIsOnAPageAndInTheReadme()
    {
        string readme = File.ReadAllText(Path.Join(Root, "README.md"));
        string pages = string.Concat(Pages.Select(page => Read(page.Data)));
        string[] methods =
        [
            .. Assemblies
                .SelectMany(assembly => assembly.GetExportedTypes())
                .Where(type => type is { IsAbstract: true, IsSealed: true })
                .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static))
                .Where(method =>
                    method.GetParameters().FirstOrDefault()?.ParameterType is { } first
                    && (first == typeof(SkillLocCatalog) || first.IsSubclassOf(typeof(CatalogRoom)))
                )
                .Select(method => method.Name)
                .Distinct(),
        ];
        Assert.True(methods.Length > 30);
        Assert.All(methods, method => Assert.Contains($"`{method}`", readme, StringComparison.Ordinal));
        Assert.All(methods, method => Assert.Matches($@"\b{method}\b", pages));
    }

    /// <summary>Comments cite sections of docs/methods.md by their labels, and nothing that is not in the repository.</summary>
    [Fact]
    public void CitedMethodsAreSectionsOfTheirPage()
    {
        string methods = File.ReadAllText(Path.Join(Root, "docs", "methods.md"));
        HashSet<string> sections =
        [
            .. Regex.Matches(methods, @"^## ([A-E]\.\d+) ", RegexOptions.Multiline).Select(heading => heading.Groups[1].Value),
        ];
        string[] folders = ["src", "tests", "examples", "benchmarks", "docs"];
        (string File, string Text)[] sources =
        [
            .. folders
                .SelectMany(folder => Directory.EnumerateFiles(Path.Join(Root, folder), "*.*", SearchOption.AllDirectories))
                .Where(file => Path.GetExtension(file) is ".cs" or ".md" && !Regex.IsMatch(file, @"[\\/](bin|obj)[\\/]"))
                .Where(file => Path.GetFileName(file) is not ("methods.md" or "DocumentationTests.cs"))
                .Select(file => (Path.GetRelativePath(Root, file), Regex.Replace(File.ReadAllText(file), @"\s*\n\s*(///? ?)?", " "))),
        ];
        (string File, string Label)[] cited =
        [
            .. from source in sources
            from Match citation in Regex.Matches(source.Text, @"methods(?:\.md)?,\s(?:[A-E]\.\d+(?:, | to )?)+")
            from Match label in Regex.Matches(citation.Value, @"[A-E]\.\d+")
            select (source.File, label.Value),
        ];

        Assert.True(sections.Count > 30);
        Assert.True(cited.Length > 100);
        Assert.All(
            cited,
            citation =>
                Assert.True(sections.Contains(citation.Label), $"{citation.File} cites {citation.Label}, which docs/methods.md lacks.")
        );
        Assert.All(
            sources,
            source =>
                Assert.False(
                    Regex.IsMatch(
                        source.Text,
                        @"\bdecisions? \d|\b(grafting|neurons|connectivity|reference),? [A-E]\.\d|\bthe specification\b"
                    ),
                    $"{source.File} cites something else than docs/methods.md."
                )
        );
    }

    [Fact]
    public void LinksLeadSomewhere() =>
        Assert.All(
            Directory.GetFiles(Path.Join(Root, "docs"), "*.md", SearchOption.AllDirectories).Append(Path.Join(Root, "README.md")),
            file =>
                Assert.All(
                    Regex.Matches(File.ReadAllText(file), @"\]\((?!https?:|#)([^)#]+)").Select(link => link.Groups[1].Value),
                    link => Assert.True(Path.Exists(Path.Join(Path.GetDirectoryName(file), link)), $"{file} leads to {link}")
                )
        );

    private static string Read(string page) => File.ReadAllText(Path.Join(Root, "docs", "components", page));

    private static string NameOf(Type type) => type.DeclaringType is { } outer ? $"{NameOf(outer)}.{type.Name}" : type.Name;

    /// <summary>The public fields of ML.NET's kind of options, or the properties that a record lets its maker set.</summary>
    private static Dictionary<string, object?> Options(Type type, object defaults)
    {
        FieldInfo[] fields = type.GetFields(BindingFlags.Public | BindingFlags.Instance);
        return fields.Length > 0
            ? fields.ToDictionary(field => field.Name, field => field.GetValue(defaults))
            : type.GetProperties()
                .Where(property => property.CanWrite)
                .ToDictionary(property => property.Name, property => property.GetValue(defaults));
    }

    private static bool Same(object? value, string documented) =>
        value is double number
            ? double.TryParse(documented, CultureInfo.InvariantCulture, out double other) && number == other
            : Text(value) == documented;

    private static string Text(object? value) =>
        value switch
        {
            null => "null",
            string text => $"\"{text}\"",
            bool flag => flag ? "true" : "false",
            CancellationToken => "none",
            Enum choice => choice.ToString().Replace(", ", " | "),
            IEnumerable list => $"[{string.Join(", ", list.Cast<object?>().Select(Text))}]",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => "new()",
        };
}
