using System.Globalization;
using System.Text.RegularExpressions;

namespace SkillLoc.Models.Datasets;

/// <summary>Finds the files of a data set by name, or by a pattern such as <c>data/train-*.parquet</c>.</summary>
internal static partial class DataFiles
{
    private static readonly char[] Wildcards = ['*', '?'];

    /// <summary>Finds files in the order given; those of a pattern are sorted by name, character by character.</summary>
    /// <param name="given">Paths, whose last part may have the wildcards <c>*</c> and <c>?</c>.</param>
    /// <returns>The paths.</returns>
    /// <exception cref="ArgumentException">A folder's name has a wildcard.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder of a pattern does not exist.</exception>
    /// <exception cref="FileNotFoundException">No file matches a pattern.</exception>
    /// <exception cref="InvalidDataException">Files of a pattern are parts of several sets, or a part of a set is missing.</exception>
    public static IReadOnlyList<string> Find(IEnumerable<string> given) => [.. given.SelectMany(Find)];

    private static IEnumerable<string> Find(string path)
    {
        if (path.IndexOfAny(Wildcards) < 0 || File.Exists(path))
        {
            return [path];
        }

        string folder = Path.GetDirectoryName(path) ?? "",
            name = Path.GetFileName(path);
        if (folder.IndexOfAny(Wildcards) >= 0)
        {
            throw new ArgumentException($"'{path}' has a wildcard in a folder's name; only the file's name may have some.", nameof(path));
        }

        string[] names =
        [
            .. Directory
                .EnumerateFiles(folder.Length == 0 ? "." : folder, name)
                .Select(file => Path.GetFileName(file))
                .Order(StringComparer.Ordinal),
        ];
        CheckParts(path, names);
        return names.Length > 0
            ? names.Select(found => Path.Join(folder, found))
            : throw new FileNotFoundException($"No file matches '{path}'.", path);
    }

    /// <summary>Checks that files which are named as parts of a set, such as <c>train-00000-of-00002.parquet</c>, are all of one.</summary>
    private static void CheckParts(string pattern, string[] names)
    {
        Match[] parts = [.. names.Select(name => Part().Match(name)).Where(part => part.Success)];
        string[] sets = [.. parts.Select(part => part.Result("${set}-...-of-${count}${kind}")).Distinct()];
        if (sets.Length > 1)
        {
            throw new InvalidDataException(
                $"'{pattern}' matches files of several sets: {string.Join(", ", sets)}. Name one, such as {parts[0].Groups["set"]}-*."
            );
        }

        if (sets.Length == 1 && parts.Length != int.Parse(parts[0].Groups["count"].ValueSpan, CultureInfo.InvariantCulture))
        {
            throw new InvalidDataException(
                $"'{pattern}' matches {parts.Length} of the {int.Parse(parts[0].Groups["count"].ValueSpan, CultureInfo.InvariantCulture)} "
                    + $"files of {sets[0]}; the others are missing. To read only some, list them."
            );
        }
    }

    [GeneratedRegex("^(?<set>.+)-[0-9]{5}-of-(?<count>[0-9]{5})(?<kind>\\..+)?$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Part();
}

/// <summary>Checks that files which are read together have the same columns.</summary>
internal sealed class SameColumns
{
    private (string Path, string Columns)? _first;
    private (string Place, string Kind)? _label;

    /// <summary>Compares a file's columns with the first file's.</summary>
    /// <exception cref="InvalidDataException">They differ.</exception>
    public void Check(string path, string columns)
    {
        _first ??= (path, columns);
        if (_first.Value.Columns != columns)
        {
            throw new InvalidDataException(
                $"{path} has {columns}, and {_first.Value.Path} has {_first.Value.Columns}; files that are read together must be alike."
            );
        }
    }

    /// <summary>Compares the kind of a row's label with the first row's.</summary>
    /// <exception cref="InvalidDataException">They differ.</exception>
    public void CheckLabel(string path, int line, FileColumn column, string kind)
    {
        if (_label is not { } first)
        {
            _label = ($"{path}, line {line}", kind);
        }
        else if (first.Kind != kind)
        {
            throw new InvalidDataException(
                $"{path}, line {line}: the property {column} is {kind} and in the first row ({first.Place}) {first.Kind}; labels must be "
                    + "of one kind."
            );
        }
    }
}
