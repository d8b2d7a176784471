using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SkillLoc.Models.Json;

namespace SkillLoc.Models.Tests.Files;

/// <summary>What JSON is read and what is refused, with file, line and place.</summary>
public sealed class JsonTextTests : IDisposable
{
    private const string NotUnicode = "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.";

    private static readonly JsonSerializerOptions ByNames = new() { Converters = { new NameConverter<Colour>() } };

    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void SettingsAreReadByTheirNames()
    {
        Settings settings = JsonText.Read<Settings>("{ /* a comment */ \"the_name\": \"a\\ud83d\\ude00\", \"numbers\": [1, 2,], }", "x");
        Assert.Equal(("a\ud83d\ude00", "1 2"), (settings.TheName, string.Join(' ', settings.Numbers)));
        Assert.Null(settings.Colour);
        Assert.Equal(Colour.DarkRed, JsonText.Read<Settings>("{\"colour\": \"dark_red\"}", "x").Colour);
        Assert.Equal("{\"colour\":\"dark_red\"}", JsonSerializer.Serialize(new { colour = (Colour?)Colour.DarkRed }, ByNames));
        // SkillLoc's own files.
        Assert.Equal(
            "{\n  \"the_name\": \"a\",\n  \"numbers\": [],\n  \"own\": \"dark_red\"\n}",
            JsonSerializer.Serialize(new Settings { TheName = "a", Own = Colour.DarkRed }, JsonText.OwnFiles).ReplaceLineEndings("\n")
        );
        Assert.Equal(Colour.DarkRed, JsonText.Read<Settings>("{\"own\": \"dark_red\",}", "x", JsonText.OwnFiles).Own);
    }

    [Theory]
    [InlineData("null", "x holds null.")]
    [InlineData(
        "",
        "x, line 1: The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when isFinalBlock is true."
    )]
    [InlineData("{\n\"the_name\": \"a\"\n", "x, line 3: Expected depth to be zero at the end of the JSON payload.")]
    [InlineData("{\n\"the_name\": 1}", "x, line 2, at $.the_name: The JSON value could not be converted to System.String.")]
    [InlineData("{\n\n\"the_name\": null}", "x, line 3, at $.the_name: The property or field 'the_name' on type")]
    [InlineData("{\"numbers\":\n[1, 2.5]}", "x, line 2, at $.numbers[1]: The JSON value could not be converted to System.Int32.")]
    [InlineData("{\"other\": 1}", "x, line 1, at $.other: The JSON property 'other' could not be mapped")]
    [InlineData("{\"the_name\": \"a\",\n \"the_name\": \"b\"}", "x, line 2, at $.the_name: Duplicate property 'the_name' encountered")]
    [InlineData("{\"numbers\":\n\n[1, null]}", "x, line 3: An element of an array is null. At the property 'numbers'.")]
    [InlineData("[\nnull]", "x, line 2: An element of an array is null.")]
    [InlineData("{\"numbers\": [[], {\"a\": [\n{}, null]}]}", "x, line 2: An element of an array is null. At the property 'a'.")]
    [InlineData("{\"numbers\": [{}, null]}", "x, line 1: An element of an array is null. At the property 'numbers'.")]
    [InlineData(
        "{\"the_name\":\n\"\\ud800\"}",
        "x, line 2: Cannot read incomplete UTF-16 JSON text as string with missing low surrogate. At the property 'the_name'."
    )]
    [InlineData(
        "{\n\"\\uD800\": 1}",
        "x, line 2: Cannot read incomplete UTF-16 JSON text as string with missing low surrogate. At the property '\\uD800'."
    )]
    [InlineData("[\"\\uDC00\"]", "x, line 1: Cannot read invalid UTF-16 JSON text as string.")]
    [InlineData("{\"colour\":\n\"blue\"}", "x, line 2, at $.colour: \"blue\" was found; expected one of light_blue, dark_red.")]
    [InlineData("{\"colour\": 1}", "x, line 1, at $.colour: A Number was found; expected one of light_blue, dark_red.")]
    [InlineData("{\"refused\": \"a\"}", "x: no refused")]
    [InlineData("{\"format\": \"a\"}", "x: no format")]
    [InlineData("{\"invalid\": \"a\"}", "x: no invalid")]
    public void SettingsAreRefusedBySourceLineAndPlace(string json, string expected)
    {
        string message = Assert.Throws<InvalidDataException>(() => JsonText.Read<Settings>(json, "x")).Message;
        Assert.StartsWith(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain("Path:", message, StringComparison.Ordinal);
        Assert.DoesNotContain("LineNumber:", message, StringComparison.Ordinal);
    }

    [Fact]
    public void NullsOfPropertiesAreAllowedInNoArrayAndInObjects()
    {
        Assert.Null(JsonText.Read<Settings>("{\"free\": {\"a\": [], \"b\": null}, \"colour\": null}", "x").Colour);
        Assert.Null(JsonText.Read<Settings>("{\"free\": [[], {\"b\": null}]}", "x").Colour);
        Assert.Equal(2, JsonText.Parse("[null, null]"u8.ToArray()).RootElement.GetArrayLength());
    }

    [Fact]
    public void SettingsHaveALimit()
    {
        const int Most = 4 << 20;
        string json = "{\"the_name\": \"" + new string('a', Most - 16) + "\"}";
        Assert.Equal(Most, Encoding.UTF8.GetByteCount(json));
        Assert.Equal(Most - 16, JsonText.Read<Settings>(json, "x").TheName.Length);
        Assert.Equal(
            "x has 4194305 bytes; a file of this kind has at most 4194304.",
            Assert.Throws<InvalidDataException>(() => JsonText.Read<Settings>(json + " ", "x")).Message
        );
    }

    [Fact]
    public void HalfACharacterOfATextIsRefused()
    {
        Assert.Equal([.. "a\u00e9"u8], JsonText.Bytes("a\u00e9", "x"));
        string message = Assert.Throws<InvalidDataException>(() => JsonText.Bytes("a\ud800", "x")).Message;
        Assert.StartsWith("x: Unable to translate Unicode character \\\\uD800 at index 1", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("EFBBBF7B7D", "{}")]
    [InlineData("FFFE7B007D00", "{}")]
    [InlineData("FEFF007B007D", "{}")]
    [InlineData("7B7D", "{}")]
    [InlineData("", "")]
    [InlineData("EFBB", "\u00ef\u00bb")]
    [InlineData("EF7B7D", "\u00ef{}")]
    [InlineData("EFBB7B", "\u00ef\u00bb{")]
    [InlineData("FF7B7D", "\u00ff{}")]
    [InlineData("FE7B7D", "\u00fe{}")]
    [InlineData("FF", "\u00ff")]
    public void AFileMayBeginWithAByteOrderMark(string bytes, string expected)
    {
        File.WriteAllBytes(_path, Convert.FromHexString(bytes));
        Assert.Equal(expected, Encoding.Latin1.GetString(JsonText.ReadFile(_path).Span));
    }

    [Theory]
    [InlineData("{\"a\": 1, \"a\": 2}", "Duplicate property 'a' encountered")]
    [InlineData("[\"\\ud800\"]", NotUnicode)]
    [InlineData("{\"a\": [{\"b\": \"\\ud800\"}]}", NotUnicode + " At the property 'b'.")]
    [InlineData("[\"\u00ff\"]", "It is not valid UTF-8.")]
    [InlineData("[1,]", "The JSON array contains a trailing comma")]
    [InlineData("[1 /* one */]", "'/' is invalid after a value.")]
    [InlineData("[1 ", "Expected depth to be zero")]
    public void ADocumentIsStrict(string latin1, string expected)
    {
        byte[] json = Encoding.Latin1.GetBytes(latin1);
        Assert.StartsWith(expected, Assert.ThrowsAny<JsonException>(() => JsonText.Parse(json)).Message, StringComparison.Ordinal);
        Assert.StartsWith(expected, Assert.ThrowsAny<JsonException>(() => JsonText.ParseObject(json)).Message, StringComparison.Ordinal);
        if (!expected.StartsWith("Duplicate", StringComparison.Ordinal))
        {
            Assert.StartsWith(
                expected,
                Assert.ThrowsAny<JsonException>(() => JsonText.CheckUnicode(json)).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void WhatIsAllowedIsTheCallersToSay()
    {
        byte[] json = "[[1], // one\n 2,]"u8.ToArray();
        var options = new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };
        Assert.Equal(2, JsonText.Parse(json, options).RootElement[1].GetInt32());
        options.MaxDepth = 1;
        Assert.Contains(
            "maximum configured depth of 1",
            Assert.ThrowsAny<JsonException>(() => JsonText.Parse(json, options)).Message,
            StringComparison.Ordinal
        );
        Assert.Null(JsonText.ParseObject("[1]"u8));
        Assert.Equal(1, JsonText.ParseObject("{\"a\": 1}"u8)!["a"]!.GetValue<int>());
    }

    [Theory]
    [InlineData(64)]
    [InlineData(256)]
    public void ValuesAreCountedBeforeTheyTakeMemory(int bytesOfEach)
    {
        // 40 MB and two bytes for each byte: "1," takes 4 of what a value may.
        int fits = (40 << 20) / (bytesOfEach - 4);
        foreach (int count in new[] { fits - 10, fits + 10 })
        {
            byte[] json = Encoding.UTF8.GetBytes("[" + string.Concat(Enumerable.Repeat("1,", count)) + "1]");
            Action parse = bytesOfEach == 64 ? () => JsonText.Parse(json).Dispose() : () => JsonText.CheckObjects(json, default);
            if (count < fits)
            {
                parse();
                continue;
            }

            long most = ((40L << 20) + (2L * json.Length)) / bytesOfEach;
            Assert.Equal(
                $"It has more than {most} values, which would take too much memory for its length.",
                Assert.ThrowsAny<JsonException>(parse).Message
            );
            JsonText.CheckUnicode(json);
        }
    }

    private enum Colour
    {
        LightBlue,
        DarkRed,
    }

    private sealed record Settings
    {
        public string TheName { get; init; } = "";

        public IReadOnlyList<int> Numbers { get; init; } = [];

        [JsonConverter(typeof(NameConverter<Colour>))]
        public Colour? Colour { get; init; }

        public Colour? Own { get; init; }

        public JsonElement? Free { get; init; }

        public string? Refused
        {
            get => null;
            init => throw new ArgumentException("no refused");
        }

        public string? Format
        {
            get => null;
            init => throw new FormatException("no format");
        }

        public string? Invalid
        {
            get => null;
            init => throw new InvalidOperationException("no invalid");
        }
    }
}
