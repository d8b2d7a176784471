using System.Globalization;
using System.Linq.Expressions;

namespace Microsoft.ML.Data;

/// <summary>The standard conversions between primitive values.</summary>
internal static class Conversion
{
    public static Func<TIn, TOut> Between<TIn, TOut>()
    {
        if (typeof(TIn) == typeof(TOut))
            return (Func<TIn, TOut>)(object)(Func<TIn, TIn>)(v => v);
        if (typeof(TIn) == typeof(ReadOnlyMemory<char>))
        {
            var parse = Parser<TOut>();
            return (Func<TIn, TOut>)(object)(Func<ReadOnlyMemory<char>, TOut>)(text =>
                parse(text.Span, out var value) ? value : Missing<TOut>());
        }

        if (typeof(TOut) == typeof(ReadOnlyMemory<char>))
            return (Func<TIn, TOut>)(object)(Func<TIn, ReadOnlyMemory<char>>)(value => ToText(value).AsMemory());
        var input = Expression.Parameter(typeof(TIn));
        Expression number = typeof(TIn) == typeof(bool)
            ? Expression.Condition(input, Expression.Constant(1), Expression.Constant(0))
            : input;
        Expression output = typeof(TOut) == typeof(bool)
            ? Expression.NotEqual(number, Expression.Convert(Expression.Constant(0), number.Type))
            : Expression.Convert(number, typeof(TOut));
        return Expression.Lambda<Func<TIn, TOut>>(output, input).Compile();
    }

    /// <summary>What stands for a missing value: NaN for reals, otherwise the default.</summary>
    public static T Missing<T>() =>
        typeof(T) == typeof(float) ? (T)(object)float.NaN : typeof(T) == typeof(double) ? (T)(object)double.NaN : default;

    public static string ToText<T>(T value) => value switch
    {
        bool flag => flag ? "True" : "False",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    public static TryParse<T> Parser<T>()
    {
        object parser = default(T) switch
        {
            float => (TryParse<float>)ParseSingle,
            double => (TryParse<double>)ParseDouble,
            bool => (TryParse<bool>)ParseBoolean,
            sbyte => Integer<sbyte>(),
            byte => Integer<byte>(),
            short => Integer<short>(),
            ushort => Integer<ushort>(),
            int => Integer<int>(),
            uint => Integer<uint>(),
            long => Integer<long>(),
            ulong => Integer<ulong>(),
            ReadOnlyMemory<char> => (TryParse<ReadOnlyMemory<char>>)ParseText,
            _ => throw new NotSupportedException($"No conversion of text to {typeof(T)}"),
        };
        return (TryParse<T>)parser;
    }

    public delegate bool TryParse<T>(ReadOnlySpan<char> text, out T value);

    private static bool ParseText(ReadOnlySpan<char> text, out ReadOnlyMemory<char> value)
    {
        value = text.ToString().AsMemory();
        return true;
    }

    private static bool ParseSingle(ReadOnlySpan<char> text, out float value)
    {
        var parsed = ParseDouble(text, out var wide);
        value = parsed && !IsMissing(text.Trim()) && float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var narrow)
            ? narrow
            : (float)wide;
        return parsed;
    }

    private static bool ParseDouble(ReadOnlySpan<char> text, out double value)
    {
        text = text.Trim();
        value = double.NaN;
        return IsMissing(text) || double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    private static bool IsMissing(ReadOnlySpan<char> text) =>
        text is "" or "?" or "??" or "NA" or "N/A" || text.Equals("nan", StringComparison.OrdinalIgnoreCase);

    private static bool ParseBoolean(ReadOnlySpan<char> text, out bool value)
    {
        text = text.Trim();
        value = text is "1" or "+1" or "+" || Is(text, "true") || Is(text, "t") || Is(text, "yes") || Is(text, "y");
        return value || text.IsEmpty || text is "0" or "-1" or "-" || Is(text, "false") || Is(text, "f") || Is(text, "no") || Is(text, "n");

        static bool Is(ReadOnlySpan<char> text, string word) => text.Equals(word, StringComparison.OrdinalIgnoreCase);
    }

    private static TryParse<T> Integer<T>()
        where T : ISpanParsable<T> =>
        (ReadOnlySpan<char> text, out T value) =>
        {
            value = default;
            text = text.Trim();
            return text.IsEmpty || T.TryParse(text, CultureInfo.InvariantCulture, out value);
        };
}
