using System.Globalization;
using Microsoft.Playwright;

namespace SkillLoc.Serve.Tests;

/// <summary>The page in Debian's Chromium.</summary>
public sealed class PageTests(Service service) : IClassFixture<Service>, IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";

    private readonly List<string> _errors = [];
    private IPlaywright? _playwright;
    private IBrowser? _browser;
    private IPage _page = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(File.Exists(Chromium), $"There is no {Chromium}: `make page-test` installs it.");
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Args = ["--no-sandbox"] });
        _page = await _browser.NewPageAsync();

        // Also what the content security policy forbids.
        _page.Console += (_, message) =>
        {
            if (message.Type == "error")
            {
                _errors.Add(message.Text);
            }
        };
        _page.PageError += (_, error) => _errors.Add(error);
        await _page.GotoAsync(service.Address.ToString());
        await _page.GetByLabel("Skill").SelectOptionAsync("tone");
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }

    [Fact]
    public async Task ATextIsShownWithBarsAndHowOftenTheSkillIsRight()
    {
        float[] expected = service.Expected("tone", ["a good film"])[0];
        await _page.GetByLabel("Text", new() { Exact = true }).FillAsync("a good film");
        await _page.GetByRole(AriaRole.Button, new() { Name = "Classify" }).ClickAsync();

        ILocator bars = _page.GetByRole(AriaRole.Listitem);
        await Assertions.Expect(bars).ToHaveCountAsync(2);
        float[] sorted = [.. expected.OrderDescending()];
        string[] labels = expected[0] > expected[1] ? ["neg", "pos"] : ["pos", "neg"];
        for (int i = 0; i < 2; i++)
        {
            await Assertions.Expect(bars.Nth(i)).ToContainTextAsync(labels[i] + Percent(sorted[i]));
            LocatorBoundingBoxResult track = (await bars.Nth(i).Locator(".track").BoundingBoxAsync())!,
                bar = (await bars.Nth(i).Locator(".bar").BoundingBoxAsync())!;
            Assert.Equal(sorted[i], bar.Width / track.Width, 0.01f);
        }

        await Assertions.Expect(_page.GetByRole(AriaRole.Heading, new() { Name = labels[0], Exact = true })).ToBeVisibleAsync();
        string right = sorted[0] > 0.75 ? "85.0 % of 20" : "70.0 % of 10";
        await Assertions.Expect(_page.GetByText($"it was right in {right} test rows")).ToBeVisibleAsync();
        await Assertions.Expect(_page.GetByText("Right in 80.0 % of 30 test rows; expected calibration error 10.0 %")).ToBeVisibleAsync();
        await Assertions.Expect(_page.GetByRole(AriaRole.Row)).ToHaveCountAsync(3);
        await Assertions.Expect(_page.Locator("svg rect")).ToHaveCountAsync(2);
        await Assertions.Expect(_page.Locator("svg rect.current")).ToHaveCountAsync(1);
        Assert.Empty(_errors);
    }

    [Fact]
    public async Task APairIsClassifiedWithTheKeyboardAlone()
    {
        await _page.GetByLabel("Skill").FocusAsync();
        await _page.GetByLabel("Skill").SelectOptionAsync("pair");
        await _page.Keyboard.PressAsync("Tab");
        await _page.Keyboard.TypeAsync("a film");
        await _page.Keyboard.PressAsync("Tab");
        await _page.Keyboard.TypeAsync("it was good");
        await _page.Keyboard.PressAsync("Control+Enter");

        await Assertions.Expect(_page.GetByRole(AriaRole.Listitem)).ToHaveCountAsync(3);
        float[] expected = service.Expected("pair", ["a film"], "it was good")[0];
        await Assertions.Expect(_page.GetByRole(AriaRole.Listitem).First).ToContainTextAsync(Percent(expected.Max()));
        await Assertions.Expect(_page.GetByText("How often it is right")).ToBeHiddenAsync();
        Assert.Empty(_errors);
    }

    [Fact]
    public async Task WhatIsRefusedIsSaidAndTheNextTextIsClassified()
    {
        ILocator text = _page.GetByLabel("Text", new() { Exact = true });
        await text.FillAsync(new string('a', 20_001));
        await _page.GetByRole(AriaRole.Button).ClickAsync();
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert)).ToContainTextAsync("20001 characters");

        await text.FillAsync("<b>a film</b>");
        await _page.GetByRole(AriaRole.Button).ClickAsync();
        await Assertions.Expect(_page.GetByRole(AriaRole.Listitem)).ToHaveCountAsync(2);
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert)).ToBeHiddenAsync();
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task TextsStandOutOnBothGroundsAndNothingIsWiderThanAPhone(ColorScheme scheme)
    {
        await _page.EmulateMediaAsync(new() { ColorScheme = scheme });
        await _page.SetViewportSizeAsync(320, 640);
        await _page.GetByLabel("Text", new() { Exact = true }).FillAsync("a good film");
        await _page.GetByRole(AriaRole.Button).ClickAsync();
        await Assertions.Expect(_page.GetByRole(AriaRole.Listitem)).ToHaveCountAsync(2);

        bool isDark = Luminance(await Color("body", "backgroundColor")) < 0.5;
        Assert.Equal(scheme == ColorScheme.Dark, isDark);
        foreach (string place in new[] { "h1", "label", ".hint", "#sure", "#bars .value", "caption", "td", "#text" })
        {
            await CheckContrast(place, "body");
        }

        await CheckContrast("button", "button");
        Assert.True(await _page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"));
        Assert.Empty(_errors);
    }

    /// <summary>WCAG 2.2, 1.4.3: a contrast of at least 4.5.</summary>
    private async Task CheckContrast(string text, string ground)
    {
        double one = Luminance(await Color(text, "color")),
            other = Luminance(await Color(ground, "backgroundColor")),
            contrast = (Math.Max(one, other) + 0.05) / (Math.Min(one, other) + 0.05);
        Assert.True(contrast >= 4.5, string.Create(CultureInfo.InvariantCulture, $"{text} on {ground}: {contrast:F2}"));
    }

    private Task<string> Color(string selector, string property) =>
        _page.EvaluateAsync<string>($"getComputedStyle(document.querySelector('{selector}')).{property}");

    /// <summary>The relative luminance of a colour as browsers compute it, rgb(r, g, b).</summary>
    private static double Luminance(string color)
    {
        double[] linear =
        [
            .. color[4..^1]
                .Split(',')
                .Select(part => double.Parse(part, CultureInfo.InvariantCulture) / 255)
                .Select(part => part <= 0.04045 ? part / 12.92 : Math.Pow((part + 0.055) / 1.055, 2.4)),
        ];
        return (0.2126 * linear[0]) + (0.7152 * linear[1]) + (0.0722 * linear[2]);
    }

    private static string Percent(float value) => string.Create(CultureInfo.InvariantCulture, $"{100 * value:F1} %");
}
