using Microsoft.ML;
using SkillLoc.Models.Cartography;

namespace SkillLoc.Evaluators.Tests.Interpolation;

/// <summary>A stored analysis of a path that is damaged in any way is read, or refused by an exception that names it.</summary>
public sealed class DamagedAnalysisTests : IDisposable
{
    private const string Valid =
        """{"0.0": {"zero_list": [1], "one_list": [0, 3]}, "0.04": {"zero_list": [0, 3], "one_list": [1]}, "1.0": {"zero_list": [0], "one_list": [1, 3], "up_list": []}}""";

    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;
    private readonly MLContext _ml = new(seed: 1);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("""{"0.0": {"zero_list": [-1], "one_list": []}}""", "place '0.0'", "'zero_list'")]
    [InlineData("""{"here": {"zero_list": [1], "one_list": []}}""", "'here'", "0.5")]
    [InlineData("""{"0.0": {"zero_list": [1], "one_list": []}, "0.0": {"zero_list": [1], "one_list": []}}""", "occurs twice")]
    [InlineData("""{"0.0": {"zero_list": [1, null], "one_list": []}}""", "zero_list")]
    [InlineData("""{"\ud800": {"zero_list": [1], "one_list": []}}""", "no analysis")]
    public void WhatIsWrongIsNamed(string json, params string[] said)
    {
        (string analysis, string cartography) = Files();
        File.WriteAllText(analysis, json);
        string message = Assert
            .Throws<InvalidDataException>(() => _ml.SkillLoc().Connectivity.EvaluateForgetting(analysis, cartography))
            .Message;
        Assert.All(said.Append(analysis), part => Assert.Contains(part, message, StringComparison.Ordinal));
    }

    [Fact]
    public void AnyDamageIsRefusedOrHarmless()
    {
        (string analysis, string cartography) = Files();
        int refused = Mutants.AreReadOrRefused(
            analysis,
            Mutants.OfJson(Valid, 200, 1),
            () =>
            {
                try
                {
                    _ml.SkillLoc().Connectivity.EvaluateForgetting(analysis, cartography);
                }
                catch (ArgumentException error) when (error.Message.StartsWith("Row ", StringComparison.Ordinal))
                {
                    // A row that the other file does not have.
                }
            }
        );
        Assert.True(refused > 50, $"{refused}");
    }

    private (string Analysis, string Cartography) Files()
    {
        var dynamics = new TrainingDynamics();
        for (int row = 0; row < 4; row++)
        {
            dynamics.Add(row, true, 0.5);
        }

        string cartography = Path.Join(_folder, "cartography.json");
        dynamics.Save(cartography);
        return (Path.Join(_folder, "valid_data_analysis.json"), cartography);
    }
}
