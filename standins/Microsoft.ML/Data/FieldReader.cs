using System.Text;

namespace Microsoft.ML.Data;

/// <summary>Cuts a line into fields. Spaces before a field do not count; a quote inside quotes is doubled, or escaped.</summary>
internal sealed class FieldReader(TextLoader.Options options)
{
    private readonly bool _spaceSeparates = options.Separators.Contains(' ');

    /// <summary>The fields; one that breaks the rules of quoting is empty.</summary>
    public List<string> Split(string line)
    {
        var fields = new List<string>();
        var at = 0;
        bool more;
        do
            more = ReadField(line, ref at, fields, out _);
        while (more);
        return fields;
    }

    /// <summary>Whether a line ends inside quotes.</summary>
    public bool IsOpen(string line)
    {
        var fields = new List<string>();
        var at = 0;
        bool isOpen;
        while (ReadField(line, ref at, fields, out isOpen))
        {
        }

        return isOpen;
    }

    private bool ReadField(string line, ref int at, List<string> fields, out bool isOpen)
    {
        isOpen = false;
        while (!_spaceSeparates && at < line.Length && line[at] == ' ')
            at++;
        if (options.AllowQuoting && at < line.Length && line[at] == '"')
        {
            fields.Add(ReadQuoted(line, ref at, out isOpen));
        }
        else
        {
            var start = at;
            at = EndOf(line, at);
            fields.Add(line[start..at]);
        }

        return at++ < line.Length;
    }

    private string ReadQuoted(string line, ref int at, out bool isOpen)
    {
        var text = new StringBuilder();
        for (at++; ; at++)
        {
            isOpen = at >= line.Length;
            if (isOpen)
                return "";
            var isEscape = line[at] == options.EscapeChar && at + 1 < line.Length && line[at + 1] == '"';
            if (isEscape)
                at++;
            else if (line[at] == '"')
                break;
            text.Append(line[at]);
        }

        var end = EndOf(line, ++at);
        var isClean = line.AsSpan(at, end - at).Trim(' ').IsEmpty;
        at = end;
        return isClean ? text.ToString() : "";
    }

    private int EndOf(string line, int start)
    {
        var end = line.IndexOfAny(options.Separators, start);
        return end < 0 ? line.Length : end;
    }
}
