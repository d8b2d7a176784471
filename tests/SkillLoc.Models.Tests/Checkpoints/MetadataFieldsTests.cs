using System.Text;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>The metadata and tensors of SkillLoc's own files are what they should be, or are refused by file and field.</summary>
public sealed class MetadataFieldsTests : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly MetadataFields _fields;

    public MetadataFieldsTests()
    {
        const string Header = """
            {"__metadata__": {"empty": "", "word": "a", "two": "2", "half": "0.5", "minus": "-3", "nan": "NaN", "inf": "Infinity",
              "large": "9223372036854775807", "larger": "9223372036854775808", "space": " 2", "exponent": "1e3"},
             "floats": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
             "half": {"dtype": "F16", "shape": [2], "data_offsets": [8, 12]},
             "none": {"dtype": "F32", "shape": [3, 0], "data_offsets": [12, 12]},
             "nan": {"dtype": "F16", "shape": [1], "data_offsets": [12, 14]},
             "ints": {"dtype": "I32", "shape": [2], "data_offsets": [14, 22]},
             "noints": {"dtype": "I32", "shape": [0], "data_offsets": [22, 22]},
             "square": {"dtype": "I32", "shape": [1, 1], "data_offsets": [22, 26]},
             "bytes": {"dtype": "U8", "shape": [1], "data_offsets": [26, 27]}}
            """;
        byte[] header = Encoding.UTF8.GetBytes(Header);
        byte[] data =
        [
            .. BitConverter.GetBytes(1.5f),
            .. BitConverter.GetBytes(-2f),
            .. BitConverter.GetBytes((Half)0.25),
            .. BitConverter.GetBytes((Half)4),
            .. BitConverter.GetBytes(Half.NaN),
            .. BitConverter.GetBytes(-7),
            .. BitConverter.GetBytes(8),
            .. BitConverter.GetBytes(9),
            1,
        ];
        _file = SafetensorsFile.FromBytes((byte[])[.. BitConverter.GetBytes((long)header.Length), .. header, .. data], "my file");
        _fields = new MetadataFields(_file, "x");
    }

    public void Dispose() => _file.Dispose();

    [Fact]
    public void TextsAreThere()
    {
        Assert.Equal("a", _fields.Text("word"));
        Assert.Equal("", _fields.Text("empty"));
        Assert.Equal("x: the metadata's 'other' is missing.", Refused(() => _fields.Text("other")));
        Assert.Equal("x: the metadata's 'other' is missing.", Refused(() => _fields.Number("other")));
        Assert.Equal("x: the metadata's 'other' is missing.", Refused(() => _fields.Whole("other")));
        Assert.Equal("x: the metadata's 'word' is odd.", _fields.Wrong("word", "is odd").Message);
    }

    [Theory]
    [InlineData("two", double.NegativeInfinity, double.PositiveInfinity, 2.0)]
    [InlineData("nan", double.NegativeInfinity, double.PositiveInfinity, double.NaN)]
    [InlineData("inf", double.NegativeInfinity, double.PositiveInfinity, double.PositiveInfinity)]
    [InlineData("exponent", 0.0, 1000.0, 1000.0)]
    [InlineData("half", 0.5, 0.5, 0.5)]
    [InlineData("minus", double.NegativeInfinity, 0.0, -3.0)]
    [InlineData("space", 0.0, double.PositiveInfinity, 2.0)]
    public void NumbersAreInTheirRange(string key, double least, double most, double expected) =>
        Assert.Equal(expected, _fields.Number(key, least, most));

    [Theory]
    [InlineData("word", double.NegativeInfinity, double.PositiveInfinity, "'word' is 'a'; it must be a number.")]
    [InlineData("empty", double.NegativeInfinity, double.PositiveInfinity, "'empty' is ''; it must be a number.")]
    [InlineData("half", 0.75, 1.0, "'half' is '0.5'; it must be a number of at least 0.75 and at most 1.")]
    [InlineData("two", 0.0, 1.5, "'two' is '2'; it must be a number of at least 0 and at most 1.5.")]
    [InlineData("minus", 0.0, double.PositiveInfinity, "'minus' is '-3'; it must be a number of at least 0.")]
    [InlineData("two", double.NegativeInfinity, 1.0, "'two' is '2'; it must be a number of at most 1.")]
    [InlineData("nan", 0.0, double.PositiveInfinity, "'nan' is 'NaN'; it must be a number of at least 0.")]
    [InlineData("inf", 0.0, double.PositiveInfinity, "'inf' is 'Infinity'; it must be a number of at least 0.")]
    public void OtherNumbersAreRefused(string key, double least, double most, string expected) =>
        Assert.Equal($"x: the metadata's {expected}", Refused(() => _fields.Number(key, least, most)));

    [Fact]
    public void WholeNumbersAreInTheirRange()
    {
        Assert.Equal(2, _fields.Whole("two"));
        Assert.Equal(2, _fields.Whole("two", 2, 2));
        Assert.Equal(-3, _fields.Whole("minus", -3));
        Assert.Equal(long.MaxValue, _fields.Whole("large"));
        Assert.Equal("x: the metadata's 'minus' is '-3'; it must be a whole number of at least 0.", Refused(() => _fields.Whole("minus")));
        Assert.Equal("x: the metadata's 'two' is '2'; it must be a whole number of at least 3.", Refused(() => _fields.Whole("two", 3)));
        Assert.Equal(
            "x: the metadata's 'two' is '2'; it must be a whole number of at least 0 and at most 1.",
            Refused(() => _fields.Whole("two", 0, 1))
        );
        foreach (string key in new[] { "half", "space", "exponent", "word", "larger" })
        {
            Assert.Equal(
                $"x: the metadata's '{key}' is '{_fields.Text(key)}'; it must be a whole number of at least 0.",
                Refused(() => _fields.Whole(key))
            );
        }
    }

    [Fact]
    public void TensorsHaveTheirTypes()
    {
        Assert.Equal([-7, 8], _fields.Integers("ints"));
        Assert.Empty(_fields.Integers("noints"));
        Assert.Equal([1.5f, -2], _fields.Floats("floats"));
        Assert.Equal([0.25f, 4], _fields.Floats("half"));
        Assert.Empty(_fields.Floats("none"));
        Assert.Equal("x lacks the tensor 'other'.", Refused(() => _fields.Integers("other")));
        Assert.Equal("x lacks the tensor 'other'.", Refused(() => _fields.Floats("other")));
        Assert.Equal(
            "x: tensor 'square' is Int32 of the shape [1, 1]; it must hold int32 in one dimension.",
            Refused(() => _fields.Integers("square"))
        );
        Assert.Equal(
            "x: tensor 'bytes' is Byte of the shape [1]; it must hold int32 in one dimension.",
            Refused(() => _fields.Integers("bytes"))
        );
        Assert.Equal(
            "x: tensor 'ints' is Int32 of the shape [2]; it must hold floating-point numbers.",
            Refused(() => _fields.Floats("ints"))
        );
        Assert.StartsWith("my file: tensor 'nan' has 1 values that are NaN or infinite", Refused(() => _fields.Floats("nan")));
    }

    private static string Refused<T>(Func<T> read) =>
        Assert
            .Throws<InvalidDataException>(() =>
            {
                _ = read();
            })
            .Message;
}
